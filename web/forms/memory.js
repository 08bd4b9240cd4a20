// What the forms of a choice held, so that it comes back with them. Pure: plain values, by name.

/** {latest: {name: value that was chosen last, in any form}, forms: {key of the form: {name: value}}} */
export const nothing = () => ({ latest: {}, forms: {} });

const OWN = ["platforms"]; // in each form a list of its own

/** `memory` once the form of `key` is left with `now`; `start` is what it had when it appeared. */
export function left(memory, key, start, now) {
  const changed = Object.keys({ ...start, ...now }).filter((name) => !same(start[name], now[name]));
  if (!changed.length && !memory.forms[key]) return memory;
  const latest = changed.filter((name) => !OWN.includes(name)).map((name) => [name, now[name] ?? null]);
  return { latest: { ...memory.latest, ...Object.fromEntries(latest) }, forms: { ...memory.forms, [key]: now } };
}

/** `memory` without the form of `key`, which the file shows. */
export function besides({ latest, forms }, key) {
  return { latest, forms: Object.fromEntries(Object.entries(forms).filter(([one]) => one !== key)) };
}

/** What the form of `key` is to hold: what was chosen last where that fits, else what it had itself and still takes. */
export function recalled(memory, key, name, fits = () => true, takes = fits) {
  const [latest, own] = [memory.latest[name], memory.forms[key]?.[name]];
  if (latest !== undefined && fits(latest)) return latest;
  return own !== undefined && takes(own) ? own : undefined;
}

/** The names that `recalled` has an answer for, image2 before image10. */
export function namesOf(memory, key) {
  const names = new Set([...Object.keys(memory.latest), ...Object.keys(memory.forms[key] ?? {})]);
  return [...names].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
}

/** Whether `widget` takes `value`. */
export function takes({ value: now, options = {} }, value) {
  const { values, suggested, min = -Infinity, max = Infinity, precision } = options;
  if (Array.isArray(values) && !suggested) return values.includes(value);
  if (typeof value !== typeof now) return false;
  return typeof value !== "number" || (value >= min && value <= max && (precision !== 0 || Number.isInteger(value)));
}

/** Whether `value`, chosen for another model, is one for `widget` too: a text is where it is written alike. */
export function fits(widget, value) {
  if (!takes(widget, value)) return false;
  const { value: now, options: { values, suggested } = {} } = widget;
  if (suggested) return suggested.includes(value);
  return typeof value !== "string" || Boolean(values) || !/\d/.test(now) || shapeOf(value) === shapeOf(now);
}

/** How a size or a ratio is written: 9x9, 9:9, 9K; a model that takes one form refuses the others. */
const shapeOf = (text) => text.replace(/\d+/g, "9");

/** Values that compare as the JSON that a file keeps of them. */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
