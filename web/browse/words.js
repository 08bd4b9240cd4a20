// A model in words. Pure; the language is that of ../words.js.
import { clock } from "../jobs/format.js";
import { money, originWords } from "../spend/words.js";
import { say } from "../words.js";

const KINDS = {
  image: () => say("image"),
  video: () => say("video"),
  audio: () => say("audio"),
  text: () => say("text"),
};

export const kindWord = (kind) => KINDS[kind]?.() ?? kind;

const joined = (parts) => parts.join(say(", "));

/** "video", "image, video": what it makes. */
export const makesWords = ({ makes }) => joined(makes.map(kindWord));

/** What it takes, a line for each medium: "images: image, up to 9 (at most 30 MB; jpeg, png)". */
export const takesLines = ({ takes }) => takes.map(mediumWords);

function mediumWords({ name, kind, required, most, limits }) {
  const parts = [kindWord(kind)];
  if (most === 0) parts.push(say("several"));
  if (most) parts.push(say("up to {count}", { count: most }));
  if (!required) parts.push(say("optional"));
  const words = isPlain(name, kind) ? joined(parts) : say("{name}: {parts}", { name, parts: joined(parts) });
  return limits ? say("{words} ({limits})", { words, limits }) : words;
}

/** Whether a name says no more than the kind: "image", "images". */
const isPlain = (name, kind) => [kind, `${kind}s`, kindWord(kind)].includes(name.toLowerCase());

/** The same on one line. */
export const takesWords = (model) => (model.takes.length ? say("takes {media}", { media: takesLines(model).join(" \u00b7 ") }) : say("takes text only"));

/** What a task costs, with its unit and who says so; each platform's for a model of several. */
export function priceWords({ price, text, choices }, platforms) {
  if (choices) return choices.map((one) => say("{name}: {parts}", { name: labelOf(platforms, one.platform), parts: priceWords(one, platforms) })).join(" \u00b7 ");
  if (price) return say("about {cost}, {origin}", { cost: money(price), origin: originWords(price) });
  return text || say("cost unknown");
}

export const labelOf = (platforms, name) => platforms.find((one) => one.name === name)?.label ?? name;

/** How long a task takes, "" where no task has taught it. */
export function timeWords({ seconds, timed }) {
  if ((seconds ?? null) === null) return "";
  const time = clock(seconds);
  return timed === 1 ? say("takes {time}, as your last one", { time }) : say("takes {time}, as your last {count}", { time, count: timed });
}

/** Cost and time. */
export const expected = (model, platforms) => [priceWords(model, platforms), timeWords(model)].filter(Boolean).join(" \u00b7 ");

/** How many models are shown. */
export function countWords(shown, all) {
  if (shown === all) return say("{count} models", { count: shown });
  return say("{shown} of {count} models", { shown, count: all });
}
