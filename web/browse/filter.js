// Which models are shown for what a person asks. Pure: models are those of the route.

export const ALL = "*"; // of a filter: "" is the platform of nodes over several platforms
export const NONE = "none"; // takes no media

/** A filter that lets every model pass; `node` is the class that must offer it, "" for any. */
export const anything = () => ({ text: "", task: ALL, platform: ALL, media: ALL, node: "" });

/** The models that match, those first whose name has the words, then those whose platform is ready. */
export function matching(models, wanted, ready = () => true) {
  const words = folded(wanted.text).split(/\s+/).filter(Boolean);
  const found = models.filter((model) => fits(model, wanted) && words.every((word) => wordsOf(model).includes(word)));
  const rank = (model) => 2 * nameRank(folded(model.label), words) + (ready(model) ? 0 : 1);
  const ranked = found.map((model) => [rank(model), model]);
  return ranked.sort(([one], [other]) => one - other).map(([, model]) => model);
}

function fits(model, { task, platform, media, node }) {
  if (node && model.node !== node && !isSharedBy(model, node)) return false;
  if (task !== ALL && model.task !== task) return false;
  if (platform !== ALL && model.platform !== platform) return false;
  if (media === NONE) return !model.takes.some(({ required }) => required);
  return media === ALL || model.takes.some(({ kind }) => kind === media);
}

/** Models of types without a node of their own stand on every node of their platform. */
const isSharedBy = (model, node) => (model.nodes ?? []).includes(node);

function nameRank(name, words) {
  if (!words.length || name.startsWith(words.join(" "))) return 0;
  return words.every((word) => name.includes(word)) ? 1 : 2;
}

const index = new WeakMap(); // model -> its words, folded once

function wordsOf(model) {
  if (!index.has(model)) index.set(model, folded(model.words));
  return index.get(model);
}

const folded = (text) => text.normalize("NFKC").toLowerCase().trim();
