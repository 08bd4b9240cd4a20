// What the jobs of the filter cost, a platform and a day. Never added up across platforms.
import { ask } from "../server.js";
import { say } from "../words.js";
import { el } from "./elements.js";
import { costWord, totals } from "./format.js";

export class Sums {
  /** labels: platform name -> its name for people */
  constructor() {
    this.labels = {};
    this.body = el("div.table");
    this.element = el(
      "details.sums",
      { ontoggle: () => this.renew() },
      el("summary", {}, say("Cost")),
      this.body,
    );
  }

  /** The filter or the jobs have changed. */
  async renew(query = this.query) {
    this.query = query;
    if (!this.element.open) return;
    try {
      const { spent } = await ask("jobs/spent", query);
      if (query === this.query) this.body.replaceChildren(...this.#tables(spent));
    } catch (error) {
      this.body.replaceChildren(el("p.bad", {}, error.message));
    }
  }

  #tables(spent) {
    if (!spent.length) return [el("p.faint", {}, say("No platform has told a cost for these jobs."))];
    const label = (name) => this.labels[name] ?? name;
    const line = (kind, cells) => el("tr", {}, ...cells.map((cell) => el(kind, {}, String(cell))));
    const names = [say("Platform"), say("Jobs"), say("Cost")];
    const told = (one) => [label(one.platform), one.tasks, costWord(one)];
    const sums = totals(spent).map((one) => line("td", told(one)));
    const days = spent.map((one) => line("td", [one.day ?? "", ...told(one)]));
    return [
      el("p.faint", {}, say("Each platform counts in a unit of its own.")),
      el("table", {}, line("th", names), ...sums),
      el("table", {}, line("th", [say("Day"), ...names]), ...days),
    ];
  }
}
