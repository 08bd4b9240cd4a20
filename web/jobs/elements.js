// Makes elements. Text is only ever text: nothing here reads HTML.

/** An element: el("button.primary", {onclick, "aria-label": "..."}, "text", child, ...). */
export function el(kind, about = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  made.className = classes.map((name) => `skyport-${name}`).join(" ");
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export const icon = (name) => el("i", { class: `pi pi-${name}`, "aria-hidden": "true" });

/** A button with an icon and a name; where `label` is false, the name is only a tooltip. */
export function button(name, picture, onclick, label = true) {
  const about = { type: "button", onclick, title: name, "aria-label": name };
  return el(label ? "button.button" : "button.button.icon", about, icon(picture), label ? name : "");
}

/** How much of a job is done. */
export const bar = (share) =>
  el("span.bar", { "aria-hidden": "true" }, el("span.done", { style: `width: ${Math.round(share * 100)}%` }));
