// Run in Cloud before it is queued: badges on what would run in a cloud, as the server would cut it, and
// menu entries that send what is upstream of an output there, or keep it here.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { badgesOf } from "./cloud/badges.js";
import { RUN, essence, hasCloud } from "./cloud/graph.js";
import { entries } from "./cloud/menu.js";
import { askForNames } from "./cloud/names.js";
import { paint, prepare } from "./cloud/paint.js";
import { notice } from "./notices.js";
import { promptOf, rootGraph } from "./prompt.js";
import { act } from "./server.js";
import { say } from "./words.js";

const PAUSE = 300; // ms without a change
const told = new Set(); // reasons that were shown in full
let timer = 0;
let asked = 0;
let known = null; // what the badges stand for, "" for no cloud

function later() {
  clearTimeout(timer);
  timer = setTimeout(look, PAUSE);
}

function look() {
  const graph = rootGraph();
  const now = hasCloud(graph) ? essence(graph.serialize()) : "";
  if (now === known) return;
  known = now;
  askWhere(++asked);
}

async function askWhere(number) {
  const found = known ? await answer().catch(() => null) : null;
  if (number !== asked) return; // the graph has changed meanwhile
  if (known && !found) known = null; // with the next change it is asked again
  paint(found ?? new Map(), tell);
  for (const [node, badge] of found ?? []) tellOnce(node, badge);
  app.canvas?.setDirty(true, true);
}

async function answer() {
  const { output, workflow } = await promptOf(rootGraph());
  return badgesOf(rootGraph(), await act("cut", { prompt: output, workflow }), Object.keys(output));
}

/** In full and once; not while the value is still to be linked. */
function tellOnce(node, badge) {
  const linked = node.inputs?.some((input) => input.name === "value" && input.link != null);
  if (node.type !== RUN || !linked || told.has(badge.reason) || !badge.reason) return;
  told.add(badge.reason);
  tell(node, badge);
}

function tell(node, { reason, unnamed }) {
  const actions = unnamed ? [[say("Paste the API export"), () => askForNames(anew)]] : [];
  notice({ tone: "bad", title: node.title, text: reason, actions });
}

function anew() {
  known = null; // the nodes are others, though they may look the same
  later();
}

app.registerExtension({
  name: "Skyport.Cloud",
  setup() {
    api.addEventListener("graphChanged", later);
    anew();
  },
  afterConfigureGraph: anew,
  nodeCreated(node) {
    prepare(node);
    if (node.type === RUN || node.comfyClass === RUN) later();
  },
  loadedGraphNode: prepare, // one of a class that is not here was never created
  getNodeMenuItems: (node) => entries(node, later),
});
