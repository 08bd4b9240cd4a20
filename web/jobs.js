// The sidebar tab with all jobs of the ledger. Its badge counts what is under way.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { Panel } from "./jobs/panel.js";
import { ask } from "./server.js";
import { addStyles } from "./styles.js";
import { say } from "./words.js";

const ID = "skyport.jobs";
const filter = { group: "", platform: "", text: "" };
const folded = new Set(); // queues
let panel = null;
let place = null;

function open(element) {
  close();
  place = element;
  place.style.height = "100%"; // else it is as high as its content, and nothing scrolls
  panel = new Panel(filter, folded);
  element.replaceChildren(panel.element);
}

function close() {
  panel?.destroy();
  panel = place = null;
}

/** Show a job in the tab, which is opened where it is not. */
export async function openJob(job) {
  if (!panel) await app.extensionManager.command.execute(`Workspace.ToggleSidebarTab.${ID}`);
  for (let wait = 0; !panel && wait < 20; wait++) await new Promise((done) => setTimeout(done, 50));
  await panel?.openJob(job);
}

/** The tab as the editor holds it: a change of this one is shown. */
const held = () => app.extensionManager?.getSidebarTabs?.().find((one) => one.id === ID);

function change(about) {
  const tab = held();
  if (tab) Object.assign(tab, about);
}

const names = () => ({ title: "Skyport", label: "Skyport", tooltip: say("Skyport jobs") });
const count = (running) => change({ iconBadge: running ? String(running) : "" });

function speak() {
  change(names());
  if (place) open(place);
}

// At once: what the server tells before the editor is set up would find no listener, and be an error in the console.
api.addEventListener("skyport.jobs", ({ detail }) => {
  count(detail.running);
  panel?.hear(detail);
});

app.registerExtension({
  name: "Skyport.Jobs",
  async setup() {
    addStyles("skyport.css");
    const about = { id: ID, icon: "pi pi-cloud", type: "custom", iconBadge: "", render: open, destroy: close };
    app.extensionManager.registerSidebarTab({ ...about, ...names() });
    api.addEventListener("reconnected", () => panel?.refresh());
    // The event fires before the setting has changed.
    app.ui?.settings?.addEventListener?.("Comfy.Locale.change", () => setTimeout(speak));
    count((await ask("jobs", { limit: 1 })).running);
  },
});
