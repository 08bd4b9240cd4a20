// One job in full: its results, its details, and what can be done with it.
import { ask } from "../server.js";
import { say } from "../words.js";
import { blocks, hasResult, isUnderWay, isUnresolved } from "./book.js";
import { bar, button, el } from "./elements.js";
import { costWord, laidOut, moment, seenWords, spanWords, splitDetails, stateWord, toneOf } from "./format.js";
import { player } from "./player.js";
import { pairs, sentPart, textBox } from "./sent.js";

export class JobDetail {
  /** on: {back(), load(row), show(row), cancel(item), fetch(row), anew(row), copy(text), workflow(row), again(row, anew)} */
  constructor(on) {
    this.on = on;
    this.element = el("section.detail", {
      "aria-label": say("Job"),
      hidden: true,
      onkeydown: (event) => event.key === "Escape" && (event.stopPropagation(), on.back()),
    });
  }

  /** Show a job; `item` is as the list has it. */
  async open(item) {
    this.item = item;
    this.told = null;
    this.unfolded = new Map(); // what the user has opened or shut, by name
    this.element.hidden = false;
    this.#draw();
    this.element.querySelector("button").focus();
    await this.#ask();
  }

  close() {
    this.item = null;
    this.element.hidden = true;
    this.element.replaceChildren(); // players stop
  }

  /** The list has news of its jobs. */
  async renew(items) {
    if (!this.item) return;
    const { key } = this.item;
    const { mark } = this.item.row ?? this.item.live;
    const item =
      items.find((one) => one.key === key) ?? items.find((one) => (one.row ?? one.live).mark === mark);
    if (!item) return;
    const changed = JSON.stringify(item.row) !== JSON.stringify(this.item.row) || !item.live !== !this.item.live;
    this.item = item;
    if (changed) await this.#ask();
    else this.tick();
  }

  /** Only what moves is drawn anew: a player goes on. */
  tick() {
    if (this.item) this.seen?.replaceChildren(...this.#seen());
  }

  async #ask() {
    const { item } = this;
    this.trouble = "";
    if (item.row)
      try {
        const told = await ask(`jobs/${item.row.job}`);
        if (this.item?.key === item.key) this.told = told;
      } catch (error) {
        this.trouble = error.message;
      }
    if (this.item?.key === item.key) this.#draw();
  }

  #draw() {
    const { row, live } = this.item;
    const held = this.element.contains(document.activeElement) ? nameOf(document.activeElement) : "";
    const { scrollTop } = this.element;
    this.seen = el("div.now", {}, ...this.#seen());
    const parts = [
      el(
        "div.head",
        {},
        button(say("Back to the list"), "arrow-left", () => this.on.back(), false),
        el("h3.title", {}, (row ?? live).title),
        row ? el(`span.state.${toneOf(row.state)}`, {}, stateWord(row.state)) : null,
      ),
      this.seen,
      this.#actions(),
      this.#problem(),
      ...(this.told?.files ?? []).map((file, number) => player(row.job, file, number)),
      ...(this.told?.texts ?? []).map((text) => el("pre.text", { tabindex: "0" }, text)),
      ...(this.told?.warnings ?? []).map((text) => el("p.warn", {}, text)),
      ...this.#folded(),
      this.told && sentPart(this.told.request, this.#fold, this.on.copy),
      this.#facts(),
    ];
    this.element.replaceChildren(...parts.filter(Boolean));
    this.element.scrollTop = scrollTop;
    const stops = [...this.element.querySelectorAll("button, summary")];
    if (held) (stops.find((one) => nameOf(one) === held) ?? stops[0]).focus({ preventScroll: true });
  }

  /** A part to unfold; drawn anew, it is as the user has left it. */
  #fold = (name, parts, open = false) => {
    const ontoggle = (event) => this.unfolded.set(name, event.target.open);
    return el("details.fold", { open: this.unfolded.get(name) ?? open, ontoggle }, el("summary", {}, name), ...parts);
  };

  #seen() {
    const { live } = this.item;
    return live ? [el("p", {}, seenWords(live, performance.now()).join(" · ")), bar(live.share)] : [];
  }

  #problem() {
    const text = this.trouble || this.told?.error || this.item.row?.error;
    return text ? el(`p.error.${toneOf(this.item.row?.state)}`, { role: "note" }, text) : null;
  }

  #actions() {
    const { row, live } = this.item;
    const busy = live || isUnderWay(row);
    const done = row && hasResult(row);
    const can = [
      done && button(say("Load into graph"), "plus-circle", () => this.on.load(row)),
      this.told?.graph && button(say("Open its workflow"), "sitemap", () => this.on.workflow(row)),
      this.told?.graph && !busy && button(say("Run again"), "play", () => this.on.again(row, false)),
      this.told?.seed && !busy && button(say("Run with a new seed"), "refresh", () => this.on.again(row, true)),
      (row ?? live).node && button(say("Show the node"), "search", () => this.on.show(row ?? live)),
      row?.task && (done || busy) && button(say("Fetch again"), "download", () => this.on.fetch(row)),
      row?.task && isUnresolved(row) && !live && button(say("Look again"), "refresh", () => this.on.fetch(row)),
      row && blocks(row) && !live && button(say("Order anew"), "replay", () => this.on.anew(row)),
      busy && button(say("Cancel"), "times", () => this.on.cancel(this.item)),
      row?.task && button(say("Copy task id"), "copy", () => this.on.copy(row.task)),
    ];
    return el("div.actions", {}, ...can.filter(Boolean));
  }

  /** What is read on demand: long details, and the platform's last answer. */
  #folded() {
    const long = splitDetails(this.told?.details ?? []).long;
    const answer = this.told?.answer;
    const folds = long.map(([name, text]) => this.#fold(name, [textBox(text)]));
    return answer ? [...folds, this.#fold(say("The platform's last answer"), [textBox(laidOut(answer))], true)] : folds;
  }

  #facts() {
    const { row, live } = this.item;
    const facts = [
      [say("Job"), row && String(row.job)],
      [say("Platform"), (row ?? live).label],
      [say("Task id"), (row ?? live).task],
      [say("Prompt"), this.told ? "" : row?.words],
      [say("Cost"), row && row.cost !== null ? costWord(row) : ""],
      [say("Ordered"), row && moment(row.created)],
      [say("Ordered by"), row?.person],
      [say("Submitted"), row && moment(row.submitted)],
      [row?.state === "unresolved" ? say("Unresolved since") : say("Ended"), row && moment(row.ended)],
      ...(row ? spanWords(row) : []),
      [say("Node"), (row ?? live).node],
      [say("Queue"), (row ?? live).prompt],
      [say("Sent to"), this.told && `${this.told.place}${this.told.endpoint}`],
      ...splitDetails(this.told?.details ?? []).short,
    ];
    const known = facts.filter(([, value]) => value);
    return pairs(known);
  }
}

const nameOf = (element) => element.title || element.textContent;
