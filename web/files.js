// Asks before the editor queues a workflow that uploads files from outside ComfyUI's folders.
import { app } from "../../scripts/app.js";
import { everyNode } from "./cloud/graph.js";
import { FOLDERS, askAbout } from "./files/ask.js";
import { promptOf, rootGraph } from "./prompt.js";
import { act } from "./server.js";
import { addStyles } from "./styles.js";
import { wrap } from "./wrap.js";

const SENDS = /^Skyport(RunInCloud|.*RunWorkflow)$/;

/** Whether the queue may go on. Where the server cannot be asked, it refuses the files itself. */
async function mayUpload() {
  if (![...everyNode(rootGraph())].some(([, node]) => SENDS.test(node.type ?? ""))) return true;
  const files = await outside();
  if (!files.length) return true;
  const answer = await askAbout(files);
  if (!answer) return false;
  try {
    await act("files/allow", { files, folders: answer === FOLDERS });
  } catch (error) {
    app.extensionManager.toast.add({ severity: "error", summary: "Skyport", detail: error.message });
    return false;
  }
  if (answer === FOLDERS) document.dispatchEvent(new Event("skyport.setup"));
  return true;
}

async function outside() {
  try {
    const { output, workflow } = await promptOf(rootGraph());
    return (await act("files", { prompt: output, workflow })).files;
  } catch {
    return [];
  }
}

app.registerExtension({
  name: "Skyport.Files",
  setup() {
    addStyles("files.css");
    const asking = (queuePrompt) =>
      async function (...args) {
        return (await mayUpload()) ? queuePrompt.apply(this, args) : false;
      };
    wrap(app, "queuePrompt", asking);
  },
});
