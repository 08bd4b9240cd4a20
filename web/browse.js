// All models of all platforms in one dialog: by a command, a key, the list of jobs, and each node with a model.
import { app } from "../../scripts/app.js";
import { browseModels } from "./browse/open.js";
import { choiceOf } from "./browse/use.js";
import { choicesOf } from "./forms/refit.js";
import { ourNodes } from "./models.js";
import { addStyles } from "./styles.js";
import { say } from "./words.js";

const COMMAND = "Skyport.BrowseModels";
const BUTTON = "browse_models"; // never sent, nor saved

const isOurs = (node) => Boolean((node.comfyClass ?? node.type)?.startsWith("Skyport"));
const hasModels = (node) => isOurs(node) && choicesOf(node).includes("model") && Boolean(choiceOf(node));

/** The last widget: the values of all others keep their positions. */
function addButton(node) {
  const button = node.addWidget("button", BUTTON, "", () => browseModels(node), { serialize: false });
  button.serialize = false;
  button.label = say("Browse models");
  node.setSize?.([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
}

/** The editor's language may have changed. */
function rename() {
  for (const node of ourNodes()) {
    const button = node.widgets?.find(({ name }) => name === BUTTON);
    if (button) button.label = say("Browse models");
  }
}

app.registerExtension({
  name: "Skyport.Browse",
  // Its Chinese is in locales/zh/commands.json.
  commands: [{ id: COMMAND, label: "Skyport: browse models", icon: "pi pi-th-large", function: () => browseModels() }],
  keybindings: [{ combo: { key: "m", ctrl: true, alt: true }, commandId: COMMAND }],
  menuCommands: [{ path: ["Skyport"], commands: [COMMAND] }],
  nodeCreated(node) {
    if (hasModels(node)) addButton(node);
  },
  refreshComboInNodes: rename,
  getNodeMenuItems: (node) => (hasModels(node) ? [{ content: say("Browse models"), callback: () => browseModels(node) }] : []),
  setup() {
    addStyles("browse.css");
  },
});
