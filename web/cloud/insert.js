// Puts a node with one value in and out behind an output of another one, or takes it away. Pure: the graph is
// the editor's.
import { linkInto, linksOutOf } from "../links.js";
import { freePlace } from "./graph.js";

/** The node that a link ends at; none for the way out of a subgraph. */
export const targetOf = (graph, link) => graph.getNodeById(link.target_id);

/** Put `made` behind output `slot` of `node`: it takes over `links`, or whatever was linked there. */
export function insertBehind(node, slot, made, links = linksOutOf(node, slot)) {
  const { graph } = node;
  const others = (graph.nodes ?? []).map(boxOf);
  graph.add(made);
  made.pos = freePlace(boxOf(node), made.size, others);
  // The value first: only then has the output a type.
  node.connect(slot, made, valueOf(made));
  moveTo(made, links);
}

/** Let output 0 of `made` take over links. */
export function moveTo(made, links) {
  for (const link of links) relink(made.graph, link, (...target) => made.connect(0, ...target), made);
}

/** Take away a node whose value is linked: what it was linked to takes the value from where it came. */
export function takeAway(made) {
  const { graph } = made;
  const source = linkInto(made, "value");
  const origin = graph.getNodeById(source.origin_id);
  for (const link of linksOutOf(made, 0))
    if (origin) relink(graph, link, (...target) => origin.connect(source.origin_slot, ...target), origin, source.origin_slot);
    else fromInput(graph, source.origin_slot, link);
  graph.remove(made);
}

const boxOf = ({ pos, size }) => [pos[0], pos[1], size[0], size[1]];

const valueOf = (node) => node.inputs.findIndex((input) => input.name === "value");

function relink(graph, link, connect, from, slot = 0) {
  const target = targetOf(graph, link);
  if (target) connect(target, link.target_slot, link.parentId);
  // The way out of a subgraph is no node of it.
  else if (graph.outputNode?.id === link.target_id) graph.outputs[link.target_slot]?.connect(from.outputs[slot], from, link.parentId);
}

/** A value that comes into a subgraph. */
function fromInput(graph, slot, link) {
  const target = targetOf(graph, link);
  if (target) graph.inputs[slot]?.connect(target.inputs[link.target_slot], target, link.parentId);
}
