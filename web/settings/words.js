// Texts for a key and for a value. Pure; the language is that of ../words.js.
import { say } from "../words.js";

/** A key in words: set or not, its end, where it comes from. */
export function keyWords(key) {
  if (key.trouble) return key.trouble;
  if (!key.set) return say("No key is set.");
  const end = key.last4 ? say("Set, ends in {end}", { end: key.last4 }) : say("Set");
  const from = key.source === "environment" ? say("from {variable}", { variable: key.variable }) : say("from keys.json");
  return `${end} · ${from}`;
}

/** The last test's answer. */
export function testWords(test) {
  if (test === "works") return say("works");
  if (test === "refused") return say("refused");
  if (test === "unreachable") return say("no answer");
  if (test === "failed") return say("test failed");
  return say("not tested");
}

/** The interface of a server: the one that its last test found, else the one set. */
export function interfaceWords({ dialect, test }) {
  const found = test?.dialect ?? (dialect === "auto" ? "" : dialect);
  return { native: say("native interface"), v2: "Comfy API v2" }[found] ?? "";
}

/** How a server's key is sent, "" where it takes none. */
export function keySentWords({ header, key }) {
  if (header === "none") return "";
  if (!key.set) return say("No key is set.");
  return key.last4 ? say("key ends in {end}", { end: key.last4 }) : say("key set");
}

/** What a server said of itself in its last test, or why that failed; "" where there was none. */
export function answerWords(test) {
  if (test?.state !== "works") return test?.message ?? "";
  const version = test.version ? `ComfyUI ${test.version}` : "";
  return [version, ...test.devices.map(deviceWords), say("{count} in its queue", { count: test.queue })].filter(Boolean).join(" \u00b7 ");
}

const GB = 1024 ** 3;

function deviceWords({ name, vram_free: free, vram_total: total }) {
  if (!total || free === null) return name;
  const [left, all] = [free, total].map((bytes) => (bytes / GB).toFixed(1));
  return say("{name}: {left} of {all} GB free", { name, left, all });
}

/** What a change of the address does to the key, and for which addresses keys are put aside. */
export function asideWords(key, address) {
  const parts = [];
  if (key.set && address) parts.push(say("The key goes only to this address. At another one it is put aside until you come back."));
  if (key.aside.length) parts.push(say("Keys are put aside for: {addresses}", { addresses: key.aside.join(", ") }));
  return parts.join(" ");
}

/** Why a value cannot be changed here, "" where it can. */
export function fixedWords(field) {
  if (field.source !== "environment") return "";
  return say("Set by {variable}: change it there.", { variable: field.variable });
}

/** The value of a text field for the server: null for the default, a number where it is one. */
export function valueOf(text, kind) {
  const trimmed = text.trim();
  if (!trimmed) return null;
  if (kind !== "number") return trimmed;
  const number = Number(trimmed);
  return Number.isFinite(number) ? number : trimmed;
}

/** How much room a cluster has. */
export function roomWords(cluster) {
  if (cluster.most === null) return say("{running} running", { running: cluster.running });
  return say("{room} free of {most}", { room: cluster.room, most: cluster.most });
}

/** What a refresh of one platform's models brought. */
export function refreshedWords(label, found) {
  const parts = [say("{label}: {count} models", { label, count: found.models })];
  if (found.added.length) parts.push(say("{count} new", { count: found.added.length }));
  if (found.retired.length) parts.push(say("{count} no longer offered", { count: found.retired.length }));
  if (found.unread.length) parts.push(say("{count} could not be read", { count: found.unread.length }));
  return parts.join(" · ");
}
