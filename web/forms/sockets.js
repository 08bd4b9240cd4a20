// A choice that is not offered takes its sockets away, and their links: they are put back as the file
// had them.
import { linkInto } from "../links.js";
import { goneOf } from "./refit.js";

/** {input name: where its link comes from}; to be read before `node` is configured, which cuts some. */
export const originsInFile = (node, file) => byName((file.inputs ?? []).map(({ name, link }) => [name, linkOf(node.graph, link)]));

/** The same of the links that `node` has now. */
export const originsOf = (node) => byName((node.inputs ?? []).map(({ name }) => [name, linkInto(node, name)]));

const byName = (links) => Object.fromEntries(links.filter(([, link]) => link).map(([name, link]) => [name, originOf(link)]));

const linkOf = (graph, id) => graph?.links?.get?.(id) ?? graph?.links?.[id];

const originOf = ({ origin_id, origin_slot, parentId }) => ({ origin_id, origin_slot, parentId });

/** Give `node` back the sockets below a missing choice that `file` tells of. */
export function restoreSockets(node, file) {
  for (const told of socketsBelowGone(node, file.inputs ?? []))
    if (!node.inputs.some((input) => input.name === told.name)) restore(node, told);
}

/** Link them again, once all nodes of the graph are there. */
export function reconnect(node, origins) {
  for (const { name } of socketsBelowGone(node, node.inputs ?? [])) {
    const slot = node.inputs.findIndex((input) => input.name === name);
    if (origins[name] && !node.isInputConnected(slot)) connect(node, slot, origins[name]);
  }
}

/** Do something that makes the sockets below the choice `name` anew, and link them as they were. Where it
 * then holds what it does not offer, the sockets stay too. */
export function keepingLinks(node, name, act) {
  const before = (node.inputs ?? []).filter((input) => input.name.startsWith(`${name}.`));
  const sockets = before.map(({ name, type, label, localized_name, widget }) => ({ name, type, label, localized_name, widget }));
  const origins = Object.entries(originsOf(node)).filter(([socket]) => socket.startsWith(`${name}.`));
  act();
  for (const socket of socketsBelowGone(node, sockets))
    if (!node.inputs.some((input) => input.name === socket.name)) addSocket(node, socket);
  for (const [socket, origin] of origins) {
    const slot = node.inputs.findIndex((input) => input.name === socket);
    if (slot >= 0 && !node.isInputConnected(slot)) connect(node, slot, origin);
  }
}

function socketsBelowGone(node, inputs) {
  const gone = goneOf(node);
  return inputs.filter((input) => !input.widget && gone.some(({ name }) => input.name.startsWith(`${name}.`)));
}

function restore(node, told) {
  const input = addSocket(node, told);
  const link = linkOf(node.graph, told.link);
  // Newer editors compute `link`, and cut it here: `reconnect` makes a new one.
  if (!link || isComputed(input, "link")) return;
  input.link = told.link;
  link.target_slot = node.inputs.indexOf(input);
}

const addSocket = (node, { name, type, label, localized_name }) => node.addInput(name, type, { label, localized_name });

function isComputed(object, name) {
  for (let one = object; one; one = Object.getPrototypeOf(one)) {
    const property = Object.getOwnPropertyDescriptor(one, name);
    if (property) return Boolean(property.get);
  }
  return false;
}

/** Link a slot of `node` to where a link came from; nothing happens where that is gone. */
export function connect(node, slot, { origin_id, origin_slot, parentId }) {
  const { graph } = node;
  const source = graph.getNodeById(origin_id);
  if (source) source.connect(origin_slot, node, slot, parentId);
  else if (graph.inputNode?.id === origin_id) graph.inputNode.slots[origin_slot]?.connect(node.inputs[slot], node, parentId);
}
