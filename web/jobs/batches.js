// The batches of the command, as a live table. Asks again only while one runs and the table is open.
import { ask } from "../server.js";
import { say } from "../words.js";
import { bar, el } from "./elements.js";
import { anyRuns, standing } from "./rows.js";

const PAUSE = 2000; // ms between two looks while a batch runs

export class Batches {
  constructor() {
    this.body = el("div.table");
    this.summary = el("summary", {}, say("Batches"));
    this.element = el("details.sums", { hidden: true, ontoggle: () => this.renew() }, this.summary, this.body);
  }

  destroy() {
    this.gone = true;
    clearTimeout(this.timer);
  }

  async renew() {
    clearTimeout(this.timer);
    const asked = (this.asked = {});
    try {
      const { batches } = await ask("batches");
      if (this.gone || asked !== this.asked) return;
      this.#show(batches);
      if (anyRuns(batches) && this.element.open) this.timer = setTimeout(() => this.renew(), PAUSE);
    } catch (error) {
      if (!this.gone) this.body.replaceChildren(el("p.bad", {}, error.message));
    }
  }

  #show(batches) {
    const running = batches.filter((batch) => batch.running).length;
    this.element.hidden = !batches.length;
    this.summary.textContent = running ? say("Batches: {count} running", { count: running }) : say("Batches");
    const names = [say("Batch"), say("Done"), say("Under way"), say("No result"), say("Cost")];
    const head = el("tr", {}, ...names.map((name) => el("th", {}, name)));
    this.body.replaceChildren(el("table.batches", {}, head, ...batches.map(line)));
  }
}

function line(batch) {
  const { done, underWay, failed, share, cost } = standing(batch);
  const about = [batch.label, batch.title].filter(Boolean).join(" · ");
  const name = el("td", { title: about }, el("div", {}, batch.name), el("div.faint", {}, about), bar(share));
  const cells = [`${done}/${batch.total}`, underWay || "", failed || "", cost];
  return el("tr", {}, name, ...cells.map((cell) => el("td", {}, String(cell))));
}
