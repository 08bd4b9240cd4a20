// A choice that is not offered takes its sockets away, and their links: they are put back as the file
// had them.
import { goneOf } from "./refit.js";

/** Give `node` back the sockets below a missing choice that `file` tells of. */
export function restoreSockets(node, file) {
  for (const { name } of goneOf(node))
    for (const told of file.inputs ?? [])
      if (told.name.startsWith(`${name}.`) && !told.widget) restore(node, told);
}

function restore(node, told) {
  if (node.inputs.some((input) => input.name === told.name)) return;
  const input = node.addInput(told.name, told.type, { label: told.label, localized_name: told.localized_name });
  const link = node.graph?.links?.get?.(told.link) ?? node.graph?.links?.[told.link];
  if (!link) return;
  input.link = told.link;
  link.target_slot = node.inputs.indexOf(input);
}
