// Pins what a badge that is an element has beside its text.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { makeBadge } from "../../web/badges/make.js";

before(() => {
  globalThis.window = { LGraphBadge: class { constructor(about) { Object.assign(this, about); } } };
});

const key = (name) => {
  const done = [];
  return { key: name, done, preventDefault: () => done.push("prevented"), stopPropagation: () => done.push("stopped") };
};

test("a badge tells all of its text as tooltip, though it may be cut", () => {
  assert.deepEqual([makeBadge({ text: "a" }).title, makeBadge({ text: "a…", whole: "a b" }).title], ["a", "a b"]);
});

test("a badge that nothing answers is no button", () => {
  const { role, tabindex, onKeydown } = makeBadge({ text: "a" });
  assert.deepEqual([role, tabindex, onKeydown], [undefined, undefined, undefined]);
});

test("a badge that can be clicked is a button of that name, which Enter and Space press and no other key", () => {
  let pressed = 0;
  const badge = makeBadge({ text: "a…", whole: "a b", onClick: () => pressed++ });
  assert.deepEqual([badge.role, badge.tabindex, badge["aria-label"]], ["button", 0, "a b"]);
  const keys = ["Enter", " ", "Delete", "Tab"].map(key);
  for (const event of keys) badge.onKeydown(event);
  assert.equal(pressed, 2);
  assert.deepEqual(keys.map(({ done }) => done.length), [2, 2, 0, 0]);
});
