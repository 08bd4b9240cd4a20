// A model or an option that is gone is told as such where it is not queued for that, with the nearest
// one to use: editors name another input, since the server has no name for what is not there.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { goneWidgets, useInstead } from "./forms/instead.js";
import { nearest } from "./forms/nearest.js";
import { findNode } from "./jobs/path.js";
import { reloadForms } from "./models.js";
import { notice } from "./notices.js";
import { rootGraph } from "./prompt.js";
import { openSettings } from "./settings/open.js";
import { say } from "./words.js";
import { wrap } from "./wrap.js";

const shown = []; // messages about the latest queue; those of its tasks are in errors.js

app.registerExtension({
  name: "Skyport.Gone",
  setup() {
    const telling = (queuePrompt) =>
      async function (...args) {
        for (const one of shown.splice(0)) one.remove();
        try {
          const answer = await queuePrompt.apply(this, args);
          tellGone(answer?.node_errors ?? {}).catch(() => null); // what else there is to run was queued
          return answer;
        } catch (error) {
          tellGone(error?.response?.node_errors ?? {}).catch(() => null);
          throw error;
        }
      };
    wrap(api, "queuePrompt", telling);
  },
});

async function tellGone(errors) {
  const refused = Object.entries(errors).filter(([, { class_type }]) => class_type?.startsWith("Skyport"));
  const nodes = refused.map(([id]) => findNode(rootGraph(), id)?.node).filter(Boolean);
  if (!nodes.length) return;
  if (!nodes.some((node) => goneWidgets(node).length)) await reloadForms(); // the form may be of yesterday
  for (const node of nodes) for (const widget of goneWidgets(node)) tell(node, widget);
}

function tell(node, widget) {
  const { name, value } = widget;
  const values = { name: name.split(".").pop(), value };
  const text = say("{value} is not offered for {name} any more. The node was not queued, and its settings are kept.", values);
  const best = nearest(value, widget.options.values);
  const use = () => {
    const there = node.widgets.find((one) => one.name === name); // a refresh has made a new one
    if (there) useInstead(node, there, best);
    app.canvas?.setDirty(true, true);
  };
  const refresh = [say("Refresh models"), () => app.extensionManager.command.execute("Skyport.RefreshModels")];
  const isServer = name.split(".").pop() === "server";
  const actions = [isServer ? [say("Open settings"), () => openSettings("comfyui")] : refresh];
  if (best !== undefined) actions.unshift([say("Use {value}", { value: best }), use]);
  shown.push(notice({ tone: "bad", title: node.title, text, actions }));
}
