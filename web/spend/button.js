// The button beside Run that says what queueing costs, and the list behind it.
import { app } from "../../../scripts/app.js";
import { el, icon } from "../jobs/elements.js";
import { say } from "../words.js";
import { lineWords, sumWords } from "./words.js";

const text = el("span.sum");
const list = el("div.list", { id: "skyport-cost-list", role: "group", "aria-labelledby": "skyport-cost-sum", hidden: true });
const about = { type: "button", "aria-expanded": "false", "aria-controls": list.id, onclick: () => toggle() };
const button = el("button.button", about, icon("wallet"), text);
const element = el("div.cost", { hidden: true }, button, list);

const resized = new ResizeObserver(() => element.hidden || mount()); // an app hides the bar

/** Put it into the bar of the button Run; while no such bar is seen, at the edge of the window. */
function mount() {
  const inBar = app.menu?.settingsGroup?.element;
  if (inBar) resized.observe(inBar);
  const hasBar = Boolean(inBar?.getClientRects().length);
  element.classList.toggle("skyport-alone", !hasBar);
  if (!hasBar) document.body.append(element);
  else if (element.nextSibling !== inBar) inBar.before(element);
}

/** Show an estimate; null, and one without any order or server of one's own, hides the button. */
export function show(estimate) {
  element.hidden = !estimate?.items.length && !estimate?.free && !estimate?.subscribed;
  if (element.hidden) return toggle(false);
  mount();
  text.textContent = sumWords(estimate);
  button.title = say("What queueing this graph costs");
  list.replaceChildren(...linesOf(estimate));
}

function linesOf(estimate) {
  const lines = estimate.items.map((item) => el("li", {}, lineWords(item)));
  const least = estimate.at_least ? [el("p", {}, say("How many tasks it is turns out as it runs."))] : [];
  return [el("strong", { id: "skyport-cost-sum" }, sumWords(estimate)), el("ul", {}, ...lines), ...least];
}

function toggle(open = list.hidden) {
  list.hidden = !open;
  button.setAttribute("aria-expanded", open);
  if (!open) return;
  const { bottom, right } = button.getBoundingClientRect();
  Object.assign(list.style, { top: `${bottom + 6}px`, right: `${Math.max(8, innerWidth - right)}px` });
}

document.addEventListener("pointerdown", ({ target }) => element.contains(target) || toggle(false));
document.addEventListener("keydown", ({ key }) => key === "Escape" && toggle(false));
