// Gives a node on the canvas the choices of a new catalogue, and keeps what it holds.
import { keepingLinks } from "./sockets.js";
import { KEPT, isGone, keyOf, remembered, valuesOf } from "./values.js";

const KIND = "COMFY_DYNAMICCOMBO_V3";
const fitted = new WeakMap(); // node -> {name: options} it was brought up to date with

/** The names of the choices of a node that bring other widgets along. */
export function choicesOf(node) {
  return Object.entries(inputsOf(node)).filter(([, [kind]]) => kind === KIND).map(([name]) => name);
}

/** Bring every such choice of `node` up to date with `inputs`, the node's new definition. */
export function refit(node, inputs, app) {
  for (const name of choicesOf(node)) {
    const old = optionsOf(node, name);
    const offered = inputs[name]?.[1]?.options;
    if (!offered || JSON.stringify(offered) === JSON.stringify(old)) continue;
    keepingLinks(node, name, () => replace(node, name, { old, offered, about: inputs[name][1] }, app));
  }
}

export function inputsOf(node) {
  const { input } = node.constructor?.nodeData ?? {};
  return { ...input?.required, ...input?.optional };
}

const optionsOf = (node, name) => fitted.get(node)?.[name] ?? inputsOf(node)[name]?.[1]?.options ?? [];

/** The editor makes such a choice once: a new one takes the place of the old one. */
function replace(node, name, { old, offered, about }, app) {
  const before = node.widgets.find((widget) => widget.name === name);
  if (!before) return;
  const values = remembered(isGone(before) ? node.properties?.[KEPT] : {}, valuesOf(node));
  // The one that is chosen comes first, since a new choice begins with its first option and would
  // cut the links of the others. It stays even where it is not offered any more.
  const own = [...offered, ...old].find(({ key }) => key === before.value);
  const options = [own, ...offered.filter(({ key }) => key !== own?.key)].filter(Boolean);
  const size = [...node.size];
  const at = node.widgets.indexOf(before);
  node.widgets.splice(at, 1); // newer editors would give the new one another name beside it
  const { widget } = app.widgets[KIND](node, name, [KIND, { ...about, options }], app);
  take(node, at, widget);
  widget.options.values = offered.map(({ key }) => key);
  for (const trait of ["label", "tooltip"]) if (before[trait]) widget[trait] = before[trait];
  if (!own) widget.value = before.value;
  putBack(node, values);
  fitted.set(node, { ...fitted.get(node), [name]: offered });
  node.setSize?.([Math.max(size[0], node.size[0]), Math.max(size[1], node.computeSize()[1])]);
}

/** Put `widget` and what it brought at position `at`. */
function take(node, at, widget) {
  const nested = (one) => one === widget || one.name.startsWith(`${widget.name}.`);
  const made = node.widgets.filter(nested);
  for (const one of made) node.widgets.splice(node.widgets.indexOf(one), 1);
  node.widgets.splice(at, 0, ...made);
}

/** Values by name, where a widget of that name is there and takes them. */
export function putBack(node, values) {
  for (const widget of [...node.widgets]) {
    const kept = values[keyOf(widget)];
    if (kept !== undefined && kept !== widget.value) widget.value = kept;
  }
}

export const goneOf = (node) =>
  choicesOf(node).map((name) => node.widgets?.find((widget) => widget.name === name)).filter(isGone);
