// Where in a graph a node is that ComfyUI knows by its id. Pure.
import { linkAt } from "../links.js";

/** {node, graph} of an id such as "7", or "3:7": node 7 in the subgraph of node 3. */
export function findNode(graph, id) {
  let node = null;
  let within = null;
  for (const part of String(id).split(":")) {
    within = within ? node?.subgraph : graph;
    node = within?.getNodeById?.(Number(part)) ?? within?.getNodeById?.(part) ?? null;
    if (!node) return null;
  }
  return { node, graph: within };
}

/** The widget that sets an input of the node with that id: its own, or that of a subgraph around it to which the
 * input is led out; none where another node gives the value. */
export function widgetFor(graph, id, name) {
  const { node } = findNode(graph, id) ?? {};
  const slot = node?.inputs?.findIndex((input) => (input.widget?.name ?? input.name) === name) ?? -1;
  const link = slot < 0 ? undefined : linkAt(node, slot);
  if (!link) return node?.widgets?.find((widget) => widget.name === name);
  const { inputNode, inputs } = node.graph;
  if (link.origin_id !== inputNode?.id) return undefined;
  return widgetFor(graph, id.slice(0, id.lastIndexOf(":")), inputs[link.origin_slot].name);
}

/** Whether a node of this type may have run a job of that platform: another graph has the same ids. */
export function ranIt(type, platform) {
  const kind = String(type).toLowerCase();
  return kind.startsWith(`skyport${platform}`) || kind === "skyportrunincloud";
}
