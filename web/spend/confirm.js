// Asks before the editor queues what costs more than the setting `confirm_above` allows.
import { app } from "../../../scripts/app.js";
import { rootGraph } from "../prompt.js";
import { varies } from "../cloud/graph.js";
import { say } from "../words.js";
import { wrap } from "../wrap.js";
import { lineWords, sumWords } from "./words.js";

/** Ask `estimate(targets, runs)` once a click; it gives null where nothing is to be confirmed, and an
 * `error` where the cost could not be estimated.
 * The editor's own function is wrapped, not the call for each run of a batch: a seed is to stay as it is
 * where nothing is queued. */
export function askBefore(estimate) {
  const asking = (queuePrompt) =>
    async function (...args) {
      const [, runs = 1, third] = args;
      const targets = Array.isArray(third) ? third : third?.queueNodeIds;
      const found = await estimate(targets, varies(rootGraph()) ? runs : 1);
      if (found?.confirm && !(await confirmed(found))) return false;
      const queued = await queuePrompt.apply(this, args);
      if (Object.keys(app.lastNodeErrors ?? {}).length) document.dispatchEvent(new Event("skyport.refused"));
      return queued;
    };
  wrap(app, "queuePrompt", asking);
}

/** Ask whether to queue what costs so much. */
export async function confirmed(found) {
  const answer = await app.extensionManager.dialog.confirm({
    title: say("Queue this?"),
    message: found.error ? say("The cost could not be estimated: {reason}", { reason: found.error }) : sumWords(found),
    itemList: found.items.filter((item) => item.tasks).map(lineWords),
    type: "default",
  });
  return answer === true;
}
