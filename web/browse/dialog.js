// The dialog of all models: search and filters, the grid, and below it all that is known of the active one.
import { button, el } from "../jobs/elements.js";
import { ask } from "../server.js";
import { say } from "../words.js";
import { cardOf, showExample } from "./card.js";
import { anything, matching } from "./filter.js";
import { Grid } from "./cards.js";
import { Tools } from "./tools.js";
import { countWords, expected, takesLines } from "./words.js";

const LIST = "skyport-models";

export class ModelDialog {
  /** node: {type, title, model} to choose for, or null; on: {use(model, whether on that node), key(platform), closed()} */
  constructor({ node, ...on }) {
    Object.assign(this, { node, on, wanted: { ...anything(), node: node?.type ?? "" }, models: [], platforms: [], tasks: [] });
    const close = () => this.element.close();
    this.tools = new Tools(LIST, node?.title, { choose: (change) => this.#choose(change), key: (event) => this.#typed(event), close });
    this.grid = new Grid(LIST, {
      make: (model) => this.#card(model),
      shown: showExample,
      active: (model) => this.#tell(model),
      use: (model) => this.#use(model),
    });
    this.status = el("div.status", { role: "status" }, say("Loading..."));
    this.about = el("div.about");
    this.element = el("dialog.browse", { "aria-label": say("Models") }, this.tools.element, this.status, this.grid.element, this.about);
    this.element.addEventListener("keydown", (event) => event.stopPropagation()); // the editor has meanings of its own for keys
    this.element.addEventListener("close", () => this.#closed());
    this.element.addEventListener("pointerdown", ({ target }) => target === this.element && close()); // beside it
  }

  /** Show it, and then what the server knows. */
  async open() {
    document.body.append(this.element);
    this.element.showModal();
    this.tools.search.focus();
    try {
      const { models, platforms, tasks } = await ask("models");
      Object.assign(this, { models, platforms, tasks });
      this.tools.offer(tasks, platforms);
      this.#show();
    } catch (error) {
      this.status.replaceChildren(error.message);
    }
  }

  #closed() {
    this.grid.destroy();
    this.element.remove();
    this.on.closed();
  }

  #choose({ own, ...change }) {
    const node = own === undefined ? this.wanted.node : own ? this.node.type : "";
    Object.assign(this.wanted, change, { node });
    this.#show();
  }

  #show() {
    const found = matching(this.models, this.wanted, (model) => this.#isReady(model));
    this.status.replaceChildren(found.length ? countWords(found.length, this.models.length) : say("No model is like that."));
    const { text } = this.wanted;
    this.grid.show(found, text ? 0 : found.findIndex((model) => this.#isChosen(model)));
  }

  /** In the search box, keys that move the caret do so. */
  #typed(event) {
    this.grid.key(event, !event.target.value);
  }

  #isReady = ({ platform, choices }) => {
    const names = choices ? choices.map((one) => one.platform) : [platform];
    return this.platforms.some(({ name, ready }) => ready && names.includes(name));
  };

  #isOwn = ({ node, nodes }) => Boolean(this.node) && (node === this.node.type || (nodes ?? []).includes(this.node.type));

  #isChosen = (model) => this.#isOwn(model) && model.model === this.node.model;

  #card(model) {
    return cardOf(model, this.#aboutOf(model), { use: (one) => this.#use(one), key: (one) => this.#key(one) });
  }

  #aboutOf(model) {
    const taskLabel = this.tasks.find(({ name }) => name === model.task)?.label ?? model.task;
    return { platforms: this.platforms, taskLabel, ready: this.#isReady(model), chosen: this.#isChosen(model) };
  }

  /** Everything that is known of the active model, and what can be done with it. */
  #tell(model) {
    this.tools.search.setAttribute("aria-activedescendant", this.grid.activeId);
    this.about.replaceChildren(...(model ? this.#detail(model) : []));
  }

  #detail(model) {
    const name = model.label === model.model ? model.label : say("{words} ({limits})", { words: model.label, limits: model.model });
    const lines = [...takesLines(model), model.help, expected(model, this.platforms)].filter(Boolean);
    const key = this.#isReady(model) ? [] : [button(say("Set the key"), "key", () => this.#key(model))];
    const use = button(this.#isOwn(model) ? say("Use on this node") : say("Use"), "plus", () => this.#use(model));
    use.classList.add("skyport-main");
    return [
      el("div.lines", {}, el("strong", {}, name), ...lines.map((words) => el("p", {}, words))),
      el("div.acts", {}, ...key, use),
    ];
  }

  #use(model) {
    this.element.close();
    this.on.use(model, this.#isOwn(model));
  }

  #key({ platform, choices }) {
    this.element.close();
    this.on.key(platform || choices[0].platform);
  }
}
