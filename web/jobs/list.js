// The list of jobs: draws only the rows that are seen, so that thousands scroll as well as ten.
import { addressOf } from "../server.js";
import { say } from "../words.js";
import { hasResult, isUnderWay, isUnresolved } from "./book.js";
import { bar, button, el, icon } from "./elements.js";
import { age, costWord, headWords, seenWords, stateWord, toneOf } from "./format.js";
import { ROW, reveal, stepped, windowOf } from "./paging.js";

const CALM = 90; // ms without scrolling until pictures are asked for
const PICTURES = { video: "video", audio: "volume-up", text: "align-left", image: "image" };
let serial = 0;

export class JobList {
  /** on: {open(item), fold(prompt), near(to), load(row), cancel(item), fetch(row)} */
  constructor(on) {
    this.on = on;
    this.items = [];
    this.count = 0;
    this.active = -1;
    this.drawn = new Map(); // key -> {node, item}
    this.name = `skyport-jobs-${++serial}`;
    this.spacer = el("div.spacer", { role: "presentation" });
    this.element = el(
      "div.list",
      {
        role: "tree",
        tabindex: "0",
        "aria-label": say("Jobs"),
        onscroll: () => this.#scrolled(),
        onkeydown: (event) => this.#key(event),
        onfocus: () => this.active < 0 && this.items.length && this.#activate(0),
      },
      this.spacer,
    );
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.element);
  }

  destroy() {
    this.sizes.disconnect();
    clearTimeout(this.calm);
  }

  /** Show these items, as `grouped` gives them; `count` is how many there will be once all is loaded. */
  show(items, count) {
    const held = this.items[this.active]?.key;
    this.items = items;
    this.count = count;
    if (held !== undefined) this.#hold(held);
    this.spacer.style.height = `${count * ROW}px`;
    this.draw();
  }

  /** The chosen row stays chosen; where it is gone, the one that stands there now. */
  #hold(key) {
    const there = this.items.findIndex((item) => item.key === key);
    this.active = there >= 0 ? there : Math.min(this.active, this.items.length - 1);
  }

  /** The row of that key is the one that keys start from. */
  choose(key) {
    const there = this.items.findIndex((item) => item.key === key);
    if (there >= 0) this.#activate(there);
  }

  toTop() {
    this.element.scrollTop = 0;
    this.active = -1;
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    if (!clientHeight) return;
    const { from, to } = windowOf(scrollTop, clientHeight, this.count);
    const seen = this.items.slice(from, to);
    const keys = new Set(seen.map(({ key }) => key));
    for (const [key, { node }] of this.drawn)
      if (!keys.has(key)) {
        node.remove();
        this.drawn.delete(key);
      }
    seen.forEach((item, nth) => this.#place(item, from + nth, nth));
    const active = this.items[this.active];
    this.element.setAttribute("aria-activedescendant", active ? this.#idOf(active) : "");
    this.on.near(to);
  }

  #idOf(item) {
    return `${this.name}-${item.key}`;
  }

  /** `nth` is its place among the elements, which a screen reader follows. */
  #place(item, place, nth) {
    let drawn = this.drawn.get(item.key);
    if (item.group) drawn = this.#head(item, drawn);
    else if (drawn && drawn.item.within === item.within && drawn.item.row === item.row && !drawn.item.live === !item.live) {
      drawn.item = item;
      if (item.live) renew(drawn);
    } else {
      const node = this.#row(item);
      if (drawn) this.#replace(drawn, node);
      drawn = { node, item };
      this.drawn.set(item.key, drawn);
      if (!this.moving) this.#picture(drawn);
    }
    const { node } = drawn;
    const there = this.spacer.children[nth];
    if (there !== node) this.spacer.insertBefore(node, there ?? null);
    node.style.transform = `translateY(${place * ROW}px)`;
    node.setAttribute("aria-posinset", place + 1);
    node.setAttribute("aria-setsize", this.count);
    node.setAttribute("aria-selected", place === this.active);
  }

  /** The line above the jobs of one queue; one that is there already is written anew. */
  #head(item, drawn) {
    const made = drawn?.item.group?.open === item.group.open ? drawn : { node: head(item, this.#idOf(item), this.on.fold) };
    if (drawn && made !== drawn) drawn.node.replaceWith(made.node);
    made.item = item;
    writeHead(made);
    this.drawn.set(item.key, made);
    return made;
  }

  /** The picture of the row that was there is kept: it would flicker. */
  #replace(drawn, node) {
    const kept = drawn.node.querySelector("img");
    const same = kept && drawn.item.row?.cover?.sha256 === kept.dataset.sha256;
    if (same) node.firstChild.replaceChildren(...drawn.node.firstChild.childNodes);
    drawn.node.replaceWith(node);
  }

  #row(item) {
    const { key, row, live } = item;
    const [top, middle, bottom] = linesOf(item);
    const now = () => this.drawn.get(key)?.item ?? item; // what moves is written into the same element
    const tone = row ? toneOf(row.state) : "busy";
    const last = live ? "seen" : row.error ? tone : "faint";
    return el(
      item.within ? "div.row.within" : "div.row",
      {
        id: this.#idOf(item),
        role: "treeitem",
        "aria-level": item.within ? "2" : "1",
        "aria-label": spoken(item),
        onclick: () => (this.choose(key), this.on.open(now())),
      },
      el("div.cover", {}, icon(coverOf(item))),
      el(
        "div.lines",
        {},
        el("div.line", {}, el("span.title", { title: top }, top), el(`span.state.${tone}`, {}, wordOf(item))),
        el("div.line.faint", {}, el("span.cut", {}, middle)),
        el(`div.line.${last}`, {}, el("span.cut", { title: bottom }, bottom), live ? bar(live.share) : null),
      ),
      this.#quick(item, now),
    );
  }

  #quick(item, now) {
    const quick = (name, picture, act) => {
      const made = button(name, picture, (event) => (event.stopPropagation(), act()), false);
      made.tabIndex = -1; // by keyboard: Enter opens the job, and there are all its buttons
      return made;
    };
    if (isBusy(item)) return quick(say("Cancel"), "times", () => this.on.cancel(now()));
    if (isUnresolved(item.row)) return quick(say("Look again"), "refresh", () => this.on.fetch(item.row));
    if (hasResult(item.row)) return quick(say("Load into graph"), "plus-circle", () => this.on.load(item.row));
    return null;
  }

  #picture({ node, item }) {
    const { row } = item;
    const cover = node.firstChild;
    if (!["image", "video"].includes(row?.cover?.kind) || cover.querySelector("img")) return;
    const img = el("img", { alt: "", decoding: "async", "data-sha256": row.cover.sha256 });
    img.onload = () => cover.replaceChildren(img, ...(row.cover.kind === "video" ? [icon("play")] : []));
    img.src = addressOf(`jobs/${row.job}/thumbnail?v=${row.cover.sha256.slice(0, 12)}`);
  }

  #scrolled() {
    this.moving = true;
    clearTimeout(this.calm);
    this.calm = setTimeout(() => {
      this.moving = false;
      for (const drawn of this.drawn.values()) this.#picture(drawn);
    }, CALM);
    this.draw();
  }

  #key(event) {
    const to = stepped(event.key, this.active, this.items.length, this.element.clientHeight);
    if (to !== null) this.#activate(to);
    else if (!this.#act(event.key)) return;
    event.preventDefault();
    event.stopPropagation(); // the editor has meanings of its own for keys
  }

  /** Whether the key means something for the chosen row. */
  #act(key) {
    const item = this.items[this.active];
    if (!item) return false;
    const { group, within } = item;
    if (key === "Enter" || key === " ") group ? this.on.fold(group.prompt) : this.on.open(item);
    else if (group && key === (group.open ? "ArrowLeft" : "ArrowRight")) this.on.fold(group.prompt);
    else if (within && key === "ArrowLeft") this.#activate(this.items.findIndex((one) => one.group?.prompt === within));
    else return false;
    return true;
  }

  #activate(place) {
    const { scrollTop, clientHeight } = this.element;
    this.active = place;
    this.element.scrollTop = reveal(place, scrollTop, clientHeight);
    this.draw();
  }
}

