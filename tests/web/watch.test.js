// Pins when the server is asked about a graph, and which of its answers counts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { watchGraph } from "../../web/watch.js";

const PAUSE = 300;
const settled = () => new Promise((done) => setImmediate(done));

/** A watched text, the questions that wait for an answer, and what was shown. */
function watched(mock) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const all = { text: "a", asked: [], shown: [] };
  const ask = () => new Promise((answer, fail) => all.asked.push({ answer, fail }));
  Object.assign(all, watchGraph({ read: () => all.text, ask, show: (found) => all.shown.push(found), pause: PAUSE }));
  return all;
}

test("it asks once about many changes, when the graph has been still, and not about the same again", async ({ mock }) => {
  const graph = watched(mock);
  for (let change = 0; change < 5; change++) {
    graph.later();
    mock.timers.tick(PAUSE - 1);
  }
  assert.equal(graph.asked.length, 0);
  mock.timers.tick(1);
  graph.asked[0].answer("first");
  await settled();
  graph.later();
  mock.timers.tick(PAUSE);
  assert.deepEqual([graph.asked.length, graph.shown], [1, ["first"]]);
  graph.anew();
  mock.timers.tick(PAUSE);
  assert.equal(graph.asked.length, 2);
});

test("of two answers the one about the newer graph counts, whichever comes last", async ({ mock }) => {
  const graph = watched(mock);
  for (const text of ["a", "b"]) {
    graph.text = text;
    graph.later();
    mock.timers.tick(PAUSE);
  }
  graph.asked[1].answer("about b");
  await settled();
  graph.asked[0].answer("about a");
  await settled();
  assert.deepEqual(graph.shown, ["about b"]);
});

test("what matters no more is shown as nothing, unasked; what failed is asked again with the next change", async ({ mock }) => {
  const graph = watched(mock);
  graph.later();
  mock.timers.tick(PAUSE);
  graph.asked[0].fail(new Error("no server"));
  await settled();
  graph.later();
  mock.timers.tick(PAUSE);
  assert.deepEqual([graph.asked.length, graph.shown], [2, [null]]);
  graph.text = "";
  graph.later();
  mock.timers.tick(PAUSE);
  await settled();
  graph.asked[1].answer("too late");
  await settled();
  assert.deepEqual([graph.asked.length, graph.shown], [2, [null, null]]);
});
