// What is said of a batch: how far it is, by the states of its rows. Pure.
import { say } from "../words.js";
import { costWord } from "./format.js";

const NO_RESULT = ["failed", "refused", "unknown", "open"];

/** {done, underWay, failed, share, cost}: rows by what became of them, and the share of those that are settled. */
export function standing({ states, total, running, costs }) {
  const count = (...names) => names.reduce((sum, name) => sum + (states[name] ?? 0), 0);
  const done = count("done");
  const failed = count(...NO_RESULT);
  return {
    done,
    failed,
    underWay: running ? count("running") : 0,
    share: total ? Math.min(1, (done + failed) / total) : 0,
    cost: costs.map(costWord).join(" · "),
  };
}

/** Whether any of them is being worked on by the command. */
export const anyRuns = (batches) => batches.some(({ running }) => running);

const STATES = {
  failed: () => say("Its task has failed"),
  refused: () => say("Not sent"),
  unknown: () => say("Sent and never answered: it may have been charged"),
  open: () => say("No whole result yet"),
};

/** What it means that a row is in this state. */
export const rowStateWord = (state) => STATES[state]?.() ?? state;
