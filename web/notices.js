// A message with buttons at the edge of the window. The editor's own toasts can hold none.
import { el } from "./jobs/elements.js";
import { say } from "./words.js";

const MOST = 4;
const LONG = 8000; // ms for what is no error

/** Show {title, text, tone: "good" | "bad" | "warn", actions: [[label, run], ...]}. An equal one is replaced. */
export function notice({ title, text, tone = "warn", actions = [] }) {
  const key = `${title}\n${text}`;
  const stack = place();
  for (const old of [...stack.children]) if (old.dataset.key === key) old.remove();
  const made = el("div.notice", { role: tone === "bad" ? "alert" : "status", "data-tone": tone, "data-key": key });
  const close = () => made.remove();
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

/** Take away every message of that tone. */
export function dismiss(tone) {
  for (const old of [...place().children]) if (old.dataset.tone === tone) old.remove();
}

function place() {
  const there = document.querySelector(".skyport-notices");
  if (there) return there;
  const made = el("div.notices");
  document.body.append(made);
  return made;
}
