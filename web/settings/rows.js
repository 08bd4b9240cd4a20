// Rows of the settings page: a label, what is set, and what can be done about it.
import { el } from "../jobs/elements.js";
import { say } from "../words.js";
import { change, follow, setup } from "./setup.js";
import { fixedWords, valueOf } from "./words.js";

/** The line of a row that shows the server's answer. */
export function message() {
  const element = el("p.told", { role: "status" }); // never hidden: else its first words would not be read aloud
  const tell = (words, tone = "") => {
    element.textContent = words;
    element.dataset.tone = tone;
  };
  return { element, tell };
}

/** Run `work` with its button disabled; the [words, tone] it returns, or its error, is shown beside. */
export async function busy(pressed, tell, work) {
  const held = document.activeElement === pressed; // a button that is disabled loses the focus
  pressed.disabled = true;
  tell(say("One moment..."));
  try {
    tell(...((await work()) ?? [""]));
  } catch (error) {
    tell(error.message, "bad");
  } finally {
    pressed.disabled = false;
    if (held && document.activeElement === document.body) pressed.focus();
  }
}

/** A setting with a text or number field. `about`: {name, label, hint, kind}. */
export function textRow(about) {
  const input = el("input.input", { type: "text", spellcheck: "false", inputmode: about.kind === "number" ? "decimal" : "text" });
  const row = settingRow(about, input, (field) => {
    if (document.activeElement !== input) input.value = field.value ?? "";
    input.placeholder = about.placeholder?.(setup()) ?? String(field.default ?? "");
  });
  input.addEventListener("change", () => row.save(valueOf(input.value, about.kind)));
  return row.element;
}

/** A setting that is on or off. */
export function switchRow(about) {
  const input = el("input.switch", { type: "checkbox", role: "switch" });
  const row = settingRow(about, input, (field) => (input.checked = field.value));
  input.addEventListener("change", async () => {
    await row.save(input.checked);
    await about.after?.();
  });
  return row.element;
}

/** A setting with a closed list; `about.options(setup)` gives [value, words] each. */
export function choiceRow(about) {
  const input = el("select.input");
  const row = settingRow(about, input, (field, told) => {
    input.replaceChildren(...about.options(told).map(([value, words]) => el("option", { value }, words)));
    input.value = field.value ?? "";
  });
  input.addEventListener("change", async () => {
    await row.save(input.value || null);
    await about.after?.();
  });
  return row.element;
}

function settingRow(about, input, draw) {
  const told = message();
  const hint = el("span.hint");
  const label = el("label.name", {}, about.label, hint);
  const element = el("div.setting", { "data-name": about.name }, label, input, told.element);
  const id = `skyport-setting-${about.name}`;
  input.id = id;
  told.element.id = `${id}-told`;
  input.setAttribute("aria-describedby", told.element.id);
  label.htmlFor = id;
  const show = (all) => {
    const field = all.settings[about.name];
    const fixed = fixedWords(field);
    hint.textContent = fixed || about.hint || "";
    input.disabled = Boolean(fixed);
    draw(field, all);
  };
  follow(element, show);
  const save = async (value) => {
    told.tell("");
    input.removeAttribute("aria-invalid");
    try {
      await change("settings", { [about.name]: value });
    } catch (error) {
      input.setAttribute("aria-invalid", "true");
      told.tell(error.message, "bad");
      if (input.type === "checkbox") show(setup());
    }
  };
  return { element, save };
}
