// What a person does about where a part runs, each as one step that one undo takes back.
import { app } from "../../../scripts/app.js";
import { linkInto } from "../links.js";
import { notice } from "../notices.js";
import { ask } from "../server.js";
import { say } from "../words.js";
import { HERE, KEEP, RUN, firstCloud, isLast, whereOf } from "./graph.js";
import { insertBehind, moveTo, takeAway } from "./insert.js";
import { nodesOf, runBehind, runsOf, unsent } from "./part.js";
import { noteState, settled } from "./steps.js";

/** The nodes that are selected. */
export const selected = () => nodesOf(app.canvas?.selectedItems ?? []);

/** Put Run in Cloud behind one output of a node. */
export async function send(node, slot) {
  const platforms = await ready();
  if (isThere(node)) await asOneStep(() => inCloud({ node, slot }, platforms));
}

export const keep = (node, slot) => asOneStep(() => insertBehind(node, slot, window.LiteGraph.createNode(KEEP)));

export const runHere = (node) => asOneStep(() => choose(node, HERE));

/** Send these nodes: Run in Cloud stands behind each medium that leaves them, and is selected. */
export async function sendPart(nodes = selected()) {
  if (!unsent(nodes).length) return notice({ title: say("Run this part in the cloud"), text: nothingToSend(nodes) });
  const platforms = await ready();
  const exits = unsent(nodes.filter(isThere));
  if (exits.length) await asOneStep(() => select(exits.map((exit) => inCloud(exit, platforms))));
}

function nothingToSend(nodes) {
  if (runsOf(nodes).length) return say("It runs in the cloud already.");
  if (nodes.some(isLast)) return say("What only saves or shows stays on this machine: select what is before it.");
  return say("Select nodes of which one makes an image, mask, video or audio: that comes back.");
}

/** Take the Run in Cloud nodes of this part away again, and select what is before them. */
export async function bringBack(nodes = selected()) {
  const runs = runsOf(nodes);
  const before = runs.map(sourceOf).filter(Boolean);
  await asOneStep(() => {
    for (const run of runs) linkInto(run, "value") ? takeAway(run) : choose(run, HERE);
    select(before);
  });
}

const ready = () => ask("forms").then(({ platforms }) => platforms, () => ({}));

/** Whether a node is still in its graph: another workflow may have been opened meanwhile. */
const isThere = (node) => node.graph?.getNodeById(node.id) === node;

/** The Run in Cloud node that now stands behind an exit. */
function inCloud(exit, platforms) {
  const there = exit.links && runBehind(exit);
  const run = there ?? window.LiteGraph.createNode(RUN);
  if (there) moveTo(run, exit.links.filter((link) => link.target_id !== run.id));
  else insertBehind(exit.node, exit.slot, run, exit.links);
  const cloud = firstCloud(whereOf(run)?.options?.values ?? [], platforms);
  if (cloud && (!there || whereOf(run).value === HERE)) choose(run, cloud);
  return run;
}

function sourceOf(run) {
  const link = linkInto(run, "value");
  return link && run.graph.getNodeById(link.origin_id);
}

const select = (nodes) => app.canvas.selectItems?.(nodes);

function choose(node, place) {
  const widget = whereOf(node);
  if (!widget) return;
  widget.value = place;
  widget.callback?.(place);
}

/** Do something that one undo takes back: that, and nothing that the editor had not noted before. */
export async function asOneStep(act) {
  const { canvas } = app;
  noteState();
  canvas.emitBeforeChange?.();
  canvas.graph?.beforeChange?.();
  try {
    act();
    canvas.setDirty(true, true);
    await settled(canvas.graph);
  } finally {
    canvas.graph?.afterChange?.();
    canvas.emitAfterChange?.();
  }
}
