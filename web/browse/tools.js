// Search and filters above the grid.
import { button, el } from "../jobs/elements.js";
import { say } from "../words.js";
import { ALL, NONE } from "./filter.js";
import { kindWord } from "./words.js";

const MEDIA = ["image", "video", "audio"];

export class Tools {
  /** on: {choose(change of the filter), key(event of the search box), close()}; title: of the node it is for, if any */
  constructor(list, title, on) {
    this.search = this.#search(list, on);
    this.choices = el("div.choices");
    this.own = title ? el("input", { type: "checkbox", checked: true, onchange: ({ target }) => on.choose({ own: target.checked }) }) : null;
    this.on = on;
    this.element = el(
      "div.tools",
      {},
      el("div.head", {}, el("h2", {}, title ? say("Model for {title}", { title }) : say("Models")), button(say("Close"), "times", on.close, false)),
      this.search,
      this.choices,
      this.own && el("label.own", {}, this.own, say("Only models of this node")),
    );
  }

  /** What there is to filter by: [{name, label}] each. */
  offer(tasks, platforms) {
    const media = [...MEDIA.map((name) => ({ name, label: say("takes {media}", { media: kindWord(name) }) })), { name: NONE, label: say("needs no media") }];
    this.choices.replaceChildren(
      this.#choice("task", say("Task"), say("All tasks"), tasks),
      this.#choice("platform", say("Platform"), say("All platforms"), platforms),
      this.#choice("media", say("Media"), say("All media"), media),
    );
  }

  #choice(field, name, all, options) {
    const made = [{ name: ALL, label: all }, ...options].map(({ name: value, label }) => el("option", { value }, label));
    return el("select", { "aria-label": name, onchange: ({ target }) => this.on.choose({ [field]: target.value }) }, ...made);
  }

  #search(list, on) {
    return el("input.search", {
      type: "text",
      role: "combobox",
      autofocus: true,
      autocomplete: "off",
      spellcheck: "false",
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      "aria-controls": list,
      "aria-label": say("Search the models"),
      placeholder: say("Name, brand, task or platform"),
      oninput: ({ target }) => on.choose({ text: target.value }),
      onkeydown: on.key,
    });
  }
}
