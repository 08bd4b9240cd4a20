// What was spent today, this month and by day, and what the limits leave. Asks only while it is open.
import { ask } from "../server.js";
import { say } from "../words.js";
import { bars, daysUntil, limitWords, series, sumLine, unitWord } from "./chart.js";
import { bar, el } from "./elements.js";
import { amount } from "./format.js";

const DAYS = 30;
const [WIDTH, HEIGHT] = [300, 48];
const SVG = "http://www.w3.org/2000/svg";

export class Spend {
  /** labels: platform name -> its name for people */
  constructor() {
    this.labels = {};
    this.body = el("div.spent");
    this.element = el("details.sums", { ontoggle: () => this.renew() }, el("summary", {}, say("Spending and limits")), this.body);
  }

  async renew() {
    if (!this.element.open) return;
    const asked = (this.asked = {});
    try {
      const report = await ask("spend", { days: DAYS });
      if (asked === this.asked) this.body.replaceChildren(...this.#parts(report));
    } catch (error) {
      this.body.replaceChildren(el("p.bad", {}, error.message));
    }
  }

  #parts({ today, month, days, limits, at }) {
    const charts = series(days, daysUntil(at, DAYS));
    return [
      el("dl.facts", {}, ...fact(say("Today"), today), ...fact(say("This month"), month)),
      limits.length ? el("ul.limits", {}, ...limits.map((limit) => this.#limit(limit))) : "",
      ...charts.map(chart),
    ].filter(Boolean);
  }

  #limit(limit) {
    const { name, words, share } = limitWords(limit, this.labels);
    const full = share !== null && share >= 1 ? "true" : "false";
    return el("li", { "data-full": full }, el("span", {}, name), share === null ? "" : bar(share), el("span.faint", {}, words));
  }
}

function fact(name, sums) {
  const lines = sums.length ? sums.map(sumLine) : [say("nothing")];
  return [el("dt", {}, name), el("dd", {}, ...lines.map((line) => el("div", {}, line)))];
}

/** The drawing of a series; a screen reader gets its days as a table. */
function chart(one) {
  const drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  bars(one, WIDTH, HEIGHT).forEach(({ x, width, charged, expected }, n) => {
    const group = shape("g");
    const tip = shape("title");
    tip.textContent = `${one.days[n].day}: ${sumLine({ ...one.days[n], unit: one.unit })}`;
    const column = shape("rect", { x, width, y: 0, height: HEIGHT, class: "skyport-column" });
    const low = shape("rect", { x, width, y: HEIGHT - charged, height: charged, class: "skyport-charged" });
    const high = shape("rect", { x, width, y: HEIGHT - charged - expected, height: expected, class: "skyport-expected" });
    group.append(tip, column, low, high);
    drawing.append(group);
  });
  const caption = `${unitWord(one)} · ${one.days[0].day} – ${one.days.at(-1).day}`;
  return el("figure.chart", {}, drawing, el("figcaption", { "aria-hidden": "true" }, caption), table(one));
}

function table(one) {
  const line = (kind, cells) => el("tr", {}, ...cells.map((cell) => el(kind, {}, String(cell))));
  const names = [say("Day"), say("Jobs"), say("Cost"), say("Expected"), say("price unknown")];
  const used = one.days.filter(({ tasks }) => tasks);
  const rows = used.map(({ day, tasks, charged, expected, unknown }) => line("td", [day, tasks, amount(charged), amount(expected), unknown]));
  return el("table.unseen", {}, el("caption", {}, unitWord(one)), line("th", names), ...rows);
}

function shape(kind, about = {}) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(about)) made.setAttribute(name, value);
  return made;
}
