// A line of ours on a node: below it on the canvas, among its badges where nodes are elements.
import { app } from "../../../scripts/app.js";

const COLOURS = { good: "#2d5a3d", warn: "#8a5a00", bad: "#8f2f2c" };
const GAP = 4; // px between a node and its line
const prepared = new WeakSet();
let shown = new Map(); // node -> {line, badge}
let none = null; // it is not drawn

/** Once for each node, before it is drawn: where nodes are elements, a list of badges is read but once. */
export function prepare(node) {
  if (!window.LGraphBadge || !node.badges || prepared.has(node)) return;
  prepared.add(node);
  none ??= onlyBelow(new window.LGraphBadge({ text: "" }));
  node.badges.push(() => {
    void node.outputs?.length; // what is read here is watched: see `redraw`
    return shown.get(successor(node))?.badge ?? none;
  });
}

/** Show these lines, {text, tone, job} by node, and no others; `onClick(line)` where one is pressed. */
export function paint(lines, onClick) {
  const before = shown;
  for (const node of lines.keys()) prepare(node);
  shown = new Map([...lines].map(([node, line]) => [node, same(before.get(node), line) ?? made(node, line, onClick)]));
  for (const node of new Set([...before.keys(), ...shown.keys()])) if (before.get(node) !== shown.get(node)) redraw(node);
}

/** The number of the job that the line of a node speaks of; undefined where it has none. */
export const jobOf = (node) => shown.get(successor(node))?.line.job;

const same = (old, line) => (old && JSON.stringify(old.line) === JSON.stringify(line) ? old : null);

/** The node that stands where `node` stood: undo makes new nodes, but not new elements. */
function successor(node) {
  const graph = app.canvas?.graph;
  const here = graph && node.graph?.id === graph.id;
  return (here && graph.getNodeById(node.id)) || node;
}

function made(node, line, onClick) {
  const badge = new window.LGraphBadge({
    text: line.text,
    fgColor: "#fff",
    bgColor: COLOURS[line.tone],
    onClick: line.job ? () => onClick(line) : undefined,
  });
  hide(badge, { isOutcome: true });
  return { line, badge: onlyBelow(badge, node) };
}

/** Takes no room among the badges above the node. */
function onlyBelow(badge, node) {
  const { getWidth, draw } = badge;
  let drawing = false;
  return hide(badge, {
    getWidth: (ctx) => (drawing ? getWidth.call(badge, ctx) : 0),
    draw: (ctx) => {
      drawing = true;
      if (node) draw.call(badge, ctx, 0, (node.flags?.collapsed ? 0 : node.size[1]) + GAP);
      drawing = false;
    },
  });
}

/** Nodes drawn as elements make attributes of what can be listed. */
function hide(badge, about) {
  for (const [name, value] of Object.entries(about)) Object.defineProperty(badge, name, { value });
  return badge;
}

/** An element is drawn anew when something changes that its badges have read. */
function redraw(node) {
  node.outputs?.push(undefined);
  node.outputs?.pop();
}
