// What was spent day by day, as series, bars and words. Pure; the language is that of words.js.
import { say } from "../words.js";
import { amount, tasksWord } from "./format.js";

const DAY = 86400000;

/** The names of `count` days, the last of them `today` (2026-11-26), oldest first. */
export function daysUntil(today, count) {
  const last = Date.parse(`${today}T00:00:00Z`);
  return Array.from({ length: count }, (_, n) => new Date(last - (count - 1 - n) * DAY).toISOString().slice(0, 10));
}

/** [{unit, local, days: [{day, tasks, charged, expected, unknown}]}]: one for each unit, as they are never added up. */
export function series(sums, days) {
  const found = new Map();
  for (const sum of sums) {
    const key = `${sum.local} ${sum.unit}`;
    if (!found.has(key)) found.set(key, { unit: sum.unit, local: sum.local, by: new Map() });
    found.get(key).by.set(sum.name, sum);
  }
  const none = { tasks: 0, charged: 0, expected: 0, unknown: 0 };
  const dayOf = (by) => (day) => ({ ...none, ...by.get(day), day });
  return [...found.values()].map(({ unit, local, by }) => ({ unit, local, days: days.map(dayOf(by)) }));
}

/** The highest day of a series: of what it cost and may cost, or of its tasks where no price is known. */
export function scaleOf({ days }) {
  const cost = Math.max(...days.map(({ charged, expected }) => charged + expected));
  return cost > 0 ? { of: "cost", most: cost } : { of: "tasks", most: Math.max(1, ...days.map(({ tasks }) => tasks)) };
}

/** [{x, width, charged, expected}] in a box of `width` by `height`; the two parts are heights. */
export function bars(one, width, height) {
  const { of, most } = scaleOf(one);
  const step = width / one.days.length;
  const tall = (value) => Number(((value / most) * height).toFixed(2));
  return one.days.map(({ charged, expected, tasks }, n) => ({
    x: Number((n * step).toFixed(2)),
    width: Number((step * 0.8).toFixed(2)),
    charged: tall(of === "cost" ? charged : tasks),
    expected: of === "cost" ? tall(expected) : 0,
  }));
}

const here = (words, local) => (local ? say("{words} (on this machine)", { words }) : words);

/** The name of a series: its unit, if its amounts have one. */
export const unitWord = (one) => here(one.unit || (scaleOf(one).of === "cost" ? say("Cost") : say("price unknown")), one.local);

/** "3 tasks · 1.2 CNY · 0.5 CNY expected · 1 of unknown price" */
export function sumLine({ tasks, charged, expected, unknown, unit, local }) {
  const words = [tasksWord(tasks)];
  if (charged) words.push(`${amount(charged)} ${unit}`.trim());
  if (expected) words.push(say("{cost} expected", { cost: `${amount(expected)} ${unit}`.trim() }));
  if (unknown) words.push(say("{count} of unknown price", { count: unknown }));
  return here(words.join(" · "), local);
}

const PERIODS = {
  queue: () => say("Each queue"),
  day: () => say("Today"),
  month: () => say("This month"),
};

/** {name, words, share}: what a limit leaves; share is null for a limit of each queue by itself. */
export function limitWords(limit, labels = {}) {
  const of = (number) => (limit.counts === "tasks" ? tasksWord(number) : `${amount(number)} ${limit.unit}`.trim());
  const parts = [PERIODS[limit.period]?.() ?? limit.period];
  if (limit.platform) parts.push(labels[limit.platform] ?? limit.platform);
  if (limit.person) parts.push(say("each person"));
  const name = here(parts.join(" · "), limit.local);
  if (limit.used === null) return { name, words: say("at most {most}", { most: of(limit.most) }), share: null };
  const words = [say("{left} left of {most}", { left: of(limit.left), most: of(limit.most) })];
  if (limit.unknown && limit.counts === "cost") words.push(say("{count} of unknown price", { count: limit.unknown }));
  return { name, words: words.join(" · "), share: limit.most ? Math.min(1, limit.used / limit.most) : 1 };
}
