// A card a platform: its key, which goes to our route once and never comes back, and its address.
import { button, el } from "../jobs/elements.js";
import { act } from "../server.js";
import { say } from "../words.js";
import { removeButton } from "./remove.js";
import { busy, message } from "./rows.js";
import { change, follow, load, setup } from "./setup.js";
import { asideWords, fixedWords, keyWords, testWords } from "./words.js";

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
  const state = stateLine();
  const key = keyField([{ field: "key", label: say("API key of {label}", { label }) }], name, told.tell);
  const test = testButton(name, told.tell);
  const remove = removeButton(name, label, told.tell);
  const address = addressField(name, told.tell);
  const about = el("span");
  const link = el("a", { target: "_blank", rel: "noopener" }, say("Get a key"));
  const element = el(
    "section.card",
    { "data-platform": name, "aria-label": label },
    el("div.line", {}, state.dot, el("strong", {}, label), state.words),
    el("p.hint", {}, about, link),
    el("div.line", {}, key.element, test, remove),
    address.element,
    told.element,
  );
  const show = (platform, sandbox) => {
    state.show(platform.key, platform.test);
    about.textContent = platform.about ? `${platform.about} ` : ""; // in the language of the latest answer
    link.hidden = !platform.key_page;
    link.href = platform.key_page;
    remove.hidden = platform.key.source !== "file" && !platform.key.aside.length;
    key.element.hidden = platform.key.source === "environment"; // it would go before what is typed
    test.hidden = !platform.key.set && !sandbox;
    address.show(platform.url, platform.key);
  };
  return { element, show };
}

export const TONES = { works: "good", refused: "bad", failed: "bad", unreachable: "warn" };

/** What is known of a key: a dot, the colour of the last test's answer, and words. */
export function stateLine() {
  const words = el("span.state");
  const dot = el("span.dot", { role: "img" });
  const show = (key, test) => {
    words.textContent = [keyWords(key), key.set ? testWords(test) : ""].filter(Boolean).join(" \u00b7 ");
    dot.dataset.tone = key.trouble ? "bad" : (TONES[test] ?? "");
    dot.setAttribute("aria-label", testWords(test));
    dot.title = testWords(test);
  };
  return { words, dot, show };
}

/** Test asks the platform, at no charge. */
export function testButton(platform, tell) {
  const made = button(say("Test"), "bolt", () => busy(made, tell, () => tested(platform)));
  return made;
}

async function tested(platform) {
  const { state, message: words } = await act("setup/test", { platform });
  await load();
  return [words, TONES[state] ?? "bad"];
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
  const input = el("input.input", { type: "text", inputmode: "url", spellcheck: "false", "aria-label": say("Address") });
  const save = async () => {
    tell("");
    const before = keyOf(platform);
    await change("settings", { base_urls: { [platform]: input.value.trim() || null } });
    const after = keyOf(platform);
    if (before.set && !after.set) tell(say("The key was put aside: it goes only to the address it was entered for. Enter the key of this one."), "warn");
  };
  input.addEventListener("change", () => save().catch((error) => tell(error.message, "bad")));
  const element = el("label.address", {}, el("span.name", {}, say("Address")), input, hint);
  const show = (url, key) => {
    const fixed = fixedWords(url);
    input.disabled = Boolean(fixed);
    if (document.activeElement !== input) input.value = url.value;
    input.placeholder = url.default || say("needed: the address that belongs to your key");
    hint.textContent = fixed || asideWords(key, url.value || url.default);
  };
  return { element, show };
}

const keyOf = (name) => setup().platforms.find((one) => one.name === name).key;
