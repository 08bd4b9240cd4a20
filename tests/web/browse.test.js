// Pins what the dialog of all models finds, draws and says of a model.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { ALL, NONE, anything, matching } from "../../web/browse/filter.js";
import { ROW, columnsOf, reveal, rowsOf, stepped, windowOf } from "../../web/browse/grid.js";
import { countWords, expected, makesWords, takesLines, takesWords } from "../../web/browse/words.js";
import { follow } from "../../web/words.js";

beforeEach(() => follow(() => "en"));

const image = { name: "first frame", kind: "image", required: true, most: null, limits: "" };
const model = (label, about = {}) => ({
  label, model: label, node: "SkyportHaiyiTextToVideo", platform: "haiyi", task: "TextToVideo", makes: ["video"], takes: [],
  words: `${label}\n${about.more ?? ""}`, price: null, text: "", seconds: null, timed: 0, example: null, ...about,
});
const names = (models, about, ready) => matching(models, { ...anything(), ...about }, ready).map(({ label }) => label);

// -- which models are found -----------------------------------------------------------------------

test("every word must be found, in any order, case and width", () => {
  const models = [model("Kling V3", { more: "可灵\ntext to video" }), model("Kling O1"), model("Wan 2.7")];
  assert.deepEqual(names(models, { text: "  v3 KLING " }), ["Kling V3"]);
  assert.deepEqual(names(models, { text: "可灵" }), ["Kling V3"]);
  assert.deepEqual(names(models, { text: "ｋｌｉｎｇ" }), ["Kling V3", "Kling O1"]);
  assert.deepEqual(names(models, { text: "(kling" }), []);
});

test("those whose name begins with the words come first, then those that hold them, then the rest", () => {
  const models = [model("Sora", { more: "banana" }), model("Nano Banana"), model("Banana 2")];
  assert.deepEqual(names(models, { text: "banana" }), ["Banana 2", "Nano Banana", "Sora"]);
});

test("a model that can be used at once comes before one that needs a key, and else the order stays", () => {
  const models = [model("a", { platform: "x" }), model("b"), model("c", { platform: "x" }), model("d")];
  assert.deepEqual(names(models, {}, ({ platform }) => platform === "haiyi"), ["b", "d", "a", "c"]);
});

test("filters hold together", () => {
  const models = [model("a"), model("b", { task: "ImageToVideo", takes: [image] }), model("c", { platform: "" })];
  assert.deepEqual(names(models, { task: "ImageToVideo" }), ["b"]);
  assert.deepEqual(names(models, { platform: "" }), ["c"]);
  assert.deepEqual(names(models, { platform: ALL }), ["a", "b", "c"]);
  assert.deepEqual(names(models, { media: "image" }), ["b"]);
  assert.deepEqual(names(models, { media: "image", platform: "" }), []);
});

test("what needs no media may take some", () => {
  const models = [model("a"), model("b", { takes: [image] }), model("c", { takes: [{ ...image, required: false }] })];
  assert.deepEqual(names(models, { media: NONE }), ["a", "c"]);
});

test("for a node there are its own models and those that all nodes of its platform offer", () => {
  const models = [model("a"), model("b", { node: "SkyportHaiyiEditVideo" }), model("c", { node: "SkyportHaiyiTextToImage", nodes: ["SkyportHaiyiTextToVideo"] })];
  assert.deepEqual(names(models, { node: "SkyportHaiyiTextToVideo" }), ["a", "c"]);
});

test("a thousand models are searched at once", () => {
  const models = Array.from({ length: 1000 }, (_, n) => model(`model ${n}`, { more: "x".repeat(500) }));
  assert.equal(names(models, { text: "model 99" }).length, 19); // 99, 199 ... 999, and 990 to 998
});

// -- what is drawn, and where a key leads ---------------------------------------------------------

test("there are as many columns as fit, and one where none does", () => {
  assert.deepEqual([100, 360, 727, 728, 3600].map(columnsOf), [1, 1, 1, 2, 9]);
});

