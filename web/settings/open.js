// Opens ComfyUI's settings at our page. The dialog takes no name of a page, so its entry is pressed.
import { app } from "../../../scripts/app.js";

const TRIES = 40;

/** Open our page, at the card of `platform` ("s3" too) where one is named. */
export async function openSettings(platform = "") {
  await app.extensionManager.command.execute("Comfy.ShowSettingsDialog");
  (await appearing(ours))?.click();
  // Commands are given what called them.
  if (typeof platform === "string" && platform) show(await appearing(() => card(platform)));
}

function show(card) {
  if (!card) return;
  card.scrollIntoView({ block: "center" });
  card.querySelector("input:not([hidden]):not(:disabled)")?.focus({ preventScroll: true });
}

async function appearing(find) {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const found = find();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  return null;
}

function ours() {
  return [...document.querySelectorAll("[data-nav-id]")].find((one) => /(^|\/)Skyport$/.test(one.dataset.navId));
}

function card(platform) {
  const all = [...document.querySelectorAll(".skyport-settings [data-platform]")];
  return all.find((one) => one.dataset.platform === platform);
}
