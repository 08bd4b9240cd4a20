// Amounts and estimates as words. Pure; the language is that of ../words.js.
import { amount } from "../jobs/format.js";
import { say } from "../words.js";

/** "1.2 CNY", or "1.2-1.5 CNY" where it may be either. */
export function money({ lowest, highest, unit }) {
  const [least, most] = [lowest, highest].map((value) => amount(Number(value).toPrecision(3)));
  return `${least === most ? most : `${least}-${most}`} ${unit}`.trimEnd();
}

/** What the button beside Run says of {tasks, at_least, sums, unknown, reused, free, subscribed}. */
export function sumWords({ tasks, at_least: atLeast, sums: totals, unknown, reused, free, subscribed }) {
  if (!tasks && !reused && subscribed) return say("paid by your Comfy Cloud subscription");
  if (!tasks && !reused && free) return say("free: your own server");
  if (!tasks) return reused ? say("nothing to pay: {count} reused", { count: reused }) : say("nothing to pay");
  const count = tasksWord(tasks, atLeast);
  const sums = totals.map(money).join(" + ");
  if (!sums) return say("{tasks}, cost unknown", { tasks: count });
  if (unknown) return say("{tasks}, about {sums} + {unknown} unknown", { tasks: count, sums, unknown });
  return say("{tasks}, about {sums}", { tasks: count, sums });
}

function tasksWord(count, atLeast) {
  if (atLeast) return say("at least {count} tasks", { count });
  return count === 1 ? say("1 task") : say("{count} tasks", { count });
}

const ORIGINS = {
  own: () => say("by your prices"),
  told: () => say("by the price list"),
  learnt: ({ tasks }) => (tasks === 1 ? say("as your last one") : say("as your last {count}", { count: tasks })),
};

/** Who says what a task costs. */
export const originWords = (price) => ORIGINS[price.origin](price);

/** A line for each node: "HaiYi kling-v3: 2 tasks, 1 CNY each, by your prices". */
export function lineWords(item) {
  const asked = item.first && item.tasks ? [say("first asked: {label}", item)] : [];
  const name = asked.length ? item.model : `${item.label} ${item.model}`.trim() || item.title;
  const parts = [];
  if (item.tasks) parts.push(tasksWord(item.tasks, item.at_least), ...asked, priceWords(item));
  if (item.reused) parts.push(say("{count} reused, nothing to pay", { count: item.reused }));
  if (item.error) parts.push(item.error);
  return say("{name}: {parts}", { name, parts: parts.join(say(", ")) });
}

function priceWords({ price, text }) {
  if (!price) return text ? `${say("cost unknown")} (${text})` : say("cost unknown");
  return say("{cost} each, {origin}", { cost: money(price), origin: originWords(price) });
}
