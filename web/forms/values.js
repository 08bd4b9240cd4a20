// What a form holds, by name. Knows no ComfyUI: nodes are plain objects.

/** The name in a node's properties under which its values are saved. */
export const KEPT = "skyport_values";

const saved = (widget) => widget.serialize !== false && !widget.name.startsWith("$$");

/** {name: value} of every widget that a workflow keeps, in order. */
export function valuesOf(node) {
  return Object.fromEntries((node.widgets ?? []).filter(saved).map(({ name, value }) => [name, value]));
}

/** What a file must hold for the form that `node` has now, where its `kept` was saved by another form;
 * null where the saved positions are right. A widget without a kept value keeps its own. */
export function refitted(node, kept) {
  const now = valuesOf(node);
  if (same(Object.keys(now), Object.keys(kept))) return null;
  const named = Object.fromEntries(Object.entries(now).map(([name, value]) => [name, name in kept ? kept[name] : value]));
  const inOrder = node.widgets.filter((widget) => widget.serialize !== false);
  return { named, positions: inOrder.map(({ name, value }) => (name in named ? named[name] : value)) };
}

/** Whether a choice holds something that it does not offer. */
export function isGone(choice) {
  const offered = choice?.options?.values;
  return Array.isArray(offered) && Boolean(choice.value) && !offered.includes(choice.value);
}

/** `now`, and what was kept of widgets that are not there while their choice is not offered. */
export const remembered = (kept, now) => ({ ...kept, ...now });

const same = (one, other) => one.length === other.length && one.every((name, at) => name === other[at]);
