// Opens ComfyUI's settings at our page. The dialog takes no name of a page, so its entry is pressed.
import { app } from "../../../scripts/app.js";

const TRIES = 40;

/** Open our page, at the row of that setting, else at the card of `platform` ("s3" too), where one is named;
 * for ComfyUI at its servers, at the one that `text`, an error, begins with. */
export async function openSettings(platform = "", setting = "", text = "") {
  await app.extensionManager.command.execute("Comfy.ShowSettingsDialog");
  (await appearing(ours))?.click();
  if (setting) show(await appearing(() => document.getElementById(`skyport-setting-${setting}`)));
  else if (platform === "comfyui") show(await appearing(() => serverIn(text)), "button");
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

/** The server that an error names, or else all of them. */
function serverIn(text) {
  const rows = [...document.querySelectorAll(".skyport-settings [data-server]")];
  const named = rows.find((one) => text.startsWith(`ComfyUI (${one.dataset.server})`));
  return named ?? document.querySelector(".skyport-settings [data-servers]");
}

function card(platform) {
  const all = [...document.querySelectorAll(".skyport-settings [data-platform]")];
  return all.find((one) => one.dataset.platform === platform);
}
