// What went wrong on one of our nodes, in full: newer editors hide it behind "View details".
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { dismiss, notice } from "./notices.js";
import { openSettings } from "./settings/open.js";
import { load, setup } from "./settings/setup.js";
import { isOutOfCredit, toneOf, topUpPage, wordsOf } from "./errors/words.js";
import { findNode } from "./jobs/path.js";
import { say } from "./words.js";

/** The page for payments of the platform that has refused, "" where none is known. */
async function topUp(text) {
  await load().catch(() => null);
  return topUpPage(text, setup()?.platforms ?? []);
}

app.registerExtension({
  name: "Skyport.Errors",
  setup() {
    const shown = [];
    api.addEventListener("execution_start", () => {
      dismiss("bad");
      for (const one of shown.splice(0)) one.remove();
    });
    api.addEventListener("execution_error", async ({ detail }) => {
      const told = wordsOf(detail);
      if (!told) return;
      const node = findNode(app.rootGraph ?? app.graph, detail.node_id)?.node;
      const actions = told.settings ? [[say("Open settings"), () => openSettings(told.setting)]] : [];
      const page = isOutOfCredit(detail) ? await topUp(told.text) : "";
      if (page) actions.push([say("Top up"), () => window.open(page, "_blank", "noopener")]);
      const title = node?.title || detail.node_type;
      shown.push(notice({ tone: toneOf(detail), title, text: told.text, actions }));
    });
  },
});
