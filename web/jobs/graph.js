// The job list and the open graph: a result goes into it, and the node that ran a job is shown.
import { app } from "../../../scripts/app.js";
import { findNode, ranIt } from "./path.js";

const LOADER = "SkyportLoadResult";

/** Put a node that loads the result of `row` in the middle of what is seen; false where there is no such node. */
export function load(row) {
  const node = window.LiteGraph.createNode(LOADER);
  const graph = app.canvas?.graph ?? app.graph;
  if (!node || !graph) return false;
  const { offset, scale } = app.canvas.ds;
  const { clientWidth, clientHeight } = app.canvas.canvas;
  const middle = [clientWidth / 2 / scale - offset[0], clientHeight / 2 / scale - offset[1]];
  node.pos = [middle[0] - node.size[0] / 2, middle[1] - node.size[1] / 2];
  graph.add(node);
  choose(node, row.line);
  app.canvas.deselectAll?.();
  app.canvas.selectNode?.(node);
  graph.setDirtyCanvas(true, true);
  return true;
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
