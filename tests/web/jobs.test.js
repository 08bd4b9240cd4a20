// Pins the arithmetic of the job list: what is drawn, what is asked for, how events change it.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Book, GROUPS, blocks, isUnderWay } from "../../web/jobs/book.js";
import { GROUP_WORDS, age, amount, clock, costWord, headWords, jobsWord, laidOut, seenWords, sizeText, spanWords, splitDetails, stateWord, toneOf, totals } from "../../web/jobs/format.js";
import { costsOf, grouped, shareOf, statesOf } from "../../web/jobs/groups.js";
import { anyRuns, rowStateWord, standing } from "../../web/jobs/rows.js";
import { freeCorner } from "../../web/jobs/ground.js";
import { inputsOf } from "../../web/jobs/inputs.js";
import { ROW, missing, reveal, stepped, windowOf } from "../../web/jobs/paging.js";
import { findNode, ranIt, widgetFor } from "../../web/jobs/path.js";
import { holdsWorkflow } from "../../web/jobs/holds.js";
import { sha256, slowSha256 } from "../../web/jobs/sha256.js";
import { follow } from "../../web/words.js";

beforeEach(() => follow(() => "en"));

const row = (job, about = {}) => ({ job, mark: `mark-${job}`, state: "delivered", platform: "haiyi", ...about });
const rows = (newest, oldest) => Array.from({ length: newest - oldest + 1 }, (_, n) => row(newest - n));
const live = (about = {}) => ({
  mark: "mark-9", platform: "haiyi", title: "kling-v3", stage: "running", task: "24317", elapsed: 37, usual: 90,
  progress: 0.42, status: "running", remote: "KSampler", queue: [3, 12], cost: 0.11, unit: "CNY", moved: 0, total: 0, at: 0, ...about,
});
const numbers = (book) => book.rows.map(({ job }) => job);
const book = (jobs, about = {}) => {
  const made = new Book(about.filter);
  made.takeHead({ jobs, live: about.live ?? [], total: about.total ?? jobs.length }, 0);
  return made;
};

// -- free ground ----------------------------------------------------------------------------------

const covers = ([x, y, w, h], [a, b, c, d]) => x < a + c && a < x + w && y < b + d && b < y + h;

test("a new node stands where it is wanted while nothing is there", () => {
  assert.deepEqual(freeCorner([10, 20], [200, 100], [[500, 20, 100, 100]]), [10, 20]);
});

test("a new node covers none, however many stand there, and is near", () => {
  const boxes = [[0, 0, 300, 200]];
  for (let n = 0; n < 30; n++) {
    const corner = freeCorner([50, 50], [200, 100], boxes);
    assert.ok(boxes.every((box) => !covers([...corner, 200, 100], box)));
    assert.ok(Math.hypot(corner[0] - 50, corner[1] - 50) < 1300);
    boxes.push([...corner, 200, 100]);
  }
});

// -- which rows are drawn and asked for ----------------------------------------------------------

test("of five thousand rows only those around the ones seen are drawn", () => {
  assert.deepEqual(windowOf(0, 760, 5000), { from: 0, to: 16 });
  assert.deepEqual(windowOf(2500 * ROW, 760, 5000), { from: 2494, to: 2516 });
  assert.deepEqual(windowOf(4990 * ROW, 760, 5000), { from: 4984, to: 5000 });
});

test("nothing is drawn of an empty list, nor beyond the end of one that has shrunk", () => {
  assert.deepEqual(windowOf(0, 760, 0), { from: 0, to: 0 });
  assert.deepEqual(windowOf(9000, 760, 3), { from: 3, to: 3 });
  assert.deepEqual(windowOf(-50, 760, 3), { from: 0, to: 3 });
});

test("the next page is asked for before its first row is seen, and never beyond the end", () => {
  assert.equal(missing(20, 100, 5000), 0);
  assert.equal(missing(60, 100, 5000), 100);
  assert.equal(missing(60, 100, 100), 0);
});

test("a leap to the end asks for much at once, within a limit", () => {
  assert.equal(missing(700, 100, 5000), 650);
  assert.equal(missing(5000, 100, 5000), 1000);
});

test("a row is scrolled to only as far as it takes", () => {
  assert.equal(reveal(3, 0, 760), 0);
  assert.equal(reveal(10, 0, 760), ROW);
  assert.equal(reveal(2, 5 * ROW, 760), 2 * ROW);
});

