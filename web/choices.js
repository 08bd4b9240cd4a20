// Brings a list of choices that also takes a link (COMBO,STRING) up to date when the user refreshes:
// the editor does that for plain lists only.
import { app } from "../../scripts/app.js";

app.registerExtension({
  name: "Skyport.Choices",
  refreshComboInNodes(defs) {
    for (const node of app.graph.nodes ?? []) {
      if (!node.type?.startsWith("Skyport")) continue;
      const inputs = { ...defs[node.type]?.input?.optional, ...defs[node.type]?.input?.required };
      for (const widget of node.widgets ?? []) {
        const [type, about] = inputs[widget.name] ?? [];
        const mixed = typeof type === "string" && type.startsWith("COMBO,");
        if (widget.type === "combo" && mixed && about?.options) widget.options.values = about.options;
      }
    }
  },
});
