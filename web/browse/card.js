// One model as a card of the grid. Its buttons are not reached by Tab: by keyboard, those below the grid act on it.
import { addressOf } from "../server.js";
import { button, el, icon } from "../jobs/elements.js";
import { say } from "../words.js";
import { expected, labelOf, makesWords, takesWords } from "./words.js";

const PICTURES = { image: "image", video: "video", audio: "volume-up", text: "align-left" };

/** on: {use(model), key(platform)}; about: {platforms, taskLabel, ready, chosen}. */
export function cardOf(model, about, on) {
  const { taskLabel, platforms, ready, chosen } = about;
  const made = say("makes {kinds}", { kinds: makesWords(model) });
  return el(
    "div.card",
    { role: "option", "aria-label": spoken(model, about) },
    el("div.cover", {}, icon(PICTURES[model.makes[0]] ?? "cloud")),
    el(
      "div.lines",
      {},
      el("div.line", {}, el("strong.title", { title: `${model.label}\n${model.model}` }, model.label), chosen ? el("span.tag", {}, say("in use")) : null, ready ? null : act(say("Needs a key"), "key", () => on.key(model))),
      line([labelOf(platforms, model.platform), taskLabel, made].join(" \u00b7 ")),
      line(takesWords(model)),
      el("div.line", {}, cut(expected(model, platforms)), act(say("Use"), "plus", () => on.use(model))),
    ),
  );
}

function act(name, picture, work) {
  const made = button(name, picture, (event) => (event.stopPropagation(), work()));
  made.tabIndex = -1;
  return made;
}

const cut = (words) => el("span.cut", { title: words }, words);

const line = (words) => el("div.line.faint", {}, cut(words));

/** What a screen reader says of it. */
export function spoken(model, { platforms, taskLabel, ready, chosen }) {
  const parts = [model.label, chosen ? say("in use") : "", labelOf(platforms, model.platform), taskLabel];
  return [...parts, expected(model, platforms), ready ? "" : say("Needs a key")].filter(Boolean).join(say(", "));
}

/** Show the person's own example, where there is one; the icon stays where it is gone. */
export function showExample(card, { example, makes }) {
  if (!example) return;
  const cover = card.firstChild;
  const img = el("img", { alt: "", decoding: "async" });
  img.onload = () => cover.replaceChildren(img, ...(makes.includes("video") ? [icon("play")] : []));
  img.src = addressOf(`jobs/${example.job}/thumbnail?v=${example.version}`);
}
