// A text field with suggested values: a list, with an entry for any other text.
import { app } from "../../scripts/app.js";
import { offered, other } from "./forms/suggested.js";
import { say } from "./words.js";

app.registerExtension({
  name: "Skyport.Suggestions",
  getCustomWidgets: () => ({ SKYPORT_SUGGESTED: widgetOf }),
});

function widgetOf(node, name, [, about], app) {
  const made = app.widgets.COMBO(node, name, [about.suggested, { tooltip: about.tooltip, default: about.default }], app);
  const { widget } = made;
  let last = (widget.value = about.default ?? "");
  // A getter, so that what a file or a person put there is in the list, too.
  const values = () => offered(about.suggested, (last = widget.value === other() ? last : widget.value));
  Object.defineProperty(widget.options, "values", { get: values, set() {}, enumerable: true, configurable: true });
  widget.options.suggested = about.suggested;
  const { callback } = widget;
  widget.callback = function (value, ...more) {
    if (value === other()) return ask(widget, last, about.placeholder ?? name);
    last = value;
    return callback?.call(this, value, ...more);
  };
  return made;
}

async function ask(widget, last, name) {
  widget.value = last;
  const text = await app.extensionManager.dialog.prompt({ title: name, message: say("Any other value:"), defaultValue: last });
  if (text === null || text === undefined) return;
  widget.value = text.trim();
  widget.callback(widget.value);
  app.canvas?.setDirty(true, true);
}
