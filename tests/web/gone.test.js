import assert from "node:assert/strict";
import test from "node:test";
import { goneWidgets } from "../../web/forms/instead.js";
import { nearest } from "../../web/forms/nearest.js";

test("the nearest choice is the one that is written most alike", () => {
  const models = ["custom", "google/gemini-3.1-flash", "kwai/kling-v3", "kwai/kling-v2-master", "vidu/q3"];
  assert.equal(nearest("google/gemini-3.0-flash", models), "google/gemini-3.1-flash");
  assert.equal(nearest("KWAI/KLING-V3", models), "kwai/kling-v3");
  assert.equal(nearest(9, [5, 10]), 10);
});

test("where nothing is offered but an unlisted model, there is no nearest one", () => {
  assert.equal(nearest("a", ["custom"]), undefined);
  assert.equal(nearest("a", []), undefined);
});

test("a choice that comes by a link is not gone", () => {
  const widgets = [{ name: "mode", value: "old", options: { values: ["new"] } }];
  assert.equal(goneWidgets({ widgets }).length, 1);
  assert.equal(goneWidgets({ widgets, inputs: [{ name: "mode" }], graph: {}, getInputLink: () => ({ id: 3 }) }).length, 0);
});
