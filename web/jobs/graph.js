// The job list and the open graph: a result goes into it, and the node that ran a job is shown.
import { app } from "../../../scripts/app.js";
import { freeCorner } from "./ground.js";
import { findNode, ranIt } from "./path.js";

const LOADER = "SkyportLoadResult";

/** Put a node that loads the result of `row` near the middle of what is seen, on free ground; false where there is no such node. */
export function load(row) {
  const node = window.LiteGraph.createNode(LOADER);
  const graph = app.canvas?.graph ?? app.graph;
  if (!node || !graph) return false;
  putOnFreeGround(node, graph);
  graph.add(node);
  choose(node, row.line);
  app.canvas.deselectAll?.();
  app.canvas.selectNode?.(node);
  graph.setDirtyCanvas(true, true);
  return true;
}

const TITLE = 30; // the bar above a node's position

/** Move `node` to where it covers no other one, near the middle of what is seen. */
export function putOnFreeGround(node, graph) {
  const seen = viewed();
  const size = [node.size[0], node.size[1] + TITLE];
  const middle = [0, 1].map((axis) => seen[axis] + (seen[axis + 2] - size[axis]) / 2);
  const others = (graph.nodes ?? graph._nodes).filter((one) => one !== node);
  const boxes = others.map(({ pos, size: [width, height] }) => [pos[0], pos[1] - TITLE, width, height + TITLE]);
  const [x, y] = freeCorner(middle, size, boxes);
  node.pos = [x, y + TITLE];
  if (Math.abs(x - middle[0]) > seen[2] / 2 || Math.abs(y - middle[1]) > seen[3] / 2) app.canvas.centerOnNode(node);
}

/** The box of the graph that is seen. */
function viewed() {
  const { offset, scale } = app.canvas.ds;
  const { clientWidth, clientHeight } = app.canvas.canvas;
  return [-offset[0], -offset[1], clientWidth / scale, clientHeight / scale];
}

function choose(node, line) {
  const widget = node.widgets?.find((one) => one.name === "job");
  if (!widget) return;
  const values = widget.options?.values;
  if (Array.isArray(values) && !values.includes(line)) widget.options.values = [...values, line];
  widget.value = line;
  widget.callback?.(line);
}

/** Select and centre the node that ran `row`; false where it is not in the open graph. */
export function show(row) {
  const found = findNode(app.rootGraph ?? app.graph, row.node);
  if (!found || !ranIt(found.node.type, row.platform)) return false;
  const { canvas } = app;
  if (canvas.graph !== found.graph) canvas.setGraph?.(found.graph);
  canvas.deselectAll?.();
  canvas.selectNode?.(found.node);
  canvas.centerOnNode(found.node);
  canvas.setDirty?.(true, true);
  return true;
}
