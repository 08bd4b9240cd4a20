// The ComfyUI servers of one's own: a row each, and a form that adds or changes one.
import { button, el } from "../jobs/elements.js";
import { reloadForms } from "../models.js";
import { act, ask } from "../server.js";
import { say } from "../words.js";
import { TONES } from "./keys.js";
import { busy, message } from "./rows.js";
import { serverForm } from "./serverform.js";
import { answerWords, interfaceWords, keySentWords, testWords } from "./words.js";

/** The list. Rows are made once and then brought up to date, so that the focus stays. */
export function serversSection() {
  const told = message();
  const rows = new Map();
  const list = el("div.cards");
  const empty = el("p.hint", { hidden: true }, say("Run workflows on another ComfyUI: a second PC, a rented machine, a pool. Start it there with --listen and let its port (8188) through the firewall, or put a reverse proxy with a password before it. Then add its address here."));
  const show = ({ servers }) => {
    empty.hidden = servers.length > 0;
    const names = servers.map((one) => one.name);
    for (const [name, row] of rows) if (!names.includes(name)) row.element.remove(), rows.delete(name);
    for (const [place, server] of servers.entries()) {
      if (!rows.has(server.name)) rows.set(server.name, serverRow(server.name, { show, edit: form.open, left: () => add.focus() }));
      const row = rows.get(server.name);
      row.show(server);
      // What stays in its place keeps the keyboard's focus.
      if (list.children[place] !== row.element) list.insertBefore(row.element, list.children[place] ?? null);
    }
  };
  const saved = async (answer, name) => {
    show(answer);
    await reloadForms();
    rows.get(name)?.test();
  };
  const add = button(say("Add a server"), "plus", () => form.open(null, add));
  const form = serverForm(saved);
  const load = () => ask("servers").then(show).catch((error) => told.tell(error.message, "bad"));
  document.addEventListener("skyport.setup", () => list.isConnected && load());
  load();
  return el("div.parts", { "data-servers": "" }, empty, list, el("div.line", {}, add), form.element, told.element);
}

function serverRow(name, { show: showAll, edit, left }) {
  const told = message();
  const dot = el("span.dot", { role: "img" });
  const [words, where, seen] = [el("span.state", { role: "status" }), el("p.hint"), el("p.told")];
  const notes = el("div");
  let server = null;
  const test = button(say("Test"), "bolt", () =>
    busy(test, told.tell, async () => {
      showAll(await act("servers/test", { name }));
    }),
  );
  const change = button(say("Edit"), "pencil", () => edit(server, change));
  const remove = removal(name, told.tell, async () => {
    showAll(await act("servers/remove", { name }));
    left();
    await reloadForms();
  });
  const acts = el("div.line", {}, test, change, remove);
  const element = el("section.card", { "data-server": name, "aria-label": name }, el("div.line", {}, dot, el("strong", {}, name), words), where, seen, notes, acts, told.element);
  const show = (now) => {
    server = now;
    words.textContent = testWords(now.test?.state);
    dot.dataset.tone = TONES[now.test?.state] ?? "";
    dot.setAttribute("aria-label", words.textContent);
    where.textContent = [now.address, interfaceWords(now), keySentWords(now)].filter(Boolean).join(" \u00b7 ");
    seen.textContent = answerWords(now.test);
    seen.hidden = !seen.textContent;
    seen.dataset.tone = now.test?.state === "works" ? "" : (TONES[now.test?.state] ?? "warn");
    notes.hidden = !now.whence && !now.warnings.length;
    notes.replaceChildren(...[now.whence, ...now.warnings].filter(Boolean).map(note));
    change.hidden = remove.hidden = now.source !== "file";
  };
  const note = (text) => el("p.told", { "data-tone": text === server.whence ? "" : "warn" }, text);
  return { element, show, test: () => test.click() };
}

/** Remove, then the question beside it. */
function removal(name, tell, work) {
  const ask = (asked) => {
    question.hidden = !asked;
    remove.hidden = asked;
    (asked ? keep : remove).focus();
  };
  const remove = button(say("Remove"), "trash", () => ask(true));
  const sure = button(say("Remove the server"), "trash", () => {
    ask(false);
    busy(remove, tell, work);
  });
  const keep = button(say("Keep it"), "times", () => ask(false));
  const words = say("Remove {name} and its key? Tasks that still run there can no longer be fetched.", { name });
  const question = el("div.line", { role: "group", hidden: true }, el("span", {}, words), sure, keep);
  return el("div.line", {}, remove, question);
}
