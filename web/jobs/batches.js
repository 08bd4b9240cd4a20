// The batches of the command, as a live table. Asks again only while one runs and the table is open.
import { ask } from "../server.js";
import { say } from "../words.js";
import { bar, el } from "./elements.js";
import { anyRuns, rowStateWord, standing } from "./rows.js";

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
    const focused = document.activeElement?.dataset?.batch;
    this.body.replaceChildren(el("table.batches", {}, head, ...batches.flatMap((batch) => this.#lines(batch))));
    if (focused) this.body.querySelector(`[data-batch="${CSS.escape(focused)}"]`)?.focus();
  }

  /** A batch, and below it its rows without a result where they are open. */
  #lines(batch) {
    const isOpen = this.open === batch.id;
    const toggle = () => {
      this.open = isOpen ? null : batch.id;
      this.reasons = el("td", { colspan: 5 });
      this.renew();
    };
    if (!isOpen) return [line(batch, toggle, false)];
    fill(this.reasons, batch);
    return [line(batch, toggle, true), el("tr", {}, this.reasons)];
  }
}

async function fill(cell, { id }) {
  try {
    const { rows, more } = await ask(`batches/${encodeURIComponent(id)}/rows`);
    cell.replaceChildren(...rows.map(reason), more ? el("div.faint", {}, say("and {count} more", { count: more })) : "");
  } catch (error) {
    cell.replaceChildren(el("p.bad", {}, error.message));
  }
}

function reason({ row, line, state, error }) {
  const where = line ? say("Row {row} (line {line})", { row, line }) : say("Row {row}", { row });
  return el("div.reason", {}, `${where}: ${[rowStateWord(state), error].filter(Boolean).join(". ")}`);
}

function line(batch, toggle, isOpen) {
  const { done, underWay, failed, share, cost } = standing(batch);
  const title = say("Rows without a result");
  const why = { type: "button", onclick: toggle, title, "aria-expanded": String(isOpen), "data-batch": batch.id };
  const about = [batch.label, batch.title].filter(Boolean).join(" · ");
  const name = el("td", { title: about }, el("div", {}, batch.name), el("div.faint", {}, about), bar(share));
  const cells = [`${done}/${batch.total}`, underWay || "", failed ? el("button.button", why, String(failed)) : "", cost];
  return el("tr", {}, name, ...cells.map((cell) => el("td", {}, cell instanceof Node ? cell : String(cell))));
}