test("keys lead through the list and stop at its ends", () => {
  const from = (key, at) => stepped(key, at, 100, 760);
  assert.deepEqual([from("ArrowDown", -1), from("ArrowDown", 99), from("ArrowUp", 0)], [0, 99, 0]);
  assert.deepEqual([from("PageDown", 0), from("PageUp", 5), from("Home", 50), from("End", 0)], [9, 0, 0, 99]);
  assert.equal(from("r", 4), null);
  assert.equal(stepped("End", 0, 0, 760), null);
});

// -- rows and events -----------------------------------------------------------------------------

test("pages follow each other without a row twice", () => {
  const held = book(rows(10, 8), { total: 10 });
  held.takeNext({ jobs: rows(8, 6), live: [] }, 3, 0);
  assert.deepEqual(numbers(held), [10, 9, 8, 7, 6]);
  assert.equal(held.items().count, 10);
});

test("a page that is not full is the last", () => {
  const held = book(rows(10, 8), { total: 10 });
  held.takeNext({ jobs: rows(7, 6), live: [] }, 100, 0);
  assert.equal(held.items().count, 5);
});

test("the head anew keeps the older rows that were loaded, and forgets what is gone", () => {
  const held = book(rows(10, 1));
  held.takeHead({ jobs: [row(12), row(11), row(9)], live: [], total: 11 }, 0);
  assert.deepEqual(numbers(held), [12, 11, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  held.takeHead({ jobs: [row(12)], live: [], total: 1 }, 0);
  assert.deepEqual(numbers(held), [12]);
});

test("of a thousand jobs under way the first are listed, and all are counted", () => {
  const held = book([]);
  held.takeHead({ jobs: [], live: [live({ task: "" })], running: 1000, total: 0 }, 0);
  assert.equal(held.running, 1000);
  held.hear({ live: [live({ task: "" })], running: 999, rows: [] }, 0);
  assert.deepEqual([held.running, held.items().count], [999, 1]);
});

test("news of a row takes its place, a new row goes to the top", () => {
  const held = book(rows(3, 1));
  assert.equal(held.hear({ live: [], rows: [row(2, { state: "failed" }), row(4)] }, 0), false);
  assert.deepEqual(held.rows.map(({ job, state }) => `${job} ${state}`), [
    "4 delivered", "3 delivered", "2 failed", "1 delivered",
  ]);
  assert.equal(held.items().count, 4);
});

test("news of a row that is not loaded yet waits for its page", () => {
  const held = book(rows(10, 8), { total: 10 });
  assert.equal(held.hear({ live: [], rows: [row(2)] }, 0), false);
  assert.deepEqual(numbers(held), [10, 9, 8]);
  assert.equal(held.items().count, 10);
});

test("a row that no longer fits the filter leaves the list", () => {
  const running = { state: "running" };
  const held = book([row(2, running), row(1, running)], { filter: { group: "active" } });
  held.hear({ live: [], rows: [row(2)] }, 0);
  assert.deepEqual(numbers(held), [1]);
  held.hear({ live: [], rows: [row(3, { state: "running", platform: "gpugeek" })] }, 0);
  assert.deepEqual(numbers(held), [3, 1]);
});

test("whether a new row holds the words searched for, the server is asked", () => {
  const held = book(rows(3, 1), { filter: { text: "boat" } });
  assert.equal(held.hear({ live: [], rows: [row(4)] }, 0), true);
  assert.equal(held.hear({ live: [], rows: [row(3)] }, 0), false);
});

test("what is on its way is seen at its row, and not at an older row of an equal order", () => {
  const open = row(9, { state: "running" });
  const held = book([open, row(5, { mark: "mark-9" })], { live: [live()] });
  assert.deepEqual(held.items().items.map((item) => Boolean(item.live)), [true, false]);
});

test("a job that is looked at again is seen at its row, from its first moment", () => {
  for (const state of ["unresolved", "running"]) {
    const held = book([row(9, { state })], { live: [live({ task: "", stage: "waiting" })] });
    assert.deepEqual(held.items().items.map(({ key, live }) => [key, Boolean(live)]), [[9, true]]);
  }
});

test("a job that is unresolved is not under way, and has a filter and a colour of its own", () => {
  const open = row(9, { state: "unresolved" });
  assert.equal(isUnderWay(open), false);
  assert.deepEqual(GROUPS.unresolved, ["unresolved"]);
  assert.deepEqual([GROUP_WORDS.unresolved(), stateWord("unresolved"), toneOf("unresolved")], ["Unresolved", "unresolved", "warn"]);
  const held = book([open], { filter: { group: "unresolved" } });
  held.hear({ live: [], rows: [row(9)] }, 0);
  assert.deepEqual(numbers(held), []);
});

test("only what was never answered or is unresolved is ordered anew by a person", () => {
  const states = ["unknown", "unresolved", "running", "delivered", "failed", "cancelled"];
  assert.deepEqual(states.filter((state) => blocks({ state })), ["unknown", "unresolved"]);
});

test("a job that is not submitted yet stands above the rows", () => {
  const early = live({ mark: "new", task: "", stage: "uploading" });
  const held = book(rows(2, 1), { live: [early] });
  assert.deepEqual(held.items().items.map(({ key }) => key), ["new", 2, 1]);
  assert.equal(held.items().count, 3);
  held.filter.group = "failed";
  assert.equal(held.items().count, 2);
});

// -- jobs of one queue ---------------------------------------------------------------------------

const itemsOf = (...queues) => queues.map((prompt, n) => ({ key: 9 - n, row: row(9 - n, { prompt, cost: null, created: 0 }), live: undefined }));
const shown = (items) => items.map(({ key, within }) => (within ? `${within}/${key}` : String(key)));

test("jobs of one queue stand together where its newest stands, and a job alone stands alone", () => {
  const items = itemsOf("a", "b", "a", "", "", "c");
  assert.deepEqual(shown(grouped(items, new Set())), ["queue-a", "a/9", "a/7", "8", "6", "5", "4"]);
});

test("a folded queue is one line, and the others stay as they are", () => {
  const items = itemsOf("a", "a", "b", "b");
  const found = grouped(items, new Set(["a"]));
  assert.deepEqual(shown(found), ["queue-a", "queue-b", "b/7", "b/6"]);
  assert.deepEqual([found[0].group.open, found[0].group.items.length, found[1].group.open], [false, 2, true]);
});

test("a job that is not submitted yet stands with those of its queue", () => {
  const early = { key: "new", row: null, live: live({ mark: "new", task: "", prompt: "a" }) };
  assert.deepEqual(shown(grouped([early, ...itemsOf("a")], new Set())), ["queue-a", "a/new", "a/9"]);
});

test("sums of a queue are by unit, and what runs counts as far as it is known", () => {
  const cost = (cost, unit) => ({ row: row(1, { cost, unit }), live: undefined });
  const runs = { row: row(2, { cost: null, unit: "CNY", state: "running" }), live: live({ cost: 0.1, share: 0.5 }) };
  const items = [cost(0.2, "CNY"), cost(3, "credits"), cost(null, "CNY"), runs];
  assert.deepEqual(costsOf(items).map(costWord), ["0.3 CNY", "3 credits"]);
  assert.deepEqual(statesOf(items), [["delivered", 3], ["running", 1]]);
  assert.equal(shareOf(items, isUnderWay), 0.875);
  assert.equal(shareOf(items.slice(0, 3), isUnderWay), null);
});

test("the line of a queue says how many, in which states, what they cost and how long they take", () => {
  const now = Date.now() / 1000;
  const done = { row: row(1, { cost: 0.2, unit: "CNY", created: now }), live: undefined };
  const runs = { row: row(2, { cost: null, state: "running", created: now }), live: live({ cost: null, share: 0.5 }) };
  assert.deepEqual(headWords([done, runs], 0), ["2 jobs · just now", "1 done · 1 running", "0.2 CNY · about 0:53 left", 0.75]);
  assert.deepEqual([jobsWord(1), jobsWord(5000)], ["1 job", "5,000 jobs"]);
  follow(() => "zh");
  assert.equal(jobsWord(1), "1 \u4e2a\u4f5c\u4e1a");
});

// -- what was sent -------------------------------------------------------------------------------

test("values, long texts and media of a request are apart", () => {
  const request = { model: "kling-v3", parameters: { prompt: "a\nb", n: 2, hd: false, images: [{ sha256: "ab" }], mask: { sha256: "cd" } } };
  assert.deepEqual(inputsOf(request), {
    short: [["model", "kling-v3"], ["parameters.n", "2"], ["parameters.hd", "false"]],
    long: [["parameters.prompt", "a\nb"]],
    media: [["parameters.images.0", "ab"], ["parameters.mask", "cd"]],
  });
});

test("a workflow is one text to unfold, laid out, and its media are shown all the same", () => {
  const workflow = { 1: { class_type: "LoadImage", inputs: { image: { sha256: "ab" } } } };
  const found = inputsOf({ workflow, text: JSON.stringify(workflow) });
  assert.deepEqual(found.long, [["workflow", JSON.stringify(workflow, null, 1)], ["text", JSON.stringify(workflow, null, 1)]]);
  assert.deepEqual([found.short, found.media], [[], [["workflow.1.inputs.image", "ab"]]]);
});

test("a request of none and one of null values are shown as they are", () => {
  assert.deepEqual(inputsOf({}), { short: [], long: [], media: [] });
  assert.deepEqual(inputsOf({ a: null, b: "" }).short, [["a", "null"], ["b", ""]]);
});

test("how long a job waited and took is told once it is known", () => {
  const times = { created: 100, submitted: 105, ended: 165 };
  const told = (about) => spanWords({ ...times, ...about }).map(([, value]) => value);
  assert.deepEqual(told({ state: "delivered" }), ["0:05", "1:00"]);
  assert.deepEqual(told({ state: "running", ended: 0 }), ["0:05", ""]);
  assert.deepEqual(told({ state: "unresolved" }), ["0:05", ""]);
  assert.deepEqual(told({ state: "failed", submitted: 0 }), ["", ""]);
});

// -- words ---------------------------------------------------------------------------------------

test("a running job tells state, remote node, time, queue and cost", () => {
  assert.deepEqual(seenWords(live(), 1000), ["running 42 %", "KSampler", "0:38 of about 1:30", "queue 3/12", "0.11 CNY"]);
  const little = live({ status: "WARMUP", progress: null, remote: "", usual: null, queue: [2, null], cost: null });
  assert.deepEqual(seenWords(little, 0), ["WARMUP", "0:37", "queue 2"]);
  assert.deepEqual(seenWords(live({ stage: "uploading", moved: 1, total: 4 }), 0), ["uploading 25 %"]);
});

test("a running job tells how far its node is, and since when no answer comes", () => {
  const words = seenWords(live({ remote_progress: 0.5, silent: 44, queue: [null, null], cost: null }), 1000);
  assert.deepEqual(words, ["running 42 %", "KSampler 50 %", "0:38 of about 1:30", "no answer for 0:45"]);
});

test("details that are long, as reasoning is, are set apart from those that fit on a line", () => {
  const thought = ["reasoning", "x".repeat(81)];
  const lines = ["reasoning", "one\ntwo"];
  const { short, long } = splitDetails([["queued", "1.2 s"], thought, ["traceid", "5f2c"], lines]);
  assert.deepEqual([short, long], [[["queued", "1.2 s"], ["traceid", "5f2c"]], [thought, lines]]);
});

test("the last answer is laid out, and shown as it is where it was cut", () => {
  assert.equal(laidOut('{"a": [1]}'), '{\n "a": [\n  1\n ]\n}');
  assert.equal(laidOut('{"a": [1, 2...'), '{"a": [1, 2...');
});

test("numbers are as people read them", () => {
  assert.deepEqual([clock(5), clock(65), clock(7209), clock(-1)], ["0:05", "1:05", "2:00:09", "0:00"]);
  assert.deepEqual([age(5), age(125), age(7300), age(259200)], ["just now", "2 min ago", "2 h ago", "3 days ago"]);
  assert.deepEqual([amount(0.1 + 0.2), amount(12), amount(0.000123)], ["0.3", "12", "0.000123"]);
  assert.deepEqual([sizeText(12), sizeText(1536), sizeText(2 ** 21)], ["12 bytes", "1.5 KB", "2 MB"]);
});

test("a cost is in its unit, and alone where the platform has told none", () => {
  assert.equal(costWord({ cost: 0.1 + 0.2, unit: "CNY" }), "0.3 CNY");
  assert.equal(costWord({ cost: 12, unit: "" }), "12");
});

test("a state of a newer version is shown as it is", () => {
  assert.deepEqual([stateWord("failed"), stateWord("paused"), toneOf("paused")], ["failed", "paused", "busy"]);
});

test("costs of different platforms are never added together", () => {
  const spent = [
    { day: "2", platform: "haiyi", tasks: 1, cost: 0.5 },
    { day: "2", platform: "gpugeek", tasks: 1, cost: 300 },
    { day: "1", platform: "haiyi", tasks: 2, cost: 0.25 },
  ];
  assert.deepEqual(totals(spent), [
    { platform: "gpugeek", tasks: 1, cost: 300 },
    { platform: "haiyi", tasks: 3, cost: 0.75 },
  ]);
});

// -- nodes ---------------------------------------------------------------------------------------

test("a node is found in its graph and in a subgraph", () => {
  const graphOf = (nodes) => ({ getNodeById: (id) => nodes[id] });
  const inner = { type: "SkyportHaiyiTextToImage" };
  const subgraph = graphOf({ 7: inner });
  const graph = graphOf({ 3: { type: "x", subgraph }, 4: { type: "y" } });
  assert.deepEqual(findNode(graph, "4"), { node: { type: "y" }, graph });
  assert.equal(findNode(graph, "3:7").node, inner);
  assert.equal(findNode(graph, "3:7").graph, subgraph);
  assert.deepEqual([findNode(graph, "9"), findNode(graph, "4:7"), findNode(graph, "")], [null, null, null]);
});

test("a value is set by the node, by the subgraph that its input is led out to, or by another node", () => {
  const seeded = (id, graph, name = "seed") => ({ id, graph, inputs: [{ name }], widgets: [{ name, of: id }] });
  const linked = (...links) => ({ links: new Map(links.map((link) => [link, { origin_slot: 0, target_slot: 0, ...link }])) });
  const of = (top, inner) => {
    const subgraph = { ...inner, inputNode: { id: -10 }, inputs: [{ name: "its seed" }] };
    subgraph.getNodeById = () => seeded(7, subgraph);
    top.getNodeById = () => ({ ...seeded(3, top, "its seed"), subgraph });
    return widgetFor(top, "3:7", "seed")?.of;
  };
  assert.equal(of(linked(), linked()), 7);
  assert.equal(of(linked(), linked({ origin_id: -10, target_id: 7 })), 3);
  assert.equal(of(linked(), linked({ origin_id: 5, target_id: 7 })), undefined);
  assert.equal(of(linked({ origin_id: 5, target_id: 3 }), linked({ origin_id: -10, target_id: 7 })), undefined);
});

test("a node of another graph with the same id is not taken for the one that ran the job", () => {
  assert.equal(ranIt("SkyportHaiyiTextToImage", "haiyi"), true);
  assert.equal(ranIt("SkyportRunInCloud", "haiyi"), true);
  assert.equal(ranIt("SkyportGpugeekRunWorkflow", "haiyi"), false);
  assert.equal(ranIt("KSampler", "haiyi"), false);
});

// -- batches ---------------------------------------------------------------------------------------

test("a batch says how many rows are done, under way and without a result, and what they cost", () => {
  const batch = { total: 10, running: true, states: { done: 4, running: 2, failed: 1, unknown: 1 }, costs: [{ unit: "CNY", cost: 1.5 }, { unit: "credits", cost: 2 }] };
  assert.deepEqual(standing(batch), { done: 4, failed: 2, underWay: 2, share: 0.6, cost: "1.5 CNY · 2 credits" });
  assert.equal(standing({ ...batch, running: false }).underWay, 0);
  assert.equal(standing({ ...batch, total: 0 }).share, 0);
});

test("a row without a result says what its state means", () => {
  assert.deepEqual(["failed", "refused", "unknown", "open"].map(rowStateWord), [
    "Its task has failed",
    "Not sent",
    "Sent and never answered: it may have been charged",
    "No whole result yet",
  ]);
  assert.equal(rowStateWord("newer"), "newer");
});

test("batches are asked for again only while one of them runs", () => {
  assert.equal(anyRuns([{ running: false }, { running: true }]), true);
  assert.equal(anyRuns([{ running: false }]), false);
});

test("the SHA-256 of our own is that of the browser, for bytes of any length", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 100000]) {
    const bytes = new Uint8Array(length).map((_, n) => n * 7 + length);
    assert.equal(slowSha256(bytes), await sha256(bytes));
  }
  assert.equal(slowSha256(new TextEncoder().encode("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("a file with a workflow of its own is known by what ComfyUI writes, at either end", () => {
  const bytes = (text, before = 0, after = 0) => new Uint8Array([...new Uint8Array(before), ...new TextEncoder().encode(text), ...new Uint8Array(after)]);
  assert.equal(holdsWorkflow(bytes('tEXtprompt {"1": {"class_type": "A"}}', 10, 10)), true);
  assert.equal(holdsWorkflow(bytes('{"last_link_id": 3}', 0, 9_000_000)), true);
  assert.equal(holdsWorkflow(bytes('{"last_link_id": 3}', 9_000_000)), true);
  assert.equal(holdsWorkflow(bytes("a boat", 10, 10)), false);
});
