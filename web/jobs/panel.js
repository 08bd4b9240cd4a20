// What the sidebar shows: search, spending, sums, the list, and one job. Holds no timer while nothing runs.
import { browseModels } from "../browse/open.js";
import { ask } from "../server.js";
import { permissionOffer } from "../settings/permission.js";
import { say } from "../words.js";
import * as acts from "./acts.js";
import { Batches } from "./batches.js";
import { Book } from "./book.js";
import { JobDetail } from "./detail.js";
import { Left } from "./left.js";
import { button, el } from "./elements.js";
import { jobsWord } from "./format.js";
import { grouped } from "./groups.js";
import { JobList } from "./list.js";
import { missing } from "./paging.js";
import { Spend } from "./spend.js";
import { Sums } from "./sums.js";
import { Tools } from "./tools.js";
import { openWorkflow, runAgain } from "./workflow.js";

const FIRST = 100; // rows of the first page

export class Panel {
  /** filter: as Book takes it; folded: the queues whose jobs are not shown. The caller keeps both: they outlive the panel */
  constructor(filter, folded) {
    this.filter = filter;
    this.folded = folded;
    this.book = new Book(filter);
    const on = {
      load: acts.load,
      show: acts.show,
      copy: (text) => this.#try(() => acts.copy(text)),
      cancel: (item) => this.#try(() => acts.cancel(item), true),
      fetch: (row) => this.#try(() => acts.fetchAgain(row), true),
      workflow: (row) => this.#try(() => openWorkflow(row)),
      again: (row, anew) => this.#try(() => runAgain(row, anew)),
      anew: (row) => this.#try(() => acts.orderAnew(row), true),
    };
    this.tools = new Tools(filter, { choose: (change) => this.#choose(change), refresh: () => this.refresh(), browse: () => browseModels() });
    this.list = new JobList({ ...on, open: (item) => this.#open(item), fold: (prompt) => this.#fold(prompt), near: (to) => this.#near(to) });
    this.detail = new JobDetail({ ...on, back: () => this.#back() });
    this.spend = new Spend();
    this.sums = new Sums();
    this.batches = new Batches();
    this.left = new Left(acts.tell);
    this.status = el("div.status", { role: "status" });
    this.empty = el("div.empty", { hidden: true });
    const parts = [this.tools, this.left, this.batches, this.spend, this.sums].map(({ element }) => element);
    this.body = el("div.body", {}, permissionOffer(), ...parts, this.status, this.empty, this.list.element);
    this.element = el("div.jobs", { onkeydown: keepFromGraph }, this.body, this.detail.element);
    this.onfocus = () => this.refresh();
    window.addEventListener("focus", this.onfocus);
    this.#showEmptiness([say("Loading the jobs...")]);
    this.refresh();
  }

  destroy() {
    this.gone = true;
    window.removeEventListener("focus", this.onfocus);
    this.#tick();
    this.tools.destroy();
    this.batches.destroy();
    this.list.destroy();
    this.element.remove();
  }

  /** The newest page anew. */
  async refresh() {
    const { book } = this;
    this.failure = null;
    await this.#try(async () => {
      const head = await this.#askHead(book);
      if (book !== this.book || this.gone) return;
      book.takeHead(head, performance.now());
      book.isKnown = true;
      this.trouble = head.trouble;
      this.tools.offer(head.platforms);
      this.spend.labels = this.sums.labels = Object.fromEntries(head.platforms.map(({ name, label }) => [name, label]));
      this.#draw();
    });
    if (book !== this.book || this.gone) return;
    if (!book.isKnown) this.#draw();
    this.#renewSums(book.query);
  }

  /** The newest page; why it does not come stands where jobs would. */
  async #askHead({ query }) {
    try {
      return await ask("jobs", { ...query, limit: FIRST });
    } catch (error) {
      this.failure = error.message;
      throw error;
    }
  }

  /** An event of the server. */
  hear(told) {
    const stale = this.book.hear(told, performance.now());
    this.#draw();
    for (const { message, severity } of told.notices) acts.tell(severity, message);
    if (stale) this.refresh();
    else if (told.rows.length) this.#renewSums();
  }

  #renewSums(query) {
    this.batches.renew();
    this.left.renew();
    this.spend.renew();
    this.sums.renew(query);
  }

  #choose(change) {
    Object.assign(this.filter, change);
    this.book = new Book(this.filter);
    this.list.toTop();
    this.#draw();
    this.refresh();
  }

  #draw() {
    if (this.gone) return;
    const { items, count } = this.book.items();
    const shown = grouped(items, this.folded);
    this.list.show(shown, shown.length + count - items.length);
    this.detail.renew(items);
    const { running } = this.book;
    const words = this.book.isKnown ? [jobsWord(count)] : [];
    if (running) words.push(say("{count} under way", { count: running }));
    this.#tellStatus(words.join(" · "));
    this.#showEmptiness(count ? [] : this.#emptiness());
    this.#tick();
  }

