// Puts a node with one value in and out behind an output of another one. Pure: the graph is the editor's.
import { freePlace } from "./graph.js";

/** Put `made` behind output `slot` of `node`: it takes over whatever was linked there. */
export function insertBehind(node, slot, made) {
  const { graph } = node;
  const others = (graph.nodes ?? []).map(boxOf);
  graph.add(made);
  made.pos = freePlace(boxOf(node), made.size, others);
  const links = [...(node.outputs[slot].links ?? [])].map((id) => linkOf(graph, id)).filter(Boolean);
  // The value first: only then has the output a type.
  node.connect(slot, made, made.inputs.findIndex((input) => input.name === "value"));
  for (const link of links) takeOver(graph, made, link);
}

const boxOf = ({ pos, size }) => [pos[0], pos[1], size[0], size[1]];

const linkOf = (graph, id) => graph.getLink?.(id) ?? graph.links?.get?.(id) ?? graph.links?.[id];

function takeOver(graph, made, { target_id, target_slot, parentId }) {
  const target = graph.getNodeById(target_id);
  if (target) made.connect(0, target, target_slot, parentId);
  // The way out of a subgraph is no node of it.
  else if (graph.outputNode?.id === target_id) graph.outputs[target_slot]?.connect(made.outputs[0], made, parentId);
}
