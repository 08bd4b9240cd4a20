// Opens ComfyUI's settings at our page. The dialog takes no name of a page, so its entry is pressed.
import { app } from "../../../scripts/app.js";

const TRIES = 40;

export async function openSettings() {
  await app.extensionManager.command.execute("Comfy.ShowSettingsDialog");
  for (let tried = 0; tried < TRIES; tried += 1) {
    const entry = ours();
    if (entry) return entry.click();
    await new Promise((done) => setTimeout(done, 50));
  }
}

function ours() {
  return [...document.querySelectorAll("[data-nav-id]")].find((one) => /(^|\/)Skyport$/.test(one.dataset.navId));
}
