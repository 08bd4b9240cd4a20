// What queueing the graph costs, beside the button Run, and a question before much is spent.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { essence, mayCost } from "./cloud/graph.js";
import { promptOf, rootGraph } from "./prompt.js";
import { act } from "./server.js";
import { show } from "./spend/button.js";
import { askBefore } from "./spend/confirm.js";
import { addStyles } from "./styles.js";
import { watchGraph } from "./watch.js";

const PAUSE = 500; // ms without a change
let confirms = null; // whether anything is confirmed at all; null: not known yet

const { later, anew } = watchGraph({ read, ask: () => estimate(), show, pause: PAUSE });

function read() {
  const graph = rootGraph();
  return mayCost(graph) ? essence(graph.serialize()) : "";
}

async function estimate(targets = null, runs = 1) {
  const { output } = await promptOf(rootGraph());
  const found = await act("estimate", { prompt: output, targets, runs });
  confirms = found.confirm !== null;
  if (found.fetched) document.dispatchEvent(new Event("skyport.prices"));
  return found;
}

/** The estimate of what is about to be queued; null where nothing is to be confirmed. */
async function beforeQueue(targets, runs) {
  if (confirms === false || !mayCost(rootGraph())) return null;
  try {
    return await estimate(targets, runs);
  } catch (error) {
    return confirms ? { confirm: true, error: error.message, items: [] } : null;
  }
}

app.registerExtension({
  name: "Skyport.Estimate",
  setup() {
    addStyles("spend.css");
    askBefore(beforeQueue);
    api.addEventListener("graphChanged", later);
    // What has ended is reused, and teaches a price; a setting or a key may have changed.
    for (const event of ["execution_success", "execution_error"]) api.addEventListener(event, anew);
    document.addEventListener("skyport.setup", () => {
      confirms = null;
      anew();
    });
    anew();
  },
  afterConfigureGraph: anew,
  nodeCreated(node) {
    if (node.type?.startsWith("Skyport") || node.comfyClass?.startsWith("Skyport")) later();
  },
  refreshComboInNodes: anew,
});
