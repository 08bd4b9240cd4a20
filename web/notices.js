// A message with buttons at the edge of the window. The editor's own toasts can hold none.
// What comes into a live region is read aloud only where the region was there before: it is made at once.
import { el } from "./jobs/elements.js";
import { say } from "./words.js";

const MOST = 4;
const LONG = 8000; // ms for what is no error
const stack = el("div.notices", { role: "region", "aria-live": "polite" });
document.body.append(stack);
let before = null; // what had the focus before a message had it

/** Show {title, text, tone: "good" | "bad" | "warn", actions: [[label, run], ...]}. An equal one is replaced. */
export function notice({ title, text, tone = "warn", actions = [] }) {
  const key = `${title}\n${text}`;
  stack.setAttribute("aria-label", say("Messages of Skyport"));
  for (const old of [...stack.children]) if (old.dataset.key === key) old.remove();
  const made = el("div.notice", { ...(tone === "bad" && { role: "alert" }), "data-tone": tone, "data-key": key, onkeydown });
  const close = () => remove(made);
  function onkeydown(event) {
    event.stopPropagation(); // the editor has meanings of its own for keys
    if (event.key === "Escape") close();
  }
  const press = (run) => () => {
    close();
    run();
  };
  made.append(
    el("strong", {}, title),
    el("button.close", { type: "button", "aria-label": say("Close"), onclick: close }, el("i", { class: "pi pi-times" })),
    el("p", {}, text),
    el("div.actions", {}, ...actions.map(([label, run]) => el("button.button", { type: "button", onclick: press(run) }, label))),
  );
  stack.append(made);
  while (stack.children.length > MOST) stack.firstElementChild.remove();
  if (tone === "good") setTimeout(close, LONG);
  return made;
}

/** Bring the focus to the latest message; Escape closes it, and brings the focus back. */
export function focusNotice() {
  if (!stack.lastElementChild) return;
  if (!stack.contains(document.activeElement)) before = document.activeElement;
  focusLast();
}

function focusLast() {
  const [close, action] = stack.lastElementChild.querySelectorAll("button");
  (action ?? close).focus();
}

/** The focus goes to the message that is left, else where it was before. */
function remove(made) {
  const held = made.contains(document.activeElement);
  made.remove();
  if (!held) return;
  if (stack.lastElementChild) focusLast();
  else if (before?.isConnected) before.focus();
}
