// Pins what a badge that is an element has beside its text, and where one that is drawn on the canvas is cut.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { makeBadge } from "../../web/badges/make.js";

// As the editor draws them: from the right, with a gap of 2 beside each.
class Badge {
  constructor(about) { Object.assign(this, about); }
  getWidth() { return this.text ? 10 * [...this.text].length : 0; }
  draw(ctx, x) { if (this.text) ctx.roundRect(x, 0, this.getWidth(ctx), 20), ctx.fillText(this.text); }
}

function nodeOf(width, own = []) {
  return {
    width,
    badges: [],
    drawBadges(ctx) {
      const all = [...own.map((text) => new Badge({ text })), ...this.badges.map((one) => (typeof one === "function" ? one() : one))];
      let x = this.width - all.reduce((sum, one) => sum + one.getWidth(ctx) + 2, 0);
      for (const one of all) one.draw(ctx, x, 0), (x += one.getWidth(ctx) + 2);
    },
  };
}

before(() => {
  globalThis.window = { LGraphBadge: Badge };
  globalThis.document = { createElement: () => ({ getContext: () => ({}) }) };
});

const key = (name) => {
  const done = [];
  return { key: name, done, preventDefault: () => done.push("prevented"), stopPropagation: () => done.push("stopped") };
};

test("a badge tells all of its text as tooltip, though it may be cut", () => {
  assert.deepEqual([makeBadge({}, { text: "a" }).title, makeBadge({}, { text: "a…", whole: "a b" }).title], ["a", "a b"]);
});

test("a badge that nothing answers is no button", () => {
  const { role, tabindex, onKeydown } = makeBadge({}, { text: "a" });
  assert.deepEqual([role, tabindex, onKeydown], [undefined, undefined, undefined]);
});

test("a badge that can be clicked is a button of that name, which Enter and Space press and no other key", () => {
  let pressed = 0;
  const badge = makeBadge({}, { text: "a…", whole: "a b", onClick: () => pressed++ });
  assert.deepEqual([badge.role, badge.tabindex, badge["aria-label"]], ["button", 0, "a b"]);
  const keys = ["Enter", " ", "Delete", "Tab"].map(key);
  for (const event of keys) badge.onKeydown(event);
  assert.equal(pressed, 2);
  assert.deepEqual(keys.map(({ done }) => done.length), [2, 2, 0, 0]);
});

/** The texts that the canvas shows on `node`, and where they begin. */
function drawn(node) {
  const [texts, starts] = [[], []];
  node.drawBadges({ roundRect: (x) => starts.push(x), fillText: (text) => texts.push(text) });
  return { texts, start: Math.min(...starts) };
}

test("on the canvas a badge that is too long for its node ends in an ellipsis, and keeps its text", () => {
  const node = nodeOf(104);
  const badge = makeBadge(node, { text: "cannot run: no key" });
  node.badges.push(() => badge);
  const { texts, start } = drawn(node);
  assert.deepEqual(texts, ["cannot ru\u2026"]);
  assert.ok(start >= 0, `it begins at ${start}`);
  assert.equal(badge.text, "cannot run: no key");
  node.width = 300;
  assert.deepEqual(drawn(node).texts, ["cannot run: no key"]);
});

test("on the canvas it leaves room for the badges of others, also those that only the editor knows", () => {
  const node = nodeOf(200, ["#12"]);
  const badge = makeBadge(node, { text: "cannot run: no key" });
  node.badges.push(new Badge({ text: "other" }), () => badge);
  const { texts, start } = drawn(node);
  assert.deepEqual(texts, ["#12", "other", "cannot run\u2026"]);
  assert.ok(start >= 0, `the first begins at ${start}`);
});

test("on the canvas two of ours share what there is: the short one stays whole", () => {
  const node = nodeOf(220);
  for (const text of ["no API key", "cannot run: no key"]) node.badges.push(makeBadge(node, { text }));
  assert.deepEqual(drawn(node).texts, ["no API key", "cannot run\u2026"]);
});

test("on the canvas a badge on a node without any room is an ellipsis", () => {
  const node = nodeOf(60, ["editor"]);
  node.badges.push(makeBadge(node, { text: "cannot run" }));
  assert.deepEqual(drawn(node).texts, ["editor", "\u2026"]);
});
