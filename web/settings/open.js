// Opens ComfyUI's settings at our page. The dialog takes no name of a page, so its entry is pressed.
import { app } from "../../../scripts/app.js";

const TRIES = 40;

/** Open our page, at the row of that setting if one is named. */
export async function openSettings(setting = "") {
  await app.extensionManager.command.execute("Comfy.ShowSettingsDialog");
  (await shown(ours))?.click();
  if (!setting) return;
  const field = await shown(() => document.getElementById(`skyport-setting-${setting}`));
  field?.scrollIntoView({ block: "center" });
  field?.focus();
}

/** What `find` gives as soon as it is there; undefined where it does not come. */
async function shown(find) {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const found = find();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
}

function ours() {
  return [...document.querySelectorAll("[data-nav-id]")].find((one) => /(^|\/)Skyport$/.test(one.dataset.navId));
}
