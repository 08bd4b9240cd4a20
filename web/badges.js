// Badges on our nodes: what a model usually costs, that it is not offered, that a key is missing; that one leads to the settings.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { makeBadge } from "./badges/make.js";
import { ask } from "./server.js";
import { badgeOf } from "./forms/badge.js";
import { goneOf } from "./forms/refit.js";
import { ourNodes } from "./models.js";
import { openSettings } from "./settings/open.js";
import { addStyles } from "./styles.js";

const COLOURS = { cost: "#2d5a3d", warn: "#8a5a00", bad: "#8f2f2c" };
let forms = null;

async function read() {
  forms = await ask("forms").catch(() => forms);
  for (const node of ourNodes()) redraw(node);
  app.canvas?.setDirty(true, true);
}

/** Nodes drawn with Vue update their badges only when notified. */
function redraw(node) {
  const { badges } = node;
  const type = "node:property:changed";
  node.graph?.trigger?.(type, { type, nodeId: node.id, property: "badges", oldValue: badges, newValue: [...badges] });
}

app.registerExtension({
  name: "Skyport.Badges",
  async setup() {
    addStyles("badges.css");
    // A cost is known when a task has ended; a key may have been set meanwhile.
    api.addEventListener("execution_success", read);
    api.addEventListener("execution_error", read);
    for (const event of ["skyport.setup", "skyport.prices"]) document.addEventListener(event, read);
    await read();
  },
  refreshComboInNodes: read,
  nodeCreated(node) {
    const type = node.comfyClass ?? node.type;
    if (!type?.startsWith("Skyport") || !window.LGraphBadge) return;
    // A function that gives none breaks the drawing of the node; an empty badge is not drawn.
    let [badge, said] = [null, ""]; // a click is looked for where the very badge was drawn
    node.badges.push(() => {
      const model = node.widgets?.find((widget) => widget.name === "model")?.value;
      const about = badgeOf(forms, type, model, goneOf(node).length > 0);
      if (badge === null || said !== JSON.stringify(about)) [badge, said] = [made(node, about), JSON.stringify(about)];
      return badge;
    });
  },
});

function made(node, { text, whole, tone, platform }) {
  const onClick = platform ? () => openSettings(platform) : undefined;
  return makeBadge(node, { text, whole, color: COLOURS[tone] ?? COLOURS.cost, onClick });
}
