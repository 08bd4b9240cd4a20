// The texts of our scripts: English stands in the code, Chinese in words.zh.js. Knows no ComfyUI.
import chinese from "./words.zh.js";

let chosen = () => "en";

/** Ask `read` from now on for the editor's locale ("en", "zh", "zh-TW"...). */
export function follow(read) {
  chosen = read;
}

/** "en" or "zh": the editor's language if we have it, else English. */
export function language() {
  return String(chosen() ?? "").toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** `text` in the user's language with its {placeholders} filled in. `text` must be a literal. */
export function say(text, values = {}) {
  const told = language() === "zh" ? chinese[text] ?? text : text;
  return told.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
