// The texts of the badges that say where nodes run. Pure; the language is that of ../words.js.
import { say } from "../words.js";
import { everyNode } from "./graph.js";

const LONGEST = 56; // letters of a reason; all of it is told once

/** {text, tone, reason, unnamed} by node, and as `whole` a text that is cut in `text`, of the server's answer about a prompt that held the nodes `ids`. */
export function badgesOf(graph, told, ids) {
  const names = new Map(); // a node of a subgraph that is used twice has two
  for (const [id, node] of everyNode(graph)) names.set(node, [...(names.get(node) ?? []), id]);
  const badges = [...names].map(([node, own]) => [node, withNote(badge(placesOf(own, told, ids)), noteOf(own, told))]);
  return new Map(badges.filter(([, { text }]) => text));
}

/** Where a node runs, or all that a subgraph holds. */
function placesOf(own, { nodes, troubles, unnamed = [] }, ids) {
  const within = ids.filter((one) => own.some((id) => one === id || one.startsWith(`${id}:`)));
  const sent = within.filter((one) => nodes[one]);
  const here = sent.some((one) => nodes[one].here);
  return {
    clouds: [...new Set(sent.flatMap((one) => nodes[one].clouds))],
    here,
    partly: within.length > sent.length || (here && !ids.includes(own[0])),
    reason: within.map((one) => troubles[one]).find(Boolean) ?? "",
    unnamed: within.some((one) => unnamed.includes(one)),
  };
}

/** What the person should know of a node, or of what a subgraph holds: that it is billed apart, for example. */
const noteOf = (own, { notes = {} }) =>
  Object.keys(notes).filter((one) => own.some((id) => one === id || one.startsWith(`${id}:`))).map((one) => notes[one])[0] ?? "";

function withNote(shown, note) {
  if (!note || shown.tone === "bad") return shown;
  return { ...cut(note, (reason) => [shown.text, reason].filter(Boolean).join("; ")), tone: "warn", reason: note };
}

function badge({ clouds, here, partly, reason, unnamed }) {
  const names = clouds.join(", ");
  if (reason) {
    const text = cut(reason, (words) => say("cannot run: {reason}", { reason: words }));
    return { ...text, tone: "bad", reason, ...(unnamed && { unnamed }) };
  }
  if (!names) return { text: "" };
  if (partly) return { text: say("cloud: {names} (partly)", { names }), tone: "cloud", reason };
  if (here) return { text: say("cloud: {names}, and here", { names }), tone: "cloud", reason };
  return { text: say("cloud: {names}", { names }), tone: "cloud", reason };
}

function cut(reason, sentence) {
  const letters = [...reason];
  if (letters.length <= LONGEST) return { text: sentence(reason) };
  return { text: sentence(`${letters.slice(0, LONGEST - 1).join("").trimEnd()}…`), whole: sentence(reason) };
}
