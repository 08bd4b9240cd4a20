// What the platform was sent for a job: its values, long texts to unfold, and its media.
import { addressOf } from "../server.js";
import { say } from "../words.js";
import { button, el } from "./elements.js";
import { inputsOf } from "./inputs.js";

/** fold(name, parts, open): a fold of the page that stays as it was left. */
export function sentPart(request, fold, copy) {
  const { short, long, media } = inputsOf(request);
  if (!short.length && !long.length && !media.length) return null;
  return fold(say("What was sent"), [
    pairs(short),
    ...long.map(([name, text]) => fold(name, [textBox(text), copyButton(() => copy(text))], isRead(name))),
    ...media.map(([name, sha256]) => picture(name, sha256)),
    button(say("Copy all as JSON"), "copy", () => copy(JSON.stringify(request, null, 1))),
  ], true);
}

export const pairs = (facts) => el("dl.facts", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

export const textBox = (text) => el("pre.text", { tabindex: "0" }, text);

/** A prompt is what people look for. */
const isRead = (name) => /(^|\.)prompt$/.test(name);

function copyButton(onclick) {
  return button(say("Copy"), "copy", onclick);
}

/** A medium as a small picture, where one was kept; else by its bytes' hash. */
function picture(name, sha256) {
  const hash = el("span.faint", { title: sha256 }, `SHA-256 ${sha256.slice(0, 12)}\u2026`);
  const img = el("img.small", { src: addressOf(`inputs/${sha256}`), alt: name, loading: "lazy", onerror: () => img.remove() });
  return el("figure.file", {}, img, el("figcaption", {}, el("span", {}, name), hash));
}
