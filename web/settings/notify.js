// The services that notices go to. An address goes to our route once and never comes back.
import { button, el } from "../jobs/elements.js";
import { act, ask } from "../server.js";
import { say } from "../words.js";
import { busy, message } from "./rows.js";

/** Those that were added, and the field that adds one. */
export function servicesList() {
  const told = message();
  const list = el("div.cards");
  const missing = el("p.told", { hidden: true, "data-tone": "warn" });
  const address = el("input.input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "ntfy://TOPIC", "aria-label": say("Address of a service of Apprise") });
  const show = (answer) => {
    list.replaceChildren(...answer.services.map((one) => serviceRow(one, show, () => address.focus())));
    missing.hidden = answer.installed;
    missing.textContent = say("Services need the Python package apprise. Run {command} and restart.", { command: answer.command });
  };
  const add = button(say("Add a service"), "plus", () =>
    busy(add, told.tell, async () => {
      show(await act("notices/add", { url: address.value }));
      address.value = "";
    }),
  );
  address.addEventListener("keydown", (event) => event.key === "Enter" && add.click());
  ask("notices").then(show).catch((error) => told.tell(error.message, "bad"));
  const hint = el("p.hint", {}, say("WeCom, Feishu, DingTalk, Telegram, ntfy, e-mail and others, also once the page is closed: docs/NOTICES.md shows their addresses."));
  return el("div.parts", {}, hint, missing, list, el("div.line", {}, address, add), told.element);
}

function serviceRow({ id, name, source, answer }, show, left) {
  const told = message();
  const press = (words, picture, path, then) => {
    const pressed = button(words, picture, () =>
      busy(pressed, told.tell, async () => {
        show(await act(`notices/${path}`, { id }));
        then();
      }),
    );
    return pressed;
  };
  const again = () => document.querySelector(`[data-service="${id}"] button`)?.focus(); // the rows are made anew
  const test = press(say("Test"), "bolt", "test", again);
  const remove = press(say("Remove"), "trash", "remove", left);
  remove.hidden = source !== "file";
  if (answer) told.tell(answer.message, answer.ok ? "good" : "bad");
  return el("section.card", { "data-service": id, "aria-label": name }, el("div.line", {}, el("strong", {}, name), test, remove), told.element);
}
