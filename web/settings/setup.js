// The current settings from the server, and their views. One copy for all sections of the page.
import { act, ask } from "../server.js";

const drawn = new Set();
let told = null;
let asking = null;

/** The latest answer of the server, or null. */
export const setup = () => told;

/** Call `show(setup)` now if it is loaded, and after each change while `element` is in the page. */
export function follow(element, show) {
  const entry = { element, show, seen: false };
  drawn.add(entry);
  if (told) show(told);
}

/** Load again from the server; simultaneous calls share one request. Throws its error message. */
export function load() {
  asking ??= ask("setup").then(take).finally(() => (asking = null));
  return asking;
}

/** Post to the settings' routes; the answer is drawn, then the event skyport.setup is sent.
 * Throws an Error with the server's message. */
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
