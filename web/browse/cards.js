// The grid of cards: draws only those that are seen, so that a thousand scroll as well as ten.
import { el } from "../jobs/elements.js";
import { say } from "../words.js";
import { GAP, ROW, columnsOf, reveal, rowsOf, stepped, windowOf } from "./grid.js";

export class Grid {
  /** id: of its element; on: {make(model): card, shown(card, model), active(model), use(model)} */
  constructor(id, on) {
    Object.assign(this, { id, on, models: [], active: -1, drawn: new Map(), columns: 1 });
    this.spacer = el("div.spacer", { role: "presentation" });
    const about = { id, role: "listbox", tabindex: "0", "aria-label": say("Models") };
    this.element = el("div.list", { ...about, onscroll: () => this.draw(), onkeydown: (event) => this.key(event) }, this.spacer);
    this.sizes = new ResizeObserver(() => this.#resized());
    this.sizes.observe(this.element);
  }

  destroy() {
    this.sizes.disconnect();
  }

  show(models, active) {
    for (const { card } of this.drawn.values()) card.remove();
    this.drawn.clear();
    this.models = models;
    this.element.scrollTop = 0;
    this.#layOut();
    this.activate(models.length ? Math.max(0, active) : -1);
  }

  /** Answers whether the key was one of the grid's. */
  key(event, sideways = true) {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return false;
    const { clientHeight } = this.element;
    const isSideways = ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key);
    const to = isSideways && !sideways ? null : stepped(event.key, this.active, this.models.length, this.columns, clientHeight);
    if (to !== null) this.activate(to);
    else if (event.key === "Enter" && this.active >= 0) this.on.use(this.models[this.active]);
    else return false;
    event.preventDefault();
    return true;
  }

  activate(at) {
    this.active = at;
    const { scrollTop, clientHeight } = this.element;
    if (at >= 0 && clientHeight) this.element.scrollTop = reveal(at, this.columns, scrollTop, clientHeight);
    this.draw();
    this.on.active(this.models[at] ?? null);
  }

  /** The element's id of the active card, "" for none. */
  get activeId() {
    return this.active < 0 ? "" : this.#idOf(this.active);
  }

  #idOf(at) {
    return `${this.id}-${at}`;
  }

  #resized() {
    this.#layOut();
    this.activate(this.active);
  }

  #layOut() {
    this.columns = columnsOf(this.spacer.clientWidth);
    this.spacer.style.height = `${rowsOf(this.models.length, this.columns) * ROW}px`;
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    if (!clientHeight) return;
    const { from, to } = windowOf(scrollTop, clientHeight, this.models.length, this.columns);
    for (const [at, { card }] of this.drawn)
      if (at < from || at >= to) {
        card.remove();
        this.drawn.delete(at);
      }
    for (let at = from; at < to; at++) this.#position(at, at - from);
    this.element.setAttribute("aria-activedescendant", this.activeId);
  }

  /** `nth` is its position among the elements, which a screen reader follows. */
  #position(at, nth) {
    if (!this.drawn.has(at)) this.drawn.set(at, { card: this.#made(at) });
    const { card } = this.drawn.get(at);
    const there = this.spacer.children[nth];
    if (there !== card) this.spacer.insertBefore(card, there ?? null);
    const width = (this.spacer.clientWidth - GAP * (this.columns - 1)) / this.columns;
    const [x, y] = [(at % this.columns) * (width + GAP), Math.floor(at / this.columns) * ROW];
    Object.assign(card.style, { width: `${width}px`, height: `${ROW - GAP}px`, transform: `translate(${x}px, ${y}px)` });
    card.setAttribute("aria-selected", at === this.active);
  }

  #made(at) {
    const model = this.models[at];
    const card = this.on.make(model);
    card.id = this.#idOf(at);
    card.setAttribute("aria-posinset", at + 1);
    card.setAttribute("aria-setsize", this.models.length);
    card.addEventListener("click", () => this.activate(at));
    card.addEventListener("dblclick", () => this.on.use(model));
    this.on.shown(card, model);
    return card;
  }
}
