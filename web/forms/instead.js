// Chooses another option in place of one that is gone, and keeps values and links. Pure: nodes are the editor's.
import { linkInto } from "../links.js";
import { keepingLinks } from "./sockets.js";
import { KEPT, isGone, keyOf, remembered, valuesOf } from "./values.js";

/** The widgets of a node that hold something they do not offer; a linked one sends what comes by its link. */
export const goneWidgets = (node) => (node.widgets ?? []).filter((one) => isGone(one) && !linkInto(node, one.name));

/** Set `widget` of `node` to `value`; what the new form takes of the old values stays. */
export function useInstead(node, widget, value) {
  const kept = remembered(node.properties?.[KEPT], valuesOf(node));
  keepingLinks(node, widget.name, () => {
    widget.value = value;
    widget.callback?.(value);
    const below = node.widgets.filter(({ name }) => name.startsWith(`${widget.name}.`));
    for (const one of below) if (takes(one, kept[keyOf(one)])) one.value = kept[keyOf(one)];
  });
}

/** Whether a widget can hold a value that another form held under its name. */
function takes({ value, options }, kept) {
  if (kept === undefined || typeof kept !== typeof value) return false;
  if (Array.isArray(options?.values)) return options.values.includes(kept);
  if (typeof kept !== "number") return true;
  return kept >= (options?.min ?? -Infinity) && kept <= (options?.max ?? Infinity);
}
