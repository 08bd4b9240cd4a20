// The graph as it would be queued.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { everyNode } from "./cloud/graph.js";
import { isPatched } from "./wrap.js";

/** The editor numbers the nodes anew for a prompt: left so, it would take an undo more. */
export async function promptOf(graph) {
  const orders = [...everyNode(graph)].map(([, node]) => [node, node.order]);
  try {
    return await app.graphToPrompt();
  } finally {
    for (const [node, order] of orders) node.order = order;
  }
}

export const rootGraph = () => app.rootGraph ?? app.graph;

/** Whether another pack may change a prompt, by more links for example, only when it is queued. */
export const mayChangeLater = () =>
  isPatched(app, "graphToPrompt") || isPatched(app, "queuePrompt") || isPatched(api, "queuePrompt");
