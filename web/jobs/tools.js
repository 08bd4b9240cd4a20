// Search, filters and refresh, above the list.
import { say } from "../words.js";
import { button, el } from "./elements.js";
import { GROUP_WORDS } from "./format.js";

const TYPING = 250; // ms after a key until the search is made

export class Tools {
  /** on: {choose(change of the filter), refresh(), browse()} */
  constructor(filter, on) {
    this.filter = filter;
    const groups = Object.entries(GROUP_WORDS).map(([name, word]) => option(name, word(), filter.group));
    this.groups = choice(say("State"), (group) => on.choose({ group }));
    this.groups.append(...groups);
    this.platforms = choice(say("Platform"), (platform) => on.choose({ platform }));
    this.offer([]);
    this.element = el(
      "div.tools",
      {},
      el("div.choices", {}, this.#search(on), button(say("Browse models"), "th-large", on.browse, false), button(say("Refresh"), "refresh", on.refresh, false)),
      el("div.choices", {}, this.groups, this.platforms),
    );
  }

  destroy() {
    clearTimeout(this.typing);
  }

  /** The platforms there are: [{name, label}]. */
  offer(platforms) {
    const offered = [{ name: "", label: say("All platforms") }, ...platforms];
    this.platforms.replaceChildren(...offered.map(({ name, label }) => option(name, label, this.filter.platform)));
  }

  #search(on) {
    const field = el("input.search", {
      type: "search",
      value: this.filter.text,
      placeholder: say("Title, number, task id or prompt"),
      "aria-label": say("Search the jobs"),
      onkeydown: (event) => event.stopPropagation(), // the editor has meanings of its own for keys
      oninput: () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => on.choose({ text: field.value.trim() }), TYPING);
      },
    });
    return field;
  }
}

const option = (value, word, chosen) => el("option", { value, selected: value === chosen }, word);

const choice = (name, onchange) =>
  el("select", { "aria-label": name, onchange: (event) => onchange(event.target.value) });