function head({ group: { prompt, open } }, id, fold) {
  const about = { id, role: "treeitem", "aria-level": "1", "aria-expanded": String(open), onclick: () => fold(prompt) };
  const line = (kind, ...parts) => el(kind, {}, ...parts);
  const cut = () => el("span.cut");
  const lines = [line("div.line", el("span.title")), line("div.line.faint", cut()), line("div.line.faint", cut(), bar(0))];
  return el("div.group", about, icon(open ? "chevron-down" : "chevron-right"), el("div.lines", {}, ...lines));
}

function writeHead({ node, item }) {
  const [top, middle, bottom, share] = headWords(item.group.items, performance.now());
  node.querySelector(".skyport-title").textContent = top;
  for (const [nth, text] of [middle, bottom].entries()) {
    const cut = node.querySelectorAll(".skyport-cut")[nth];
    cut.textContent = cut.title = text;
  }
  const there = node.querySelector(".skyport-bar");
  there.hidden = share === null;
  there.firstChild.style.width = `${Math.round((share ?? 0) * 100)}%`;
  node.setAttribute("aria-label", [top, middle, bottom].filter(Boolean).join(", "));
}

const isBusy = ({ row, live }) => Boolean(live) || isUnderWay(row);

function coverOf(item) {
  const kind = item.row?.cover?.kind ?? (item.row?.text && "text");
  return PICTURES[kind] ?? (isBusy(item) ? "spinner" : "cloud");
}

const wordOf = ({ row }) => (row ? stateWord(row.state) : say("not submitted yet"));

/** Write what has moved. A new element would swallow a click that is being made. */
function renew({ node, item }) {
  const [, middle, bottom] = linesOf(item);
  const [second, third] = node.querySelectorAll(".skyport-cut");
  second.textContent = middle;
  third.textContent = third.title = bottom;
  node.querySelector(".skyport-bar").replaceWith(bar(item.live.share));
  node.setAttribute("aria-label", spoken(item));
}

function spoken(item) {
  const [top, middle, bottom] = linesOf(item);
  return [top, wordOf(item), middle, bottom].filter(Boolean).join(", ");
}

/** What a row says in its three lines. */
function linesOf({ row, live }) {
  const task = row ? row.task : live.task;
  const when = row ? age(Date.now() / 1000 - row.created) : "";
  const middle = [(row ?? live).label, row?.person, task, when].filter(Boolean).join(" · ");
  if (live) return [live.title, middle, seenWords(live, performance.now()).join(" · ")];
  const cost = row.cost === null ? "" : costWord(row);
  return [row.title, middle, row.error || [cost, row.text || row.words].filter(Boolean).join(" · ")];
}
