// What a form holds, by name. Knows no ComfyUI: nodes are plain objects.

/** The name in a node's properties under which its values are saved. */
export const KEPT = "skyport_values";

const saved = (widget) => widget.serialize !== false && !widget.name.startsWith("$$");

const CHANGES = ["fixed", "increment", "decrement", "randomize"];

/** Whether it says how a seed changes after each run. Editors give it different names. */
export const isControl = ({ options }) => Array.isArray(options?.values) && CHANGES.every((one) => options.values.includes(one));

const CONTROL = "control_after_generate";

/** The name under which a widget's value is kept: the same in every editor. */
export const keyOf = (widget) => (isControl(widget) ? CONTROL : widget.name);

/** `kept` under the names of today: older editors call a control by one of its choices. */
const renamed = (kept) => Object.fromEntries(Object.entries(kept ?? {}).map(([name, value]) => [CHANGES.includes(name) ? CONTROL : name, value]));

/** {name: value} of every widget that a workflow keeps, in order. */
export function valuesOf(node) {
  return Object.fromEntries((node.widgets ?? []).filter(saved).map((widget) => [keyOf(widget), widget.value]));
}

/** What a file must hold for the form that `node` has now, where `file`, its kept values, is of another form;
 * null where the saved positions are right. A widget without a kept value keeps its own. */
export function refitted(node, file) {
  const kept = renamed(file);
  if (same(Object.keys(valuesOf(node)), Object.keys(kept))) return null;
  const valueOf = (widget) => (saved(widget) && keyOf(widget) in kept ? kept[keyOf(widget)] : widget.value);
  const named = Object.fromEntries(node.widgets.filter(saved).map((widget) => [widget.name, valueOf(widget)]));
  return { named, positions: node.widgets.filter((widget) => widget.serialize !== false).map(valueOf) };
}

/** Whether a choice holds something that it does not offer. */
export function isGone(choice) {
  const offered = choice?.options?.values;
  return Array.isArray(offered) && Boolean(choice.value) && !offered.includes(choice.value);
}

/** `now`, and what was kept of widgets that are not there while their choice is not offered. */
export const remembered = (kept, now) => ({ ...renamed(kept), ...now });

const same = (one, other) => one.length === other.length && one.every((name, at) => name === other[at]);
