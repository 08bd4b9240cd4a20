// Pins what the badges of Run in Cloud say, when the server is asked anew, and how its menu changes a graph.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { badgesOf } from "../../web/cloud/badges.js";
import { HERE, KEEP, RUN, deed, essence, everyNode, firstCloud, freePlace, hasCloud, outputsFor } from "../../web/cloud/graph.js";
import { certain } from "../../web/cloud/certain.js";
import { insertBehind, takeAway } from "../../web/cloud/insert.js";
import { exitsOf, nodesOf, runsOf, unsent } from "../../web/cloud/part.js";
import { follow } from "../../web/words.js";
import { isPatched, wrap } from "../../web/wrap.js";

beforeEach(() => follow(() => "en"));

const node = (id, about = {}) => ({ id, type: "ImageInvert", ...about });
const run = (id, where) => node(id, { type: RUN, widgets: [{ name: "where", value: where }] });
const graph = (...nodes) => ({ nodes });
const cloud = (clouds = ["HaiYi"], here = false) => ({ clouds, here });

// -- badges --------------------------------------------------------------------------------------

function texts(tree, nodes, ids, troubles = {}) {
  const found = badgesOf(tree, { nodes, troubles }, ids);
  return Object.fromEntries([...everyNode(tree)].map(([id, one]) => [id, found.get(one)?.text]));
}

test("a node tells every cloud that it is sent to, and whether it runs here too", () => {
  const nodes = { 1: cloud(["HaiYi", "GPUGeek"]), 2: cloud(["HaiYi"], true) };
  assert.deepEqual(texts(graph(node(1), node(2), node(3)), nodes, ["1", "2", "3"]), {
    1: "cloud: HaiYi, GPUGeek", 2: "cloud: HaiYi, and here", 3: undefined,
  });
});

test("a subgraph tells where what it holds runs", () => {
  const tree = graph(node(12, { subgraph: graph(node(5), node(6, { subgraph: graph(node(1)) })) }));
  const ids = ["12:5", "12:6:1"];
  const all = texts(tree, { "12:5": cloud(), "12:6:1": cloud() }, ids);
  assert.deepEqual(all, { 12: "cloud: HaiYi", "12:5": "cloud: HaiYi", "12:6": "cloud: HaiYi", "12:6:1": "cloud: HaiYi" });
  const some = texts(tree, { "12:6:1": cloud() }, ids);
  assert.deepEqual(some, { 12: "cloud: HaiYi (partly)", "12:5": undefined, "12:6": "cloud: HaiYi", "12:6:1": "cloud: HaiYi" });
  assert.equal(texts(tree, { "12:5": cloud(), "12:6:1": cloud(["HaiYi"], true) }, ids)[12], "cloud: HaiYi (partly)");
});

test("a node with a note warns, in short and with all of it kept; a subgraph warns of what it holds", () => {
  const tree = graph(node(1), node(12, { subgraph: graph(node(5)) }), node(3));
  const notes = { 1: "It is billed apart.", "12:5": "It stays here." };
  const found = badgesOf(tree, { nodes: { 1: cloud() }, troubles: {}, notes }, ["1", "12:5", "3"]);
  const [one, outer, plain] = tree.nodes.map((each) => found.get(each));
  assert.deepEqual(one, { text: "cloud: HaiYi; It is billed apart.", tone: "warn", reason: "It is billed apart." });
  assert.deepEqual(outer, { text: "It stays here.", tone: "warn", reason: "It stays here." });
  assert.equal(plain, undefined);
});

test("a node of a subgraph that is used twice stands for both", () => {
  const inner = graph(node(5));
  const tree = graph(node(12, { subgraph: inner }), node(13, { subgraph: inner }));
  assert.equal(texts(tree, { "13:5": cloud() }, ["12:5", "13:5"])["13:5"], "cloud: HaiYi (partly)");
});

