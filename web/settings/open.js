// Opens ComfyUI's settings at our page. The dialog takes no name of a page, so its entry is pressed.
import { app } from "../../../scripts/app.js";

const TRIES = 40;

/** Open our page, at the row of that setting, else at the card of `platform` ("s3" too), where one is named. */
export async function openSettings(platform = "", setting = "") {
  await app.extensionManager.command.execute("Comfy.ShowSettingsDialog");
  (await appearing(ours))?.click();
  if (setting) show(await appearing(() => document.getElementById(`skyport-setting-${setting}`)));
  else if (platform) show(await appearing(() => card(platform)), "input:not([hidden]):not(:disabled)");
}

/** Bring it into view, and the focus to it, or to the first in it that matches. */
function show(element, inside = "") {
  if (!element) return;
  element.scrollIntoView({ block: "center" });
  (inside ? element.querySelector(inside) : element)?.focus({ preventScroll: true });
}

/** What `find` gives as soon as it is there; null where it does not come. */
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
