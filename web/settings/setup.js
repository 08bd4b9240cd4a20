// What is set, as the server tells it, and who draws it. One copy for all sections of the page.
import { act, ask } from "../server.js";

const drawn = new Set();
let told = null;
let asking = null;

/** What the server told last, null before. */
export const setup = () => told;

/** Call `show(setup)` now, where it is known, and after each change as long as `element` is there. */
export function follow(element, show) {
  const entry = { element, show, seen: false };
  drawn.add(entry);
  if (told) show(told);
}

/** Ask the server anew, once for all who ask at the same time. Throws an Error with its words. */
export function load() {
  asking ??= ask("setup").then(take).finally(() => (asking = null));
  return asking;
}

/** Post to the settings' routes; what they answer is drawn, and told as the event skyport.setup.
 * Throws an Error with the server's words. */
export async function change(path, body) {
  take(await act(`setup/${path}`, body));
  document.dispatchEvent(new Event("skyport.setup"));
}

function take(answer) {
  told = answer;
  for (const entry of drawn) {
    entry.seen ||= entry.element.isConnected;
    if (entry.seen && !entry.element.isConnected) drawn.delete(entry);
    else entry.show(told);
  }
}