test("what a node holds is not mistaken for that of one whose id begins alike", () => {
  const tree = graph(node(1, { subgraph: graph(node(5)) }), node(12, { subgraph: graph(node(5)) }));
  assert.equal(texts(tree, { "12:5": cloud() }, ["1:5", "12:5"])[1], undefined);
});

test("a node that cannot be cut tells why, in short, and the whole reason is kept", () => {
  const tree = graph(node(7, { subgraph: graph(run(4, "HaiYi")) }));
  const reason = "KSampler (3) takes a MODEL that is made on this machine by Load Checkpoint (1). A MODEL cannot go to a cloud.";
  const found = badgesOf(tree, { nodes: {}, troubles: { "7:4": reason } }, ["7:4"]);
  const told = found.get(tree.nodes[0].subgraph.nodes[0]);
  assert.equal(told.text, "cannot run: KSampler (3) takes a MODEL that is made on this machine…");
  assert.deepEqual([told.tone, told.reason, told.whole], ["bad", reason, `cannot run: ${reason}`]);
  assert.equal(found.get(tree.nodes[0]).text, told.text);
});

test("a long note is cut behind where the node runs, and told in full with it", () => {
  const tree = graph(node(1));
  const notes = { 1: "It is billed apart. ".repeat(9).trim() };
  const told = badgesOf(tree, { nodes: { 1: cloud() }, troubles: {}, notes }, ["1"]).get(tree.nodes[0]);
  assert.match(told.text, /^cloud: HaiYi; It is billed apart\. .*…$/);
  assert.equal(told.whole, `cloud: HaiYi; ${notes[1]}`);
});

test("what names for values would help is marked, at any depth", () => {
  const tree = graph(node(7, { subgraph: graph(run(4)) }), run(5));
  const told = { nodes: {}, troubles: { "7:4": "no names", 5: "a cycle" }, unnamed: ["7:4"] };
  const found = badgesOf(tree, told, ["7:4", "5"]);
  assert.deepEqual(tree.nodes.map((one) => found.get(one).unnamed), [true, undefined]);
});

// -- when it is asked ----------------------------------------------------------------------------

test("the server is asked only while something may run in a cloud, at any depth", () => {
  assert.equal(hasCloud(graph(node(1), run(2, HERE))), false);
  assert.equal(hasCloud(graph(node(1), run(2, "HaiYi"))), true);
  assert.equal(hasCloud(graph(node(1, { subgraph: graph(run(2, "GPUGeek")) }))), true);
  assert.equal(hasCloud(graph()), false);
});

const saved = (about = {}, links = [[1, 1, 0, 2, 0, "IMAGE"]]) => ({
  nodes: [{ id: 1, type: "LoadImage", mode: 0, pos: [0, 0], title: "a", widgets_values: ["x.png"], ...about }], links,
});

test("moving or colouring a node asks nothing anew", () => {
  assert.equal(essence(saved()), essence(saved({ pos: [9, 9], size: [1, 1], color: "#f00", flags: { collapsed: true } })));
});

test("a link, a value, a title, muting a node: each asks anew, also in a subgraph", () => {
  const changes = [saved({ mode: 4 }), saved({ widgets_values: ["y.png"] }), saved({ title: "b" }), saved({}, []), saved({ id: 3 })];
  for (const change of changes) {
    assert.notEqual(essence(saved()), essence(change));
    const within = (inner) => ({ ...saved(), definitions: { subgraphs: [inner] } });
    assert.notEqual(essence(within(saved())), essence(within(change)));
  }
});

// -- the menu ------------------------------------------------------------------------------------

const outputs = (...types) => ({ outputs: types.map((type) => ({ type, name: type.toLowerCase() })) });

test("only outputs that a cloud can bring back are sent there, and more can be kept here", () => {
  const loader = node(1, outputs("MODEL", "IMAGE", "MASK", "STRING", "*"));
  assert.deepEqual(outputsFor(RUN, loader), [[1, "image"], [2, "mask"]]);
  assert.deepEqual(outputsFor(KEEP, loader), [[1, "image"], [2, "mask"], [3, "string"]]);
});

