// What a platform calls its fields: editors show the plain names of what a choice brings along.

/** Show the names that `form`, {name: [type, about]}, gives the widgets and sockets below the choice `name`. */
export function showNames(node, name, form) {
  const shown = (full) => full.startsWith(`${name}.`) && form[full.slice(name.length + 1)]?.[1]?.display_name;
  for (const widget of node.widgets ?? []) if (shown(widget.name)) widget.label = shown(widget.name);
  for (const input of node.inputs ?? []) if (!input.widget && shown(input.name)) input.localized_name = shown(input.name);
}
