// Forms that survive. A workflow keeps the values of widgets by position, and a model that is gone or
// has changed shifts them; so ours are kept by name as well, and put back by name where they moved.
import { app } from "../../scripts/app.js";
import { choicesOf, goneOf } from "./forms/refit.js";
import { KEPT, isGone, refitted, remembered, valuesOf } from "./forms/values.js";
import { originsInFile, reconnect, restoreSockets } from "./forms/sockets.js";
import { noteLinks, savedForms, watch } from "./forms/switch.js";
import { refreshModels } from "./models.js";
import { notice } from "./notices.js";
import { say } from "./words.js";

const PAUSE = 300; // ms in which a whole workflow is loaded
const before = new WeakMap(); // node -> what its file held
const origins = new WeakMap(); // node -> where its links came from in its file
let missing = new Set();

app.registerExtension({
  name: "Skyport.Forms",
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("Skyport") && !node.type?.startsWith("Skyport")) return;
    keepByName(node);
    loadByName(node);
    watch(node);
  },
  loadedGraphNode(node) {
    if (origins.has(node)) reconnect(node, origins.get(node));
    noteLinks(node);
  },
});

function keepByName(node) {
  const { onSerialize } = node;
  node.onSerialize = function (file) {
    onSerialize?.call(this, file);
    const kept = goneOf(this).length ? before.get(this) : undefined;
    file.properties = { ...file.properties, [KEPT]: remembered(kept, valuesOf(this)), ...savedForms(this) };
  };
}

function loadByName(node) {
  const { configure } = node;
  node.configure = function (file) {
    const kept = file?.properties?.[KEPT];
    origins.set(this, originsInFile(this, file));
    configure.call(this, kept ? fitting(this, file, kept) : file);
    before.set(this, kept ?? {});
    restoreSockets(this, file);
    watch(this, file);
    for (const choice of goneOf(this)) tellMissing(this, choice.value);
  };
}

/** `file` for the form as it is now. */
function fitting(node, file, kept) {
  for (const name of choicesOf(node)) {
    const choice = node.widgets.find((widget) => widget.name === name);
    // What a choice brings along is there only once it is chosen.
    if (choice && kept[name] !== undefined && choice.value !== kept[name]) choice.value = kept[name];
  }
  const found = refitted(node, kept);
  return found ? { ...file, widgets_values: found.positions, widgets_values_named: found.named } : file;
}

function tellMissing(node, model) {
  if (!missing.size) setTimeout(tellAll, PAUSE);
  missing.add(`${node.title}: ${model}`);
}

function tellAll() {
  const text = say("Not offered here: {models}. Its settings are kept. Refresh the models, or choose another one.", {
    models: [...missing].join(", "),
  });
  missing = new Set();
  notice({ title: say("A model is missing"), text, actions: [[say("Refresh models"), refresh]] });
}

async function refresh() {
  const { lines, ok } = await refreshModels();
  notice({ tone: ok ? "good" : "bad", title: say("Models"), text: lines.join("\n") });
}