test("of a thousand cards only the rows around those that are seen are drawn", () => {
  assert.deepEqual(windowOf(0, 600, 1000, 3), { from: 0, to: 21 });
  assert.deepEqual(windowOf(100 * ROW, 600, 1000, 3), { from: 294, to: 321 });
  assert.deepEqual(windowOf(0, 600, 2, 3), { from: 0, to: 2 });
  assert.deepEqual(windowOf(9000, 600, 0, 3), { from: 0, to: 0 });
  assert.equal(rowsOf(10, 3), 4);
});

test("keys lead through the grid and stay in it", () => {
  const to = (key, at) => stepped(key, at, 10, 3, 5 * ROW);
  assert.deepEqual([to("ArrowDown", 1), to("ArrowUp", 4), to("ArrowRight", 4), to("ArrowLeft", 4)], [4, 1, 5, 3]);
  assert.deepEqual([to("ArrowUp", 1), to("ArrowLeft", 0), to("ArrowRight", 9), to("ArrowDown", 8)], [1, 0, 9, 9]);
  assert.deepEqual([to("Home", 5), to("End", 5), to("PageDown", 0), to("PageUp", 5)], [0, 9, 9, 0]);
  assert.deepEqual([to("ArrowDown", -1), to("End", -1), to("x", 1), stepped("End", -1, 0, 3, 500)], [0, 9, null, null]);
});

test("the active card is brought into view, and nothing moves where it is", () => {
  assert.equal(reveal(0, 3, 500, 600), 0);
  assert.equal(reveal(4, 3, 0, 600), 0);
  assert.equal(reveal(29, 3, 0, 600), 10 * ROW - 600);
});

// -- what is said of a model ----------------------------------------------------------------------

test("media are told with their number and limits", () => {
  const takes = [
    { ...image, limits: "at most 10 MB" },
    { name: "images", kind: "image", required: false, most: 9, limits: "" },
    { name: "voice", kind: "audio", required: true, most: 0, limits: "" },
  ];
  assert.deepEqual(takesLines({ takes }), ["first frame: image (at most 10 MB)", "image, up to 9, optional", "voice: audio, several"]);
  assert.equal(takesWords({ takes: [] }), "takes text only");
  follow(() => "zh");
  assert.equal(takesWords({ takes: takes.slice(1, 2) }), "输入：图片，最多 9 个，可选");
});

test("what it makes and how many there are is told in both languages", () => {
  assert.equal(makesWords({ makes: ["image", "video"] }), "image, video");
  assert.deepEqual([countWords(3, 3), countWords(1, 3)], ["3 models", "1 of 3 models"]);
  follow(() => "zh");
  assert.equal(makesWords({ makes: ["image", "video"] }), "图片，视频");
  assert.equal(countWords(1, 3), "共 3 个模型，显示 1 个");
});

const price = (about) => ({ amount: 2, lowest: 2, highest: 2, unit: "CNY", origin: "learnt", tasks: 3, text: "", ...about });

test("cost and time say from where they are known", () => {
  assert.equal(expected(model("a"), []), "cost unknown");
  assert.equal(expected(model("a", { text: "2 credits a second" }), []), "2 credits a second");
  const known = model("a", { price: price({ highest: 3 }), seconds: 65.4, timed: 1 });
  assert.equal(expected(known, []), "about 2-3 CNY, as your last 3 \u00b7 takes 1:05, as your last one");
  assert.equal(expected(model("a", { price: price({ origin: "own" }), seconds: 0, timed: 2 }), []), "about 2 CNY, by your prices \u00b7 takes 0:00, as your last 2");
});

test("a model of several platforms says what each asks", () => {
  const platforms = [{ name: "haiyi", label: "HaiYi" }, { name: "other", label: "Other" }];
  const choices = [{ platform: "haiyi", price: price(), text: "" }, { platform: "other", price: null, text: "" }];
  assert.equal(expected(model("a", { choices }), platforms), "HaiYi: about 2 CNY, as your last 3 \u00b7 Other: cost unknown");
});
