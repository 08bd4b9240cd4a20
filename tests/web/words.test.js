// Pins that every text of our scripts is there in both languages, with the same values in it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { follow, language, say } from "../../web/words.js";
import chinese from "../../web/words.zh.js";

const WEB = new URL("../../web/", import.meta.url);
const scripts = readdirSync(WEB, { recursive: true }).filter((name) => name.endsWith(".js"));
const code = scripts.map((name) => readFileSync(new URL(name, WEB), "utf-8")).join("\n");
const calls = /(?<!function )\bsay\(\s*(?:"((?:[^"\\]|\\.)*)"|(.))/g;
const found = [...code.matchAll(calls)];
const said = new Set(found.filter(([, text]) => text !== undefined).map(([, text]) => JSON.parse(`"${text}"`)));
const values = (text) => (text.match(/\{\w+\}/g) ?? []).sort();

test("every text is a literal", () => {
  assert.ok(said.size > 50);
  assert.deepEqual(found.filter(([, text]) => text === undefined).map(([call]) => call), []);
});

test("every text has a chinese one", () => {
  assert.deepEqual([...said].filter((text) => !(text in chinese)), []);
});

test("no chinese text is left over", () => {
  assert.deepEqual(Object.keys(chinese).filter((text) => !said.has(text)), []);
});

test("both languages name the same values", () => {
  assert.deepEqual(Object.keys(chinese).filter((text) => `${values(text)}` !== `${values(chinese[text])}`), []);
});

test("the language is the editor's, and english where we do not speak it", () => {
  const spoken = ["en", "zh", "zh-TW", "ru", undefined].map((locale) => {
    follow(() => locale);
    return language();
  });
  assert.deepEqual(spoken, ["en", "zh", "zh", "en", "en"]);
});

test("values are filled in as they are", () => {
  follow(() => "en");
  assert.equal(say("Copied: {text}", { text: "{count} $& <b>" }), "Copied: {count} $& <b>");
  follow(() => "zh");
  assert.equal(say("{count} jobs", { count: 3 }), "3 个作业");
});
