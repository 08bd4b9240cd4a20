// The form that adds or changes a ComfyUI server. A key goes to our route once and never comes back.
import { button, el } from "../jobs/elements.js";
import { act } from "../server.js";
import { say } from "../words.js";
import { busy, message } from "./rows.js";
import { valueOf } from "./words.js";

/** The form, hidden until `open(server, opener)`; null adds one. `saved(answer, name)` once it is kept. */
export function serverForm(saved) {
  const told = message();
  const fields = makeFields();
  let before = null;
  let opener = null;
  const close = () => {
    element.hidden = true;
    fields.key.value = "";
    told.tell("");
    opener?.focus();
  };
  const save = button(say("Save"), "check", () =>
    busy(save, told.tell, async () => {
      const values = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim()]));
      values.max_parallel = valueOf(values.max_parallel, "number");
      if (values.header === "none") delete values.key;
      const answer = await act(before ? "servers/change" : "servers/add", { ...values, before: before?.name });
      close();
      await saved(answer, values.name);
    }),
  );
  const cancel = button(say("Cancel"), "times", close);
  const title = el("strong");
  const keyRow = row(say("Key"), fields.key);
  const element = el(
    "section.card",
    { hidden: true, "data-form": "", role: "group", onkeydown: pressed },
    title,
    row(say("Name"), fields.name),
    row(say("Address"), fields.address, say("such as 192.168.1.20:8188")),
    row(say("Key is sent"), fields.header, say("a plain ComfyUI asks for none")),
    keyRow,
    row(say("Interface"), fields.dialect),
    row(say("Parallel tasks"), fields.max_parallel, say("tasks of yours that it holds at a time")),
    el("div.line", {}, save, cancel),
    told.element,
  );
  fields.header.addEventListener("change", drawKey);

  function drawKey() {
    keyRow.hidden = fields.header.value === "none";
    const kept = before?.key.set && fields.header.value !== "none";
    fields.key.placeholder = kept ? say("kept, ends in {end}; goes with another address", { end: before.key.last4 }) : keyHint(fields.header.value);
  }

  /** Enter saves; Escape closes the form and not the dialog around it. */
  function pressed(event) {
    if (event.key === "Enter" && event.target.tagName === "INPUT") save.click();
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.preventDefault();
    close();
  }

  function open(server, from) {
    [before, opener] = [server, from];
    title.textContent = server ? say("Change {name}", server) : say("Add a server");
    element.setAttribute("aria-label", title.textContent);
    for (const [name, value] of Object.entries(server ?? NEW)) if (name in fields && name !== "key") fields[name].value = value;
    fields.key.value = "";
    told.tell("");
    drawKey();
    element.hidden = false;
    element.scrollIntoView({ block: "nearest" });
    fields.name.focus();
  }
  return { element, open };
}

const NEW = { name: "", address: "", header: "none", dialect: "auto", max_parallel: 2 };

const keyHint = (header) => (header === "basic" ? say("user:password") : "");

function makeFields() {
  const text = (about = {}) => el("input.input", { type: "text", autocomplete: "off", spellcheck: "false", ...about });
  const secret = { type: "password", "data-1p-ignore": true, "data-lpignore": "true" };
  const choice = (options) => el("select.input", {}, ...options.map(([value, words]) => el("option", { value }, words)));
  return {
    name: text({ maxlength: 60 }),
    address: text({ inputmode: "url" }),
    header: choice([
      ["none", say("not at all")],
      ["bearer", "Authorization: Bearer"],
      ["x-api-key", "X-API-Key"],
      ["basic", say("user and password")],
    ]),
    key: text(secret),
    dialect: choice([
      ["auto", say("found out by itself")],
      ["native", say("native, of every ComfyUI")],
      ["v2", "Comfy API v2"],
    ]),
    max_parallel: text({ inputmode: "numeric" }),
  };
}

function row(words, field, hint = "") {
  return el("label.address", {}, el("span.name", {}, words), field, hint ? el("span.hint", {}, hint) : "");
}
