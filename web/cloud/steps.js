// What the editor notes as a step that an undo takes back: what a person does, and not what follows of itself.
import { app } from "../../../scripts/app.js";
import { rootGraph } from "../prompt.js";
import { deed } from "./graph.js";

const STILL = 150; // ms in which no node gets another size
const MOST_LOOKS = 4; // for that: some nodes never rest, and an undo waits for the end of the step

const tracker = () => app.extensionManager?.workflow?.activeWorkflow?.changeTracker;

/** Note now what has changed. */
export function noteState() {
  const current = tracker();
  (current?.captureCanvasState ?? current?.checkState)?.call(current);
}

/** Once the nodes keep their sizes: the editor gives them a little after it has made them. */
export async function settled(graph) {
  const sizes = () => JSON.stringify((graph?.nodes ?? []).map(({ size }) => [...size]));
  let before = null;
  for (let look = 0; look < MOST_LOOKS && before !== (before = sizes()); look++)
    await new Promise((done) => setTimeout(done, STILL));
}

/** After an undo or redo: sizes and the like, which nodes find anew, are no step that would end the redo. */
export async function settleRestored() {
  const current = tracker();
  if (!current?.activeState || !current.beforeChange) return;
  current.beforeChange(); // nothing is noted until then
  try {
    await settled(app.canvas?.graph);
    if (current === tracker()) takeOver(current);
  } finally {
    current.afterChange();
  }
}

function takeOver(current) {
  const state = JSON.parse(JSON.stringify(rootGraph().serialize()));
  if (deed(state) === deed(current.activeState)) current.activeState = state;
}
