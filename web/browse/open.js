// Opens the dialog of all models, once at a time: for a new node, or for one that is there.
import { openSettings } from "../settings/open.js";
import { ModelDialog } from "./dialog.js";
import { choiceOf, dropNode, setModel } from "./use.js";

let dialog = null;

/** Let a person choose a model; `node` is the one to set it on, where there is one. */
export function browseModels(node = null) {
  if (dialog) return;
  dialog = new ModelDialog({
    node: node && { type: node.type, title: node.title, model: choiceOf(node)?.value },
    use: (model, own) => void (own ? setModel(node, model) : dropNode(model)),
    key: (platform) => void openSettings(platform),
    closed: () => (dialog = null),
  });
  void dialog.open();
}
