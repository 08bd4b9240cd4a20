// What the badge of a node says. Pure; the language is that of ../words.js.
import { amount } from "../jobs/format.js";
import { say } from "../words.js";

/** {text, tone} for a node of that type with that model; "" for no badge. What is wrong goes first. */
export function badgeOf(forms, type, model, gone) {
  if (gone) return { text: say("model not offered"), tone: "bad" };
  const form = forms?.nodes[type];
  if (!form) return { text: "", tone: "" };
  if (!forms.platforms[form.platform]?.ready) return { text: say("no API key"), tone: "bad" };
  const known = form.models[model];
  if (known?.retired) return { text: say("no longer offered"), tone: "warn" };
  if (known?.cost == null) return { text: "", tone: "" };
  return { text: costWords(known), tone: "cost" };
}

function costWords({ cost, tasks }) {
  const about = amount(Number(cost).toPrecision(3));
  if (tasks === 1) return say("about {cost} a task, from your last one", { cost: about });
  return say("about {cost} a task, from your last {count}", { cost: about, count: tasks });
}