test("what is ours stays here anyway", () => {
  assert.deepEqual(outputsFor(RUN, { ...run(1, "HaiYi"), ...outputs("IMAGE") }), []);
  assert.deepEqual(outputsFor(KEEP, node(1, { type: "SkyportHaiyiTextToImage", ...outputs("IMAGE") })), []);
});

test("it begins with the cloud that lacks nothing, not with one that has a key and needs more", () => {
  const platforms = (haiyi, gpugeek) => ({
    gpugeek: { label: "GPUGeek", ready: gpugeek, at_once: false },
    haiyi: { label: "HaiYi", ready: haiyi, at_once: true },
  });
  const places = [HERE, "GPUGeek", "HaiYi"];
  assert.equal(firstCloud(places, platforms(true, true)), "HaiYi");
  assert.equal(firstCloud(places, platforms(false, true)), "GPUGeek");
  assert.equal(firstCloud(places, platforms(true, false)), "HaiYi");
});

test("it begins with the first cloud that has a key, else with the first", () => {
  const places = [HERE, "HaiYi", "GPUGeek"];
  const platforms = (haiyi, gpugeek) => ({ haiyi: { label: "HaiYi", ready: haiyi }, gpugeek: { label: "GPUGeek", ready: gpugeek } });
  assert.equal(firstCloud(places, platforms(false, true)), "GPUGeek");
  assert.equal(firstCloud(places, platforms(true, true)), "HaiYi");
  assert.equal(firstCloud(places, platforms(false, false)), "HaiYi");
  assert.equal(firstCloud(places, undefined), "HaiYi");
});

test("a new node stands beside the one it is linked to, and on no other", () => {
  assert.deepEqual(freePlace([0, 0, 200, 100], [100, 80], []), [240, 0]);
  assert.deepEqual(freePlace([0, 0, 200, 100], [100, 80], [[250, 20, 200, 50]]), [240, 120]);
  assert.deepEqual(freePlace([0, 0, 200, 100], [100, 80], [[250, 20, 200, 50], [300, 150, 50, 10]]), [240, 210]);
});

/** A graph that notes its links as [from, slot, to, slot, reroute]. */
function wired() {
  const made = { links: new Map(), nodes: [], noted: [], outputNode: { id: -20 } };
  made.getNodeById = (id) => made.nodes.find((one) => one.id === id) ?? null;
  made.add = (one) => made.nodes.push(Object.assign(one, { graph: made }));
  made.outputs = [{ connect: (output, from, reroute) => made.noted.push([from.id, 0, "out", 0, reroute]) }];
  return made;
}

/** What a node tells of its links. */
const linkedAs = (id) => ({
  getInputLink(slot) { return this.links().find((one) => one.target_id === id && one.target_slot === slot) ?? null; },
  isOutputConnected(slot) { return this.links().some((one) => one.origin_id === id && one.origin_slot === slot); },
  links() { return [...this.graph.links.values()]; },
});

const box = (id) => ({
  id, pos: [0, 0], size: [100, 50], inputs: [{ name: "where" }, { name: "value" }], outputs: [{}], ...linkedAs(id),
  connect(slot, to, at, reroute) { this.graph.noted.push([this.id, slot, to.id, at, reroute]); },
});

test("the new node takes its value first, then all links of the output, along their reroutes", () => {
  const tree = wired();
  const maker = box(1);
  for (const one of [maker, box(2), box(3)]) tree.add(one);
  tree.links.set(8, { origin_id: 1, origin_slot: 0, target_id: 2, target_slot: 0 });
  tree.links.set(9, { origin_id: 1, origin_slot: 0, target_id: 3, target_slot: 1, parentId: 4 });
  insertBehind(maker, 0, box(5));
  assert.deepEqual(tree.noted, [[1, 0, 5, 1, undefined], [5, 0, 2, 0, undefined], [5, 0, 3, 1, 4]]);
});

