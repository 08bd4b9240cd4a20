// Links, read in the way that every version of the editor allows. Pure: the graph is the editor's.

/** The link into the input of that name; null for none. */
export function linkInto(node, name) {
  const slot = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return slot < 0 || !node.graph ? null : node.getInputLink(slot); // of a node that is being made, some throw
}

/** The link into an input of any node; of a subgraph, `getInputLink` gives one that is inside. */
export const linkAt = (node, slot) =>
  [...node.graph.links.values()].find(({ target_id, target_slot }) => target_id === node.id && target_slot === slot);

/** The links that leave an output. */
export function linksOutOf(node, slot) {
  const isFromThere = ({ origin_id, origin_slot }) => origin_id === node.id && origin_slot === slot;
  return node.isOutputConnected(slot) ? [...node.graph.links.values()].filter(isFromThere) : [];
}
