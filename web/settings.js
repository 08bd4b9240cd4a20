// Our page in ComfyUI's settings, and the commands that lead to it. Nothing is kept in ComfyUI's own
// settings: that file is readable and goes to every browser.
import { app } from "../../scripts/app.js";
import { say } from "./words.js";
import { focusNotice, notice } from "./notices.js";
import { refreshModels } from "./models.js";
import { addStyles } from "./styles.js";
import { openSettings } from "./settings/open.js";
import { setup } from "./settings/setup.js";
import { platformNamed } from "./errors/words.js";
import { editor, keys, media, models, notices, practice, section, servers, tasks } from "./settings/sections.js";

// The names are what the dialog's search looks through; their Chinese is in locales/zh/settings.json.
const SECTIONS = [
  ["Keys", "API keys and addresses", keys],
  ["Servers", "ComfyUI servers", servers],
  ["Practice", "Practice mode (sandbox)", practice],
  ["Models", "Models and clusters", models],
  ["Tasks", "Tasks and results", tasks],
  ["Notices", "Notices", notices],
  ["Media", "Media host and S3", media],
  ["Editor", "Language and names", editor],
];

async function refresh() {
  const { lines, ok } = await refreshModels();
  notice({ tone: ok ? "good" : "bad", title: say("Models"), text: lines.join("\n") });
}

/** The platform of a node, "" where it is not known. */
const platformOf = (type) => platformNamed({ node_type: type }, "", setup()?.platforms ?? []);

app.registerExtension({
  name: "Skyport.Settings",
  settings: SECTIONS.map(([name, words, content], place) => ({
    id: `Skyport.${name}`,
    name: words,
    category: ["Skyport", `Skyport${name}`, name],
    sortOrder: 100 - place,
    type: () => section(content),
    defaultValue: "",
  })),
  commands: [
    { id: "Skyport.OpenSettings", label: "Skyport: settings", icon: "pi pi-cloud", function: () => openSettings() },
    { id: "Skyport.RefreshModels", label: "Skyport: refresh models", icon: "pi pi-refresh", function: refresh },
    { id: "Skyport.FocusMessage", label: "Skyport: go to the message", icon: "pi pi-comment", function: focusNotice },
  ],
  keybindings: [{ combo: { key: "n", ctrl: true, alt: true }, commandId: "Skyport.FocusMessage" }],
  menuCommands: [{ path: ["Skyport"], commands: ["Skyport.OpenSettings", "Skyport.RefreshModels", "Skyport.FocusMessage"] }],
  getNodeMenuItems(node) {
    if (!node.type?.startsWith("Skyport")) return [];
    return [{ content: say("Skyport settings"), callback: () => openSettings(platformOf(node.type)) }];
  },
  setup() {
    addStyles("setup.css");
  },
});
