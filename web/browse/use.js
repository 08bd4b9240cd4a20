// Puts a model into the graph: as a new node, or into one that is there. Each is one step to undo.
import { app } from "../../../scripts/app.js";
import { asOneStep } from "../cloud/acts.js";
import { tell } from "../jobs/acts.js";
import { putOnFreeGround } from "../jobs/graph.js";
import { reloadForms } from "../models.js";
import { say } from "../words.js";

export const choiceOf = (node) => node.widgets?.find(({ name }) => name === "model");

/** Put a node of that model near the middle of what is seen, on free ground, and select it. */
export async function dropNode({ node: type, model, label }) {
  const graph = app.canvas?.graph ?? app.graph;
  let node = window.LiteGraph.createNode(type);
  if (node && !offers(node, model)) {
    await reloadForms(); // the list may have grown since the editor has read it
    node = window.LiteGraph.createNode(type);
  }
  if (!node || !offers(node, model)) return tell("error", say("There is no node for {model}. Restart ComfyUI.", { model: label }));
  await asOneStep(() => {
    graph.add(node);
    choose(node, model);
    putOnFreeGround(node, graph);
    app.canvas.deselectAll?.();
    app.canvas.selectNode?.(node);
  });
}

/** Choose that model on `node`, which keeps values and links as by its own list. */
export async function setModel(node, { model }) {
  if (!offers(node, model)) await reloadForms();
  await asOneStep(() => choose(node, model));
}

const offers = (node, model) => Boolean(choiceOf(node)?.options?.values?.includes(model));

function choose(node, model) {
  const widget = choiceOf(node);
  if (!widget || widget.value === model) return;
  widget.value = model;
  widget.callback?.(model);
}
