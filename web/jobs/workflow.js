// The graph that a job came from: opened as a tab of its own, and queued from there.
import { app } from "../../../scripts/app.js";
import { rootGraph } from "../prompt.js";
import { ask } from "../server.js";
import { say } from "../words.js";
import { tell } from "./acts.js";
import { widgetFor } from "./path.js";

/** Open the workflow of a job in a new tab: what is open stays as it is in its own. */
export async function openWorkflow(row) {
  const graph = await ask(`jobs/${row.job}/graph`);
  await openGraph(row, graph);
  tell("success", openWords(row.job, graph));
}

function openWords(number, { targets }) {
  if (targets) return say("The workflow of job {number} is open, with its values. Only a part of it ran: queued whole, the rest is ordered too.", { number });
  return say("The workflow of job {number} is open, with its values. Queued as it is, it is not charged again.", { number });
}

/** Open the workflow of a job and queue what ran of it; with `anew`, with a new seed of its node. */
export async function runAgain(row, anew) {
  const graph = await ask(`jobs/${row.job}/graph`);
  await openGraph(row, graph);
  if (!graph.whole) return tell("warn", say("The workflow held a key, which is not kept: enter it, then queue."));
  if (anew && !renewSeed(row.node)) return tell("warn", say("The seed of this job is not set on its node: change it where it is set, then queue."));
  if (!anew) tell("info", say("An equal order brings the result that is here, at no charge. Change the seed for another one."));
  await app.queuePrompt(0, 1, graph.targets ?? undefined);
}

/** Show a kept graph in a new tab. */
export async function openGraph(row, { workflow, prompt, whole }) {
  const name = `${row.title} ${row.job}`.replace(/[\\/:*?"<>|]/g, "-");
  if (workflow) await app.loadGraphData(workflow, true, true, name);
  else await app.loadApiJson(prompt, name);
  if (!whole) tell("warn", say("The workflow held a key, which is not kept: enter it, then queue."));
}

const MOST = 2 ** 31; // seeds that every model takes are below

function renewSeed(id) {
  const seed = widgetFor(rootGraph(), id, "seed");
  if (!seed) return false;
  seed.value = Math.floor(Math.random() * MOST);
  seed.callback?.(seed.value);
  return true;
}