test("a link that leaves a subgraph leaves it behind the new node", () => {
  const tree = wired();
  const maker = box(1);
  tree.add(maker);
  tree.links.set(8, { origin_id: 1, origin_slot: 0, target_id: -20, target_slot: 0 });
  insertBehind(maker, 0, box(5));
  assert.deepEqual(tree.noted, [[1, 0, 5, 1, undefined], [5, 0, "out", 0, undefined]]);
});

test("what is taken away again leaves the links as they were, along their reroutes", () => {
  const tree = wired();
  const run = box(5);
  for (const one of [box(1), box(2), run]) tree.add(one);
  tree.links.set(8, { origin_id: 1, origin_slot: 0, target_id: 5, target_slot: 1 });
  tree.links.set(9, { origin_id: 5, origin_slot: 0, target_id: 2, target_slot: 3, parentId: 4 });
  tree.remove = (one) => tree.noted.push(["removed", one.id]);
  takeAway(run);
  assert.deepEqual(tree.noted, [[1, 0, 2, 3, 4], ["removed", 5]]);
});

// -- parts ---------------------------------------------------------------------------------------

/** Nodes by id in one graph: {id: [type, where, [[output type, ...ids it is linked to]]]}. */
function linked(nodes) {
  const tree = { nodes: [], links: new Map() };
  tree.getNodeById = (id) => tree.nodes.find((one) => one.id === id) ?? null;
  for (const [id, [type, where, outputs]] of Object.entries(nodes)) {
    const made = { id: Number(id), type, graph: tree, widgets: [{ name: "where", value: where }], inputs: [], ...linkedAs(Number(id)) };
    made.outputs = outputs.map(([kind]) => ({ type: kind, name: kind }));
    for (const [slot, [, ...targets]] of outputs.entries())
      for (const to of targets) tree.links.set(`${id}>${to}`, { origin_id: made.id, origin_slot: slot, target_id: to });
    tree.nodes.push(made);
  }
  return (...ids) => ids.map((id) => tree.getNodeById(id));
}

const named = (exits) => exits.map(({ node: { id }, slot, links }) => [id, slot, links.map((link) => link.target_id)]);

test("values leave a part by the media that go out of it, not by those that stay in it", () => {
  const of = linked({
    1: ["LoadImage", "", [["IMAGE", 2], ["MASK"]]],
    2: ["Sampler", "", [["LATENT", 3]]],
    3: ["Decode", "", [["IMAGE", 4, 5]]],
    4: ["Sharpen", "", [["IMAGE"]]],
    5: ["SaveImage", "", []],
  });
  assert.deepEqual(named(exitsOf(of(1, 2, 3))), [[3, 0, [4, 5]]]);
  assert.deepEqual(named(exitsOf(of(1, 2, 3, 4))), [[3, 0, [5]], [4, 0, []]]);
  assert.deepEqual(named(exitsOf(of(2))), []);
  assert.deepEqual(named(exitsOf(of(4))), [[4, 0, []]]);
});

test("a part ends before what only saves or shows, though that has outputs; one whose value goes on is in it", () => {
  const of = linked({
    1: ["Decode", "", [["IMAGE", 2, 3]]],
    2: ["SaveImage", "", [["IMAGE"]]],
    3: ["SaveImage", "", [["IMAGE", 4]]],
    4: ["PreviewImage", "", [["IMAGE"]]],
  });
  class Saver {}
  Saver.nodeData = { output_node: true };
  for (const one of of(2, 3, 4)) one.constructor = Saver;
  assert.deepEqual(named(exitsOf(of(1, 2, 3, 4))), [[1, 0, [2]], [3, 0, [4]]]);
  assert.deepEqual(named(exitsOf(of(2))), []);
  assert.deepEqual([outputsFor(RUN, of(2)[0]), outputsFor(RUN, of(3)[0])], [[], [[0, "IMAGE"]]]);
});

