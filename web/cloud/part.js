// A part of a graph, given by the nodes that are selected: where its values leave it, and what stands there.
// Pure: the nodes are the editor's.
import { linksOutOf } from "../links.js";
import { HERE, RUN, isLast, leadsOn, outputsFor, whereOf } from "./graph.js";
import { targetOf } from "./insert.js";

/** The nodes among selected items; those of a group are selected with it. */
export function nodesOf(items) {
  const found = [...items].flatMap((item) => (item.outputs ? [item] : [...(item.children ?? [])]));
  return [...new Set(found)].filter((node) => node.outputs);
}

/** {node, slot, links} of the outputs behind which Run in Cloud belongs: `links` leave the part, which ends
 * before what only saves or shows. At the end of a graph, where a node is linked to nothing, each of its
 * media leaves it. */
export function exitsOf(nodes) {
  const inside = new Set(nodes.filter((node) => !isLast(node)));
  return nodes.flatMap((node) =>
    outputsFor(RUN, node)
      .map(([slot]) => ({ node, slot, links: leaving(node, slot, inside) }))
      .filter(({ links }) => links.length || !leadsOn(node)),
  );
}

function leaving(node, slot, inside) {
  return linksOutOf(node, slot).filter((link) => !inside.has(targetOf(node.graph, link)));
}

/** The Run in Cloud node that stands behind an exit, if one does. */
export const runBehind = ({ node, links }) =>
  links.map((link) => targetOf(node.graph, link)).find((target) => target?.type === RUN);

const isAway = (node) => node?.type === RUN && whereOf(node)?.value !== HERE;

/** Whether all that leaves an exit has run in a cloud. */
const isSent = (exit) => exit.links.length > 0 && exit.links.every((link) => isAway(targetOf(exit.node.graph, link)));

/** The exits that do not lead into a cloud yet. */
export const unsent = (nodes) => exitsOf(nodes).filter((exit) => !isSent(exit));

/** The Run in Cloud nodes that send this part: those in it, and those behind it. */
export function runsOf(nodes) {
  const behind = exitsOf(nodes).flatMap(({ node, links }) => links.map((link) => targetOf(node.graph, link)));
  return [...new Set([...nodes, ...behind])].filter(isAway);
}
