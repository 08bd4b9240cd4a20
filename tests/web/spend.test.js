// Pins how an estimate is put into words, and which graphs are estimated: the logic without an editor.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mayCost, varies } from "../../web/cloud/graph.js";
import { isOutOfCredit, topUpPage } from "../../web/errors/words.js";
import { lineWords, money, sumWords } from "../../web/spend/words.js";
import { follow } from "../../web/words.js";

const sum = (amount, unit, highest = amount) => ({ amount, lowest: amount, highest, unit });
const price = (amount, origin, tasks = 0) => ({ ...sum(amount, "CNY"), origin, tasks });
const estimate = (more) => ({ tasks: 3, at_least: false, reused: 0, unknown: 0, sums: [sum(1.2, "CNY")], ...more });

test("an amount is a span where it may be either", () => {
  follow(() => "en");
  assert.equal(money(sum(1.23456, "CNY")), "1.23 CNY");
  assert.equal(money(sum(0.3, "USD", 0.45)), "0.3-0.45 USD");
});

test("the sum names the tasks, each unit by itself, and how many are unknown", () => {
  assert.equal(sumWords(estimate()), "3 tasks, about 1.2 CNY");
  assert.equal(sumWords(estimate({ unknown: 2 })), "3 tasks, about 1.2 CNY + 2 unknown");
  assert.equal(sumWords(estimate({ tasks: 1, sums: [sum(1, "CNY"), sum(4, "credits")] })), "1 task, about 1 CNY + 4 credits");
  assert.equal(sumWords(estimate({ at_least: true, sums: [], unknown: 3 })), "at least 3 tasks, cost unknown");
  assert.equal(sumWords(estimate({ tasks: 0, reused: 2, sums: [] })), "nothing to pay: 2 reused");
  follow(() => "zh");
  assert.equal(sumWords(estimate({ unknown: 2 })), "3 个任务，约 1.2 CNY，另有 2 个费用未知");
  follow(() => "en");
});

test("where only servers of one's own are queued, that is said", () => {
  const nothing = estimate({ tasks: 0, sums: [] });
  assert.equal(sumWords({ ...nothing, free: 1, subscribed: 0 }), "free: your own server");
  assert.equal(sumWords({ ...nothing, free: 1, subscribed: 1 }), "paid by your Comfy Cloud subscription");
  assert.equal(sumWords(estimate({ free: 1 })), "3 tasks, about 1.2 CNY");
});

test("a line says what each task costs and who says so", () => {
  const item = { label: "HaiYi", model: "kling-v3", tasks: 2, at_least: false, reused: 0, price: price(1, "own"), text: "" };
  assert.equal(lineWords(item), "HaiYi kling-v3: 2 tasks, 1 CNY each, by your prices");
  assert.equal(lineWords({ ...item, price: price(1, "learnt", 4) }), "HaiYi kling-v3: 2 tasks, 1 CNY each, as your last 4");
  assert.equal(lineWords({ ...item, price: null, text: "by use" }), "HaiYi kling-v3: 2 tasks, cost unknown (by use)");
  assert.equal(lineWords({ ...item, tasks: 0, reused: 1 }), "HaiYi kling-v3: 1 reused, nothing to pay");
});

test("a line of a node over several platforms names the one that is asked first", () => {
  const item = { label: "HappyHorse", model: "kling-video", tasks: 1, at_least: false, reused: 0, price: price(1, "own"), text: "", first: true };
  assert.equal(lineWords(item), "kling-video: 1 task, first asked: HappyHorse, 1 CNY each, by your prices");
  follow(() => "zh");
  assert.equal(lineWords(item), "kling-video：1 个任务，首选 HappyHorse，每个 1 CNY，依据你自己的价格");
  follow(() => "en");
  assert.equal(lineWords({ ...item, tasks: 0, reused: 1 }), "HappyHorse kling-video: 1 reused, nothing to pay");
  const unknown = { ...item, label: "", model: "", title: "Any Cloud Text to Video", price: null, first: false };
  assert.equal(lineWords(unknown), "Any Cloud Text to Video: 1 task, cost unknown");
});

const graph = (...nodes) => ({ nodes: nodes.map((node, id) => ({ id, mode: 0, ...node })) });

test("a graph is estimated once it holds a node that orders, in subgraphs too", () => {
  const made = { type: "SkyportHaiyiTextToImage" };
  assert.equal(mayCost(graph({ type: "KSampler" }, { type: "SkyportHaiyiUpload" }, { type: "SkyportLoadResult" }, { type: "SkyportLoadRows" })), false);
  assert.equal(mayCost(graph(made)), true);
  assert.equal(mayCost(graph({ ...made, mode: 4 })), false);
  assert.equal(mayCost(graph({ type: "sub", subgraph: graph(made) })), true);
  assert.equal(mayCost(undefined), false);
});

test("a batch is several orders only where a value changes between its runs", () => {
  const options = { values: ["fixed", "increment", "decrement", "randomize"] };
  const seed = (value) => ({ type: "A", widgets: [{ name: "seed", value: 1 }, { name: "fixed", value, options }] });
  assert.equal(varies(graph(seed("fixed"))), false);
  assert.equal(varies(graph(seed("fixed"), seed("randomize"))), true);
});

test("an empty account leads to the page of the platform that says so", () => {
  const platforms = [{ label: "HaiYi", top_up: "https://one.example" }, { label: "GPUGeek", top_up: "" }];
  const detail = { node_type: "SkyportRunInCloud", exception_type: "skyport.engine.base.errors.OutOfCredit" };
  assert.equal(isOutOfCredit(detail), true);
  assert.equal(isOutOfCredit({ ...detail, exception_type: "TaskFailed" }), false);
  assert.equal(topUpPage("HaiYi: no balance", platforms), "https://one.example");
  assert.equal(topUpPage("GPUGeek: no balance", platforms), "");
  assert.equal(topUpPage("Elsewhere: no balance", platforms), "");
});
