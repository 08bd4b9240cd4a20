// Pins how spending is drawn and said: every day once, units apart, what is expected, what is left.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { bars, daysUntil, limitWords, scaleOf, series, sumLine, unitWord } from "../../web/jobs/chart.js";
import { totals } from "../../web/jobs/format.js";
import { follow } from "../../web/words.js";

beforeEach(() => follow(() => "en"));

const sum = (name, about = {}) => ({ name, local: false, unit: "CNY", tasks: 1, charged: 0, expected: 0, unknown: 0, ...about });

test("the days of a chart have no gap, whatever the clocks of summer do", () => {
  assert.deepEqual(daysUntil("2026-03-01", 3), ["2026-02-27", "2026-02-28", "2026-03-01"]);
  assert.equal(new Set(daysUntil("2026-11-26", 366)).size, 366);
});

test("each unit is a series of its own, and so is what went to this machine", () => {
  const days = ["2026-11-25", "2026-11-26"];
  const found = series([sum(days[1], { charged: 2 }), sum(days[1], { unit: "credits", charged: 9 }), sum(days[0], { local: true })], days);
  assert.deepEqual(found.map(({ unit, local }) => [unit, local]), [["CNY", false], ["credits", false], ["CNY", true]]);
  assert.deepEqual(found[0].days.map(({ day, charged }) => [day, charged]), [[days[0], 0], [days[1], 2]]);
});

test("the highest day fills the box, with what is expected on top of what was charged", () => {
  const days = ["a", "b"];
  const [one] = series([sum("a", { charged: 1, expected: 3 }), sum("b", { charged: 2 })], days);
  assert.deepEqual(bars(one, 100, 40), [
    { x: 0, width: 40, charged: 10, expected: 30 },
    { x: 50, width: 40, charged: 20, expected: 0 },
  ]);
});

test("where no price is known the chart counts tasks", () => {
  const [one] = series([sum("a", { unit: "", tasks: 4, unknown: 4 })], ["a", "b"]);
  assert.deepEqual(scaleOf(one), { of: "tasks", most: 4 });
  assert.deepEqual(bars(one, 100, 40).map(({ charged }) => charged), [40, 0]);
  assert.equal(unitWord(one), "price unknown");
  assert.equal(unitWord(series([sum("a", { unit: "", charged: 2 })], ["a"])[0]), "Cost");
});

test("a sum says its tasks, its cost, what is expected and what is unknown", () => {
  assert.equal(sumLine(sum("", { tasks: 3, charged: 0.1 + 0.2, expected: 1, unknown: 1 })), "3 tasks · 0.3 CNY · 1 CNY expected · 1 of unknown price");
  assert.equal(sumLine(sum("", { local: true, tasks: 2 })), "2 tasks (on this machine)");
});

test("a limit says what is left of it", () => {
  const limit = { setting: "limit_cost_per_day", period: "day", counts: "cost", platform: "gpugeek", unit: "CNY", local: false, most: 5, used: 1.25, left: 3.75, unknown: 2 };
  assert.deepEqual(limitWords(limit, { gpugeek: "GPUGeek" }), { name: "Today · GPUGeek", words: "3.75 CNY left of 5 CNY · 2 of unknown price", share: 0.25 });
  const tasks = { ...limit, counts: "tasks", period: "month", platform: "", unit: "", most: 0, used: 0, left: 0 };
  assert.deepEqual(limitWords(tasks), { name: "This month", words: "0 tasks left of 0 tasks", share: 1 });
  assert.equal(limitWords({ ...limit, platform: "", person: true }).name, "Today · each person");
  const queue = { ...tasks, period: "queue", most: 20, used: null, left: null };
  assert.deepEqual(limitWords(queue), { name: "Each queue", words: "at most 20 tasks", share: null });
});

test("costs of one platform in two units are never added together", () => {
  const spent = [{ platform: "haiyi", tasks: 1, cost: 1, unit: "CNY" }, { platform: "haiyi", tasks: 1, cost: 2, unit: "USD" }];
  assert.deepEqual(totals(spent).map(({ cost, unit }) => [cost, unit]), [[1, "CNY"], [2, "USD"]]);
});
