// What became of a node's latest run stays on the node: cost, warnings, what goes on, what failed.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { selected } from "./cloud/acts.js";
import { everyNode } from "./cloud/graph.js";
import { openJob } from "./jobs.js";
import { byNode, lineOf } from "./outcome/words.js";
import { jobOf, paint, prepare } from "./outcome/paint.js";
import { rootGraph } from "./prompt.js";
import { ask } from "./server.js";
import { say } from "./words.js";

const PAUSE = 250; // ms in which changes are collected
const CLEARED = "00000000-0000-0000-0000-000000000000"; // the id of every cleared graph in older editors
const born = new WeakMap(); // node -> when it was made
const begun = new Map(); // prompt -> when this page heard of its start
let timer = 0;
let asked = 0;
let answered = 0; // the newest question that has its answer
let open = new Set(); // orders whose outcome may change by itself

function later() {
  clearTimeout(timer);
  timer = setTimeout(renew, PAUSE);
}

async function renew() {
  const number = ++asked;
  const graph = rootGraph();
  const workflow = graph?.id;
  if (!workflow || !hasOurs(graph)) return void (answered = number);
  const found = await ask("outcomes", { workflow }).catch(() => null);
  answered = Math.max(answered, number);
  if (!found || number !== asked || rootGraph() !== graph || graph.id !== workflow) return;
  open = new Set(found.outcomes.filter((one) => one.open).flatMap(({ marks }) => marks));
  const nodes = byNode(found.outcomes, everyNode(graph));
  const lines = [...nodes].map(([node, outcomes]) => [node, lineOf(outcomes.filter((one) => isOf(node, one, workflow)))]).filter(([, line]) => line);
  paint(new Map(lines), ({ job }) => openJob(job));
  app.canvas?.setDirty(true, true);
}

/** A cleared graph counts its nodes anew: what happened to others with their ids is not theirs. */
const isOf = (node, { prompt }, workflow) => workflow !== CLEARED || begun.get(prompt) > born.get(node);

function hasOurs(graph) {
  for (const [, node] of everyNode(graph)) if (node.type?.startsWith("Skyport")) return true;
  return false;
}

/** Whether rows that have changed may change a line: while a question is open, nobody knows. */
const mayTell = (rows) => answered < asked || rows.some(({ mark }) => open.has(mark));

// What a click on the line does, by keyboard and where it is too small to be pressed.
function showJob() {
  const job = selected().map(jobOf).find(Boolean);
  if (job) return openJob(job);
  app.extensionManager.toast.add({ severity: "info", summary: "Skyport", detail: say("Select a node that has run a job."), life: 5000 });
}

// These may come before the editor is set up and has a graph.
api.addEventListener("skyport.outcome", ({ detail }) => asked && detail.workflow === rootGraph()?.id && later());
api.addEventListener("skyport.jobs", ({ detail }) => mayTell(detail.rows) && later());

app.registerExtension({
  name: "Skyport.Outcome",
  commands: [{ id: "Skyport.ShowJob", label: "Skyport: job of the selected node", icon: "pi pi-cloud", function: showJob }],
  getNodeMenuItems(node) {
    const job = jobOf(node);
    return job ? [{ content: say("Show its job"), callback: () => void openJob(job) }] : [];
  },
  setup() {
    for (const event of ["execution_start", "status", "reconnected"]) api.addEventListener(event, later);
    api.addEventListener("execution_start", ({ detail }) => begun.set(detail.prompt_id, performance.now()));
    later();
  },
  afterConfigureGraph: later,
  nodeCreated(node) {
    born.set(node, performance.now());
    prepare(node);
  },
  loadedGraphNode: prepare, // one of a class that is not here was never created
});
