// What the line of a node says of its latest runs. Pure; the language is that of ../words.js.
import { say } from "../words.js";

const LONGEST = 64; // letters of the line; all of it is in the job
const TONES = ["bad", "warn", "good"]; // what needs a look goes first

/** {text, tone, jobs, reason} of the outcomes of one node, or of all that a subgraph holds; null for no line. */
export function lineOf(outcomes) {
  const told = outcomes.filter(({ text }) => text).sort((one, other) => TONES.indexOf(one.tone) - TONES.indexOf(other.tone));
  if (!told.length) return null;
  const [first] = told;
  const more = told.length > 1 ? [say("and {count} more", { count: told.length - 1 })] : [];
  const reason = [first.text, ...first.notes].join("\n");
  return { text: short([first.text, ...first.notes, ...more].join(" · ")), tone: first.tone, job: first.job, reason };
}

/** The outcomes by node of the graph; those within a subgraph are also those of its node. */
export function byNode(outcomes, nodes) {
  const found = new Map();
  const put = (node, outcome) => node && found.set(node, [...(found.get(node) ?? []), outcome]);
  const known = new Map(nodes);
  for (const outcome of outcomes) {
    const parts = outcome.node.split(":");
    if (!known.get(outcome.node)?.type?.startsWith("Skyport")) continue; // another node has its id now
    for (let length = 1; length <= parts.length; length++) put(known.get(parts.slice(0, length).join(":")), outcome);
  }
  return found;
}

function short(text) {
  const letters = [...text];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("").trimEnd()}\u2026` : text;
}
