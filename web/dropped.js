// A result of ours that is dropped on the canvas, or opened, brings the graph of its job.
import { app } from "../../scripts/app.js";
import { holdsWorkflow } from "./jobs/holds.js";
import { sha256 } from "./jobs/sha256.js";
import { openWorkflow } from "./jobs/workflow.js";
import { ask } from "./server.js";
import { wrap } from "./wrap.js";

// Bytes; a larger file is left to ComfyUI. Pages that are not safe must hash by themselves, which takes longer.
const MOST = globalThis.crypto?.subtle ? 1024 ** 3 : 64 * 1024 ** 2;
const NO_RESULTS = /\.(json|latent|safetensors)$/i;

/** Open the graph of the job that brought the file; false where it is none of ours. */
async function openByBytes(file) {
  if (file.size > MOST || NO_RESULTS.test(file.name)) return false;
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (holdsWorkflow(bytes)) return false;
  const { job, graph } = await ask(`results/${await sha256(bytes)}`);
  if (!job || !graph) return false;
  await openWorkflow(job);
  return true;
}

app.registerExtension({
  name: "Skyport.Dropped",
  setup() {
    wrap(app, "handleFile", (handleFile) =>
      async function (file, ...more) {
        const isOurs = await openByBytes(file).catch(() => false); // what ComfyUI would do is never lost
        if (!isOurs) return handleFile.call(this, file, ...more);
      },
    );
  },
});
