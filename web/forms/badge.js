// What the badge of a node says. Pure; the language is that of ../words.js.
import { money } from "../spend/words.js";
import { say } from "../words.js";

/** {text, tone} for a node of that type with that model; "" for no badge. What is wrong goes first.
 * platform: the one whose key is missing, where one is; whole: a text that is cut in `text`. */
export function badgeOf(forms, type, model, gone) {
  if (gone) return { text: say("model not offered"), tone: "bad" };
  const form = forms?.nodes[type];
  if (!form) return { text: "", tone: "" };
  const choices = form.models[model]?.choices;
  if (choices) return choicesBadge(forms, choices);
  if (!forms.platforms[form.platform]?.ready) return noKey(form.platform);
  const known = form.models[model];
  if (known?.retired) return { text: say("no longer offered"), tone: "warn" };
  if (known?.price) return { text: priceWords(known.price), tone: "cost" };
  return { ...shown(known?.text ?? ""), tone: known?.text ? "cost" : "" };
}

const noKey = (platform) => ({ text: say("no API key"), tone: "bad", platform });

/** What each platform of a family asks; those without a key are left out, as the node does. */
function choicesBadge({ platforms }, choices) {
  const ready = choices.filter(({ platform }) => platforms[platform]?.ready);
  if (!ready.length) return noKey(choices[0]?.platform);
  const priced = ready.map(({ platform, price }) => {
    const { label } = platforms[platform];
    return price ? say("{label}: about {cost}", { label, cost: money(price) }) : say("{label}: unknown", { label });
  });
  const known = ready.some(({ price }) => price);
  return { text: known ? priced.join(" \u00b7 ") : "", tone: known ? "cost" : "" };
}

const MOST = 60; // characters of a platform's own words

const shown = (text) => (text.length > MOST ? { text: `${text.slice(0, MOST)}...`, whole: text } : { text });

function priceWords(price) {
  const cost = money(price);
  if (price.origin === "own") return say("about {cost} a task, by your prices", { cost });
  if (price.origin === "told") return say("about {cost} a task, by the price list", { cost });
  if (price.tasks === 1) return say("about {cost} a task, from your last one", { cost });
  return say("about {cost} a task, from your last {count}", { cost, count: price.tasks });
}
