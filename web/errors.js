// What went wrong on one of our nodes, in full: newer editors hide it behind "View details".
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { notice } from "./notices.js";
import { openSettings } from "./settings/open.js";
import { load, setup } from "./settings/setup.js";
import { isNotSetUp, isOutOfCredit, platformNamed, toneOf, topUpPage, wordsOf } from "./errors/words.js";
import { findNode } from "./jobs/path.js";
import { startPractice } from "./practice.js";
import { say } from "./words.js";

/** What a person can do about an error: [[label, run], ...]. */
async function actionsFor(detail, told) {
  await load().catch(() => null);
  const platforms = setup()?.platforms ?? [];
  const actions = [];
  if (isNotSetUp(detail) && !setup()?.sandbox) actions.push([say("Practice mode"), startPractice]);
  const named = platformNamed(detail, told.text, platforms);
  if (told.settings) actions.push([say("Open settings"), () => openSettings(named, told.setting, told.text)]);
  const page = isOutOfCredit(detail) ? topUpPage(told.text, platforms) : "";
  if (page) actions.push([say("Top up"), () => window.open(page, "_blank", "noopener")]);
  return actions;
}

app.registerExtension({
  name: "Skyport.Errors",
  setup() {
    const shown = [];
    api.addEventListener("execution_start", () => {
      for (const one of shown.splice(0)) one.remove();
    });
    api.addEventListener("execution_error", async ({ detail }) => {
      const told = wordsOf(detail);
      if (!told) return;
      const node = findNode(app.rootGraph ?? app.graph, detail.node_id)?.node;
      const title = node?.title || detail.node_type;
      const actions = await actionsFor(detail, told);
      shown.push(notice({ tone: toneOf(detail), title, text: told.text, actions }));
    });
  },
});