  /** Only what is new: a screen reader would read it again. */
  #tellStatus(words) {
    const told = `${words}${this.trouble ?? ""}`;
    if (told === this.said) return;
    this.said = told;
    this.status.replaceChildren(words, ...(this.trouble ? [el("p.warn", {}, this.trouble)] : []));
  }

  /** What stands where no job does; nothing hides it. */
  #showEmptiness(parts) {
    this.empty.hidden = !parts.length;
    this.empty.replaceChildren(...parts);
  }

  #emptiness() {
    const { group, platform, text } = this.filter;
    if (!this.book.isKnown && !this.failure) return [say("Loading the jobs...")];
    if (this.failure) return [el("p.bad", {}, say("The jobs cannot be read: {reason}", { reason: this.failure })), button(say("Try again"), "refresh", () => this.refresh())];
    if (group || platform || text) return [say("No job is like that.")];
    return [say("No jobs yet. Queue a graph with a Skyport node, and its tasks are listed here.")];
  }

  /** The clocks of what runs, once a second; no timer where nothing does. */
  #tick() {
    const moves = !this.gone && this.book.live.size > 0;
    if (moves && !this.ticking) this.ticking = setInterval(() => (this.list.draw(), this.detail.tick()), 1000);
    if (!moves) this.ticking = clearInterval(this.ticking);
  }

  /** Row `to` is about to be seen: ask for the rows up to it. */
  async #near(to) {
    const { book } = this;
    const limit = missing(to - this.list.items.length + book.rows.length, book.rows.length, book.total);
    if (!limit || this.loading === book || !book.rows.length) return;
    this.loading = book;
    const before = book.rows.at(-1).job;
    const told = await this.#try(() => ask("jobs", { ...book.query, before, limit }));
    this.loading = null;
    if (told) book.takeNext(told, limit, performance.now());
    if (told && book === this.book) this.#draw();
  }

  #fold(prompt) {
    if (!this.folded.delete(prompt)) this.folded.add(prompt);
    this.#draw();
  }

  #open(item) {
    this.body.hidden = true;
    this.detail.open(item);
  }

  /** Show the job of that number. */
  async openJob(job) {
    const told = await this.#try(() => ask(`jobs/${job}`));
    if (told && !this.gone) this.#open({ key: job, row: told.brief, live: this.book.liveOf(told.brief) });
  }

  #back() {
    const { key } = this.detail.item;
    this.detail.close();
    this.body.hidden = false;
    this.list.choose(key);
    this.list.draw();
    this.list.element.focus();
  }

  async #try(work, changes = false) {
    try {
      const done = await work();
      if (changes) await this.refresh();
      return done;
    } catch (error) {
      if (!this.gone) acts.tell("error", error.message);
    }
  }
}

/** A key that deletes in the graph deletes nothing from here. */
function keepFromGraph(event) {
  if (event.key === "Delete" || event.key === "Backspace") event.stopPropagation();
}
