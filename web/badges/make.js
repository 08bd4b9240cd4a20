// A badge whose text the node's width may cut: where nodes are elements it has all of it as tooltip and as name.
import { fittedBadge } from "./fit.js";

/** `whole` is the text in full; `onClick` makes it a button, which keys press too. */
export function makeBadge(node, { text, whole = text, color, cssIcon = "", onClick, ...about }) {
  const badge = fittedBadge(node, { text, fgColor: "#fff", bgColor: color, onClick, ...about });
  badge.cssIcon = `${cssIcon} skyport-badge`; // see badges.css
  // The editor gives the element of a badge what it does not know itself.
  return Object.assign(badge, { title: whole, ...(onClick && button(whole, onClick)) });
}

const button = (name, press) => ({
  role: "button",
  tabindex: 0,
  "aria-label": name,
  onKeydown(event) {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation(); // the editor has meanings of its own for keys
    press();
  },
});