test("an exit that leads out of a subgraph is one", () => {
  assert.deepEqual(named(exitsOf(linked({ 1: ["Decode", "", [["IMAGE", -20]]] })(1))), [[1, 0, [-20]]]);
});

test("what leads into a cloud already is not sent again, and is what can be brought back", () => {
  const of = linked({
    1: ["Decode", "", [["IMAGE", 2]]], 2: [RUN, "HaiYi", [["IMAGE", 3]]], 3: ["SaveImage", "", []],
    4: ["Decode", "", [["IMAGE", 5]]], 5: [RUN, HERE, [["IMAGE"]]],
    6: ["Decode", "", [["IMAGE", 2, 3]]],
  });
  const ids = (nodes) => nodes.map((one) => one.id);
  assert.deepEqual([named(unsent(of(1))), ids(runsOf(of(1)))], [[], [2]]);
  assert.deepEqual([named(unsent(of(4))), ids(runsOf(of(4)))], [[[4, 0, [5]]], []]);
  assert.deepEqual([named(unsent(of(6))), ids(runsOf(of(6)))], [[[6, 0, [2, 3]]], [2]]);
  assert.deepEqual(ids(runsOf(of(2))), [2]);
});

test("of a group that is selected its nodes are", () => {
  const [one, two] = [{ outputs: [] }, { outputs: [] }];
  assert.deepEqual(nodesOf(new Set([{ children: new Set([one, two]) }, one, { pos: [0, 0] }])), [one, two]);
});

test("what nodes find by themselves is no deed of a person", () => {
  const slot = { name: "value", type: "*", link: 3 };
  const node = { id: 1, type: "SkyportRunInCloud", size: [1, 2], order: 0, inputs: [slot], outputs: [{ type: "*", links: [4] }] };
  const graph = (about = {}, rest = {}) => ({ nodes: [{ ...node, ...about }], links: [[3, 2, 0, 1, 0, "*"]], extra: { ds: 1 }, ...rest });
  const found = { size: [1, 3], order: 4, outputs: [{ type: "IMAGE", links: [4] }], widgets_values: [] };
  assert.equal(deed(graph(found, { extra: { ds: 2 } })), deed(graph()));
  const deeds = [{ pos: [1, 1] }, { type: "SkyportKeepLocal" }, { widgets_values: ["HaiYi"] }, { inputs: [{ ...slot, link: 5 }] }, { mode: 4 }];
  for (const about of deeds) assert.notEqual(deed(graph(about)), deed(graph()));
  assert.notEqual(deed(graph({}, { links: [] })), deed(graph()));
  const other = { ...node, id: 2 };
  assert.equal(deed({ nodes: [node, other], links: [] }), deed({ nodes: [other, node], links: [] }));
});

// -- what other packs do -------------------------------------------------------------------------

test("a missing link is no trouble where a pack may add it while queueing; any other trouble is", () => {
  const split = { nodes: {}, troubles: { 1: "no link", 2: "a MODEL" }, unlinked: ["1"] };
  assert.deepEqual(certain(split, true).troubles, { 2: "a MODEL" });
  assert.deepEqual(certain(split, false), split);
  assert.deepEqual(certain({ nodes: {}, troubles: {} }, true), { nodes: {}, troubles: {} });
});

test("a function is patched once it is another than its owner was made with, unless we have wrapped it", () => {
  class App { queue(number) { return number; } }
  const app = new App();
  assert.equal(isPatched(app, "queue"), false);
  for (const times of [2, 5]) wrap(app, "queue", (queue) => (number) => times * queue(number));
  assert.equal(app.queue(3), 30);
  assert.equal(isPatched(app, "queue"), false);
  const wrapped = app.queue;
  app.queue = () => wrapped();
  assert.equal(isPatched(app, "queue"), true);
});
