// The button that removes a key, after a question.
import { button, el } from "../jobs/elements.js";
import { say } from "../words.js";
import { busy } from "./rows.js";
import { change } from "./setup.js";

/** Remove, then "Remove the key?" beside it. `label` is whose key it is. */
export function removeButton(platform, label, tell) {
  const ask = (asked) => {
    question.hidden = !asked;
    remove.hidden = asked;
    (asked ? keep : remove).focus();
  };
  const remove = button(say("Remove"), "trash", () => ask(true));
  const sure = button(say("Remove the key"), "trash", () => {
    ask(false);
    remove.closest(".skyport-card").querySelector("input").focus(); // for another key: Remove will be gone
    busy(remove, tell, () => change("key/remove", { platform }));
  });
  const keep = button(say("Keep it"), "times", () => ask(false));
  const words = say("Remove the keys of {label}? They cannot be shown or brought back.", { label });
  const question = el("div.line", { role: "group", hidden: true }, el("span", {}, words), sure, keep);
  return el("div.line", {}, remove, question);
}
