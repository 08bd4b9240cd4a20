import assert from "node:assert/strict";
import test from "node:test";
import { byNode, lineOf } from "../../web/outcome/words.js";

const outcome = (text, about = {}) => ({ node: "1", text, tone: "good", notes: [], job: 1, marks: [], ...about });
const node = (id, type = "SkyportHaiyiTextToImage") => ({ id, type });

test("a line says what happened and its first warning, and is one short line", () => {
  assert.equal(lineOf([outcome("done · 0.11 CNY")]).text, "done · 0.11 CNY");
  assert.equal(lineOf([outcome("done", { notes: ["1 of 2 is missing"], tone: "warn" })]).text, "done · 1 of 2 is missing");
  const { text } = lineOf([outcome(`failed: ${"long ".repeat(40)}`, { tone: "bad" })]);
  assert.ok([...text].length <= 64 && text.endsWith("…"));
});

test("what needs a look goes first, and the others are counted", () => {
  const line = lineOf([outcome("done"), outcome("failed: no", { tone: "bad", job: 7 }), outcome("done")]);
  assert.deepEqual([line.text, line.tone, line.job], ["failed: no · and 2 more", "bad", 7]);
});

test("a node that said nothing has no line", () => {
  assert.equal(lineOf([outcome("")]), null);
});

test("an outcome is on its node and on the subgraphs around it", () => {
  const [outer, inner] = [node(3, "a subgraph"), node(7)];
  const found = byNode([outcome("done", { node: "3:7" })], [["3", outer], ["3:7", inner], ["7", node(7)]]);
  assert.deepEqual([...found.keys()], [outer, inner]);
});

test("a node of another kind that has the id now says nothing", () => {
  assert.equal(byNode([outcome("done")], [["1", node(1, "LoadImage")]]).size, 0);
});
