// Asking the platforms for their models, and bringing the forms up to date without a restart.
import { app } from "../../scripts/app.js";
import { act } from "./server.js";
import { load, setup } from "./settings/setup.js";
import { refreshedWords } from "./settings/words.js";
import { refit } from "./forms/refit.js";
import { watch } from "./forms/switch.js";
import { say } from "./words.js";

/** Ask every platform that lists its models and has a key: {lines, ok}. The forms are up to date then. */
export async function refreshModels() {
  await load();
  const { platforms, sandbox } = setup();
  const asked = platforms.filter((one) => (one.lists_models || one.lists_prices) && (sandbox || one.key.set));
  const answers = await Promise.all(asked.map(refreshed));
  await reloadForms();
  if (!asked.length) return { lines: [say("No platform that lists its models has a key.")], ok: false };
  return { lines: answers.map(({ words }) => words), ok: answers.every(({ ok }) => ok) };
}

/** Have the editor read the forms anew, those on the canvas too. */
export async function reloadForms() {
  await (app.reloadNodeDefs ?? app.refreshComboInNodes).call(app);
}

async function refreshed({ name, label }) {
  try {
    return { words: refreshedWords(label, await act(`models/${name}/refresh`)), ok: true };
  } catch (error) {
    return { words: error.message, ok: false };
  }
}

app.registerExtension({
  name: "Skyport.Models",
  // The editor gives new options to new nodes only; those on the canvas are ours to bring up to date.
  refreshComboInNodes(defs) {
    for (const node of ourNodes()) {
      const inputs = { ...defs[node.type]?.input?.optional, ...defs[node.type]?.input?.required };
      refit(node, inputs, app);
      watch(node);
    }
    app.canvas?.setDirty(true, true);
  },
});

/** Our nodes on the canvas, also those in subgraphs. */
export function ourNodes() {
  const graph = app.rootGraph ?? app.graph;
  const graphs = [graph, ...(graph?.subgraphs?.values?.() ?? [])];
  return graphs.flatMap((one) => [...(one?.nodes ?? [])]).filter((node) => node.type?.startsWith("Skyport"));
}
