// A card a platform: its key, which goes to our route once and never comes back, and its address.
import { button, el } from "../jobs/elements.js";
import { act } from "../server.js";
import { say } from "../words.js";
import { busy, message } from "./rows.js";
import { change, follow } from "./setup.js";
import { fixedWords, keyWords } from "./words.js";

/** All platforms. Cards are made once and then brought up to date: what is being typed stays. */
export function keysSection() {
  const cards = new Map();
  const list = el("div.cards");
  const element = el("div", {}, banner(), list);
  follow(element, (told) => {
    for (const platform of told.platforms) {
      if (!cards.has(platform.name)) {
        cards.set(platform.name, card(platform));
        list.append(cards.get(platform.name).element);
      }
      cards.get(platform.name).show(platform, told.sandbox);
    }
  });
  return element;
}

/** The notice that practice mode is on. */
export function banner() {
  const element = el("p.banner", { hidden: true, role: "note" });
  follow(element, (told) => {
    element.hidden = !told.sandbox;
    element.textContent = say("Practice mode: nothing is sent to the platforms.");
  });
  return element;
}

function card({ name, label }) {
  const told = message();
  const state = el("span.state");
  const dot = el("span.dot", { "aria-hidden": "true" });
  const key = keyField([{ field: "key", label: say("API key of {label}", { label }) }], name, told.tell);
  const test = button(say("Test"), "bolt", () => busy(test, told.tell, () => tried(name)));
  const remove = button(say("Remove"), "trash", () =>
    busy(remove, told.tell, () => change("key/remove", { platform: name })),
  );
  const address = addressField(name, told.tell);
  const element = el(
    "section.card",
    { "data-platform": name, "aria-label": label },
    el("div.line", {}, dot, el("strong", {}, label), state),
    el("div.line", {}, key.element, test, remove),
    address.element,
    told.element,
  );
  const show = (platform, sandbox) => {
    state.textContent = keyWords(platform.key);
    dot.dataset.tone = platform.key.trouble ? "bad" : platform.key.set ? "good" : "";
    remove.hidden = platform.key.source !== "file";
    key.element.hidden = platform.key.source === "environment"; // it would go before what is typed
    test.hidden = !platform.key.set && !sandbox;
    address.show(platform.url, platform.key.set);
  };
  return { element, show };
}

async function tried(platform) {
  const { ok, message: words } = await act("setup/test", { platform });
  return [words, ok ? "good" : "bad"];
}

/** One field a part of a key, and Save. What was typed is forgotten here as soon as it is kept there. */
export function keyField(parts, platform, tell) {
  const inputs = parts.map(({ label }) =>
    el("input.input", {
      type: "password",
      autocomplete: "off",
      "data-1p-ignore": true,
      "data-lpignore": "true",
      spellcheck: "false",
      placeholder: label,
      "aria-label": label,
      onkeydown: (event) => event.key === "Enter" && save.click(),
    }),
  );
  const save = button(say("Save"), "check", () =>
    busy(save, tell, async () => {
      const typed = Object.fromEntries(parts.map(({ field }, at) => [field, inputs[at].value]));
      await change("key", { platform, ...typed });
      for (const input of inputs) input.value = "";
      return [say("The key is kept on the machine that runs ComfyUI."), "good"];
    }),
  );
  return { element: el("div.entry", {}, ...inputs, save) };
}

function addressField(platform, tell) {
  const hint = el("span.hint");
  const input = el("input.input", { type: "url", spellcheck: "false", "aria-label": say("Address") });
  input.addEventListener("change", async () => {
    tell("");
    try {
      await change("settings", { base_urls: { [platform]: input.value.trim() || null } });
    } catch (error) {
      tell(error.message, "bad");
    }
  });
  const element = el("label.address", {}, el("span.name", {}, say("Address")), input, hint);
  const show = (url, keyed) => {
    const fixed = fixedWords(url);
    input.disabled = Boolean(fixed);
    if (document.activeElement !== input) input.value = url.value;
    input.placeholder = url.default || say("needed: the address that belongs to your key");
    const warning = keyed ? say("A new address asks for the key again: a key goes only where you sent it.") : "";
    hint.textContent = fixed || warning;
  };
  return { element, show };
}
