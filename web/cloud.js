// Run in Cloud before it is queued: badges on what would run in a cloud, as the server would split it, and
// commands that send a part there, or keep it here.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { selected } from "./cloud/acts.js";
import { badgesOf } from "./cloud/badges.js";
import { certain } from "./cloud/certain.js";
import { RUN, essence, hasCloud, whereOf } from "./cloud/graph.js";
import { commands, entries, keybindings, offerAtOutputs, toolbox } from "./cloud/menu.js";
import { askForNames } from "./cloud/names.js";
import { paint, prepare } from "./cloud/paint.js";
import { settleRestored } from "./cloud/steps.js";
import { linkInto } from "./links.js";
import { focusNotice, notice } from "./notices.js";
import { startPractice } from "./practice.js";
import { mayChangeLater, promptOf, rootGraph } from "./prompt.js";
import { act, ask } from "./server.js";
import { openSettings } from "./settings/open.js";
import { addStyles } from "./styles.js";
import { watchGraph } from "./watch.js";
import { say } from "./words.js";

const shown = new Set(); // reasons that were shown in full
let badges = new Map();
let configured = false; // since the graph has last changed

const { later, anew } = watchGraph({ read, ask: answer, show });

function read() {
  const graph = rootGraph();
  return hasCloud(graph) ? essence(graph.serialize()) : "";
}

function show(found) {
  badges = found ?? new Map();
  paint(badges, tell);
  for (const [node, badge] of badges) tellOnce(node, badge);
  app.canvas?.setDirty(true, true);
}

async function answer() {
  const { output, workflow } = await promptOf(rootGraph());
  const split = certain(await act("cut", { prompt: output, workflow }), mayChangeLater());
  return badgesOf(rootGraph(), split, Object.keys(output));
}

const isTrouble = (node, badge) => node.type === RUN && badge.reason;

/** In full and once; not while the value is still to be linked. */
function tellOnce(node, badge) {
  if (!isTrouble(node, badge) || !linkInto(node, "value") || shown.has(badge.reason)) return;
  shown.add(badge.reason);
  void tell(node, badge);
}

/** Once more in full, when it was queued all the same. */
function tellRefused() {
  for (const [node, badge] of badges) if (isTrouble(node, badge)) void tell(node, badge);
}

async function tell(node, { reason, tone, unnamed }) {
  const actions = unnamed ? [[say("Paste the API export"), () => askForNames(anew)]] : await remedies(node);
  notice({ tone, title: node.title, text: reason, actions });
}

/** What helps where the platform is not set up. */
async function remedies(node) {
  const { platforms } = await ask("forms").catch(() => ({}));
  const [name, about] = Object.entries(platforms ?? {}).find(([, { label }]) => label === whereOf(node)?.value) ?? [];
  if (!about || about.ready) return [];
  return [[say("Practice mode"), startPractice], [say("Open settings"), () => openSettings(name)]];
}

// What a click on a badge does, by keyboard too.
async function tellSelected() {
  const [node, badge] = [...badges].find(([one, { reason }]) => reason && selected().includes(one)) ?? [];
  if (badge) return tell(node, badge).then(focusNotice);
  app.extensionManager.toast.add({ severity: "info", summary: "Skyport", detail: say("Select a node whose badge has a reason."), life: 5000 });
}

function withReason(node) {
  const badge = badges.get(node);
  const entry = badge?.reason ? [{ content: say("Show the reason of its badge"), callback: () => void tell(node, badge) }] : [];
  return [...entries(node), ...entry];
}

const TELL = { id: "Skyport.ShowReason", label: "Skyport: reason of the selected node's badge", icon: "pi pi-question-circle", function: tellSelected };

/** The editor has noted another state: one that it restored, where the graph was configured first. */
function noted() {
  if (configured && hasCloud(rootGraph())) settleRestored().catch(() => null);
  configured = false;
  later();
}

app.registerExtension({
  name: "Skyport.Cloud",
  commands: [...commands, TELL],
  keybindings,
  setup() {
    addStyles("cloud.css");
    api.addEventListener("graphChanged", noted);
    document.addEventListener("skyport.refused", tellRefused);
    document.addEventListener("skyport.setup", anew); // a key may have been set
    anew();
  },
  afterConfigureGraph() {
    configured = true;
    anew(); // the nodes are others, though they may look the same
  },
  nodeCreated(node) {
    prepare(node);
    offerAtOutputs(node);
    if (node.type === RUN || node.comfyClass === RUN) later();
  },
  loadedGraphNode: prepare, // one of a class that is not here was never created
  getNodeMenuItems: withReason,
  getSelectionToolboxCommands: toolbox,
});
