// What the menu of a node offers: to send what is upstream to a cloud, or to keep it here.
import { app } from "../../../scripts/app.js";
import { ask } from "../server.js";
import { say } from "../words.js";
import { HERE, KEEP, RUN, firstCloud, outputsFor, whereOf } from "./graph.js";
import { insertBehind } from "./insert.js";

const SETTLED = 150; // ms in which the editor gives new nodes their sizes: they belong to the same step

/** The entries for a node; `changed` is called after each act. */
export function entries(node, changed) {
  return [
    behind(RUN, say("Send upstream to cloud"), node, (slot) => send(node, slot, changed)),
    behind(KEEP, say("Keep upstream local"), node, (slot) => keep(node, slot, changed)),
    bringBack(node, changed),
  ].filter(Boolean);
}

function behind(kind, content, node, act) {
  const outputs = outputsFor(kind, node);
  if (!outputs.length || !window.LiteGraph.registered_node_types[kind]) return null;
  const options = outputs.map(([slot, name]) => ({ content: name, callback: () => void act(slot) }));
  return { content, has_submenu: true, submenu: { options } };
}

function bringBack(node, changed) {
  if (node.type !== RUN || whereOf(node)?.value === HERE) return null;
  return { content: say("Run upstream here"), callback: () => void asOneStep(() => choose(node, HERE), changed) };
}

async function send(node, slot, changed) {
  const { platforms } = await ask("forms").catch(() => ({}));
  await asOneStep(() => {
    const made = window.LiteGraph.createNode(RUN);
    const cloud = firstCloud(whereOf(made)?.options?.values ?? [], platforms);
    insertBehind(node, slot, made);
    if (cloud) choose(made, cloud);
  }, changed);
}

function keep(node, slot, changed) {
  return asOneStep(() => insertBehind(node, slot, window.LiteGraph.createNode(KEEP)), changed);
}

function choose(node, place) {
  const widget = whereOf(node);
  if (!widget) return;
  widget.value = place;
  widget.callback?.(place);
}

/** Do something that one undo takes back. */
async function asOneStep(act, changed) {
  const { canvas } = app;
  canvas.emitBeforeChange?.();
  canvas.graph?.beforeChange?.();
  try {
    act();
    canvas.setDirty(true, true);
    await new Promise((done) => setTimeout(done, SETTLED));
  } finally {
    canvas.graph?.afterChange?.();
    canvas.emitAfterChange?.();
  }
  changed();
}
