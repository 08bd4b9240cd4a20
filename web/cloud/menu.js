// What the menu of a node, the selection toolbox and the keyboard offer: to send a part to a cloud, or to
// keep it here.
import { app } from "../../../scripts/app.js";
import { say } from "../words.js";
import { bringBack, keep, runHere, selected, send, sendPart } from "./acts.js";
import { HERE, KEEP, RUN, outputsFor, whereOf } from "./graph.js";
import { runsOf, unsent } from "./part.js";

const SEND = "Skyport.RunPartInCloud";
const BACK = "Skyport.RunPartHere";

// Their Chinese is in locales/zh/commands.json.
export const commands = [
  { id: SEND, label: "Run this part in the cloud", icon: "pi pi-cloud-upload", function: () => void sendPart() },
  { id: BACK, label: "Run this part on this machine", icon: "pi pi-desktop", function: () => void bringBack() },
];

export const keybindings = [
  { combo: { key: "r", ctrl: true, alt: true }, commandId: SEND },
  { combo: { key: "h", ctrl: true, alt: true }, commandId: BACK },
];

/** The commands for what is selected; the editor asks for each item of it. */
export function toolbox(item) {
  const [first] = app.canvas?.selectedItems ?? [];
  if (!isHere(RUN) || (first && first.id !== item?.id)) return [];
  return offered(selected());
}

function offered(nodes) {
  return [...(unsent(nodes).length ? [SEND] : []), ...(runsOf(nodes).length ? [BACK] : [])];
}

const isHere = (kind) => Boolean(window.LiteGraph.registered_node_types[kind]);

/** The entries for a node. */
export function entries(node) {
  return [
    ...partEntries(node),
    behind(RUN, say("Send upstream to cloud"), node, (slot) => send(node, slot)),
    behind(KEEP, say("Keep upstream local"), node, (slot) => keep(node, slot)),
    upstreamHere(node),
  ].filter(Boolean);
}

/** For all that is selected, where the node is among it. */
function partEntries(node) {
  const chosen = selected();
  const nodes = chosen.includes(node) ? chosen : [node];
  const ids = isHere(RUN) ? offered(nodes) : [];
  return [
    ids.includes(SEND) && { content: say("Run this part in the cloud"), callback: () => void sendPart(nodes) },
    ids.includes(BACK) && { content: say("Run this part on this machine"), callback: () => void bringBack(nodes) },
  ];
}

function behind(kind, content, node, act) {
  const outputs = outputsFor(kind, node);
  if (!outputs.length || !isHere(kind)) return null;
  const options = outputs.map(([slot, name]) => ({ content: name, callback: () => void act(slot) }));
  return { content, has_submenu: true, submenu: { options } };
}

function upstreamHere(node) {
  if (node.type !== RUN || whereOf(node)?.value === HERE) return null;
  return { content: say("Run upstream here"), callback: () => void runHere(node) };
}

/** The menu of each output of a node offers it too; only a canvas has such menus. */
export function offerAtOutputs(node) {
  const { getExtraSlotMenuOptions: others } = node;
  node.getExtraSlotMenuOptions = function (at) {
    return [...(others?.call(this, at) ?? []), ...(at.output ? atOutput(this, at.slot) : [])];
  };
}

function atOutput(node, slot) {
  const entry = (kind, content, act) =>
    isHere(kind) && outputsFor(kind, node).some(([one]) => one === slot) ? [{ content, callback: () => void act(node, slot) }] : [];
  return [
    ...entry(RUN, say("Send upstream to cloud"), send),
    ...entry(KEEP, say("Keep upstream local"), keep),
  ];
}
