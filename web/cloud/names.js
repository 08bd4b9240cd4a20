// Asks for what names the values of nodes that are not installed here, and gives it to the server.
import { el } from "../jobs/elements.js";
import { notice } from "../notices.js";
import { act } from "../server.js";
import { addStyles } from "../styles.js";
import { say } from "../words.js";

/** Open the dialog; `learnt` is called once the server has taken something. */
export function askForNames(learnt) {
  addStyles("names.css");
  const text = el("textarea", { rows: 10, spellcheck: "false", "aria-label": say("Exported workflow") });
  const file = el("input", { type: "file", accept: ".json,application/json", hidden: true });
  const failure = el("p.failure", { role: "alert" });
  file.addEventListener("change", async () => {
    text.value = (await file.files[0]?.text()) ?? text.value;
  });
  const dialog = el("dialog.names", { "aria-label": say("Name the values") });
  const press = (label, onclick) => el("button.button", { type: "button", onclick }, label);
  const give = press(say("Use it"), async () => {
    failure.textContent = "";
    give.disabled = true;
    const reason = await given(text.value).catch((error) => error.message);
    give.disabled = false;
    if (reason) return (failure.textContent = reason);
    dialog.close();
    learnt();
  });
  dialog.append(
    el("strong", {}, say("Name the values")),
    el("p", {}, how()),
    text,
    failure,
    el("div.actions", {}, press(say("Choose a file"), () => file.click()), give, press(say("Cancel"), () => dialog.close())),
    file,
  );
  dialog.addEventListener("close", () => dialog.remove());
  for (const kind of ["keydown", "paste"]) dialog.addEventListener(kind, (event) => event.stopPropagation()); // for the canvas, not for us
  document.body.append(dialog);
  dialog.showModal();
  text.focus();
}

const how = () =>
  say("Paste the same workflow as exported with Workflow > Export (API) on a ComfyUI that has these nodes, or what /object_info answers there. Only the names of fields are kept; nothing is queued.");

/** Why it could not be used; "" where it was. */
async function given(text) {
  let tree = null;
  try {
    tree = JSON.parse(text);
  } catch {
    return say("This is not JSON.");
  }
  const { classes } = await act("widget_names", { given: tree });
  if (!classes.length) return say("It names no values: the order of its fields was lost.");
  notice({ tone: "good", title: say("Name the values"), text: say("Known now: {count} node classes.", { count: classes.length }) });
  return "";
}
