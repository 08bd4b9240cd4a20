// What a user can do with a job; each returns a message. Errors have the server's message.
import { app } from "../../../scripts/app.js";
import { act } from "../server.js";
import { say } from "../words.js";
import { el } from "./elements.js";
import { isUnresolved } from "./book.js";
import * as graph from "./graph.js";

/** severity: success, info, warn or error. */
export function tell(severity, detail) {
  const life = severity === "error" ? 12000 : 5000;
  app.extensionManager.toast.add({ severity, summary: "Skyport", detail, life });
}

export function load(row) {
  if (graph.load(row)) tell("success", say("Job {number} is in the graph: queue it to load its result.", { number: row.job }));
  else tell("error", say("There is no node Load Result. Restart ComfyUI."));
}

export function show(row) {
  if (graph.show(row)) return;
  tell("warn", say("The node {node} that ran this job is not in the open graph.", { node: row.node }));
}

export async function cancel({ row, live }) {
  const { label, mark } = row ?? live;
  const told = await act("jobs/cancel", { job: row?.job ?? 0, mark });
  const values = { platform: label, task: row?.task || live?.task || "" };
  if (told.cancelled) tell("success", say("{platform} has cancelled task {task}.", values));
  else if (told.asked) tell("info", say("It is stopped before anything is submitted, if it is not too late."));
  else
    tell(
      "warn",
      say("{platform} cannot cancel task {task}: it runs on and may be charged. Its result is kept here.", values),
    );
}

export async function fetchAgain(row) {
  const { fetched } = await act("jobs/fetch", { job: row.job });
  if (fetched) tell("success", say("The results of job {number} are on this disk.", { number: row.job }));
  else if (isUnresolved(row)) tell("info", say("The platform is asked again about job {number}, at no charge.", { number: row.job }));
  else tell("info", say("Job {number} is being fetched.", { number: row.job }));
}

/** Let the order of a job be sent again, once the user has said yes. */
export async function orderAnew(row) {
  const message = say("Job {number} may have been charged. Ordering it anew costs again.", { number: row.job });
  if (!(await app.extensionManager.dialog.confirm({ title: say("Order anew"), message }))) return;
  await act("jobs/anew", { job: row.job });
  tell("success", say("Queue its workflow again to order it anew: that costs again."));
}

export async function copy(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyBySelection(text);
  tell("success", text.length > LONG ? say("Copied.") : say("Copied: {text}", { text }));
}

const LONG = 80; // characters

/** Where the page is not served safely, browsers give no clipboard. */
function copyBySelection(text) {
  const field = el("textarea", { readonly: true });
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
