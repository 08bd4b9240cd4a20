// Another model is chosen: its form has the values and links that it had before, and those of the same
// name that were chosen since. The editor has made the new form by then, and cut what it does not have.
import { besides, fits, left, namesOf, nothing, recalled, same, takes } from "./memory.js";
import { showNames } from "./names.js";
import { choicesOf, inputsOf } from "./refit.js";
import { connect, originsOf } from "./sockets.js";
import { KEPT, isGone } from "./values.js";

/** The name in a node's properties under which the forms that are not shown are saved. */
export const FORMS = "skyport_forms";

const shown = new WeakMap(); // node -> [Form]
const chained = new WeakSet(); // the objects whose events come here

/** Follow the choices of `node` from what it holds now; `file` is what it was configured with. */
export function watch(node, file) {
  const before = shown.get(node) ?? [];
  const memoryOf = (name) => (file ? savedIn(file, node, name) : before.find((form) => form.name === name));
  shown.set(node, choicesOf(node).map((name) => new Form(node, name, memoryOf(name))).filter(({ choice }) => choice));
  chain(node, "onConnectionsChange", () => noteLinks(node));
}

/** See what is linked now; to be called once all links of a graph are there. */
export const noteLinks = (node) => formsOf(node).forEach((form) => form.noteLinks());

/** What a file is to keep: nothing while nothing was chosen in another form. */
export function savedForms(node) {
  const saved = formsOf(node).filter((form) => form.hasOthers()).map((form) => [form.name, form.saved()]);
  return saved.length ? { [FORMS]: { node: node.id, ...Object.fromEntries(saved) } } : {};
}

const formsOf = (node) => shown.get(node) ?? [];

/** The links are those of the node itself: a copy of it has another id, or is in no graph yet. */
function savedIn(file, node, name) {
  const kept = file.properties?.[FORMS];
  return { values: kept?.[name]?.values, links: node.graph && String(kept?.node) === String(node.id) ? kept[name]?.links : undefined };
}

/** The form below one choice of a node, and the memory of those that it had before. */
class Form {
  constructor(node, name, { values = nothing(), links = nothing() } = {}) {
    Object.assign(this, { node, name, values, links });
    this.choice = node.widgets?.find((widget) => widget.name === name);
    if (this.choice) this.appear(defaultsOf(node, name, this.choice.value), {});
  }

  appear(startValues, startLinks) {
    const { node, choice } = this;
    const removed = isGone(choice) ? this.bare(Object.entries(node.properties?.[KEPT] ?? {})) : {};
    Object.assign(this, { key: choice.value, startValues, startLinks, removed, isLeaving: false });
    this.noteLinks();
    showNames(node, this.name, formOf(node, this.name, this.key));
    const current = () => formsOf(node).find(({ name }) => name === this.name);
    chain(choice, "callback", () => current()?.change());
    for (const widget of this.nested()) chain(widget, "onRemove", () => current()?.remove(widget));
  }

  isShown() {
    return formsOf(this.node).includes(this);
  }

  /** The editor takes a widget away: the choice has changed, and says so at once or, set by a script, never. */
  remove({ name, value }) {
    if (!this.isLeaving) queueMicrotask(() => this.isShown() && this.change());
    this.isLeaving = true;
    this.removed[name.slice(this.name.length + 1)] = value;
  }

  noteLinks() {
    if (!this.isLeaving && this.choice.value === this.key) this.linked = this.currentLinks();
  }

  change() {
    if (!this.isLeaving && this.choice.value === this.key) return;
    this.values = left(this.values, this.key, this.startValues, this.removed);
    this.links = left(this.links, this.key, this.startLinks, this.linked);
    this.key = this.choice.value;
    for (const widget of this.nested()) this.restoreValue(widget);
    this.restoreLinks();
    this.appear(this.currentValues(), this.currentLinks());
    // Growing lists are tidied up in the next frame, by the positions of the form that is gone.
    requestAnimationFrame(() => requestAnimationFrame(() => this.isShown() && this.restoreLinks()));
  }

  restoreValue(widget) {
    const bare = widget.name.slice(this.name.length + 1);
    const value = recalled(this.values, this.key, bare, (one) => fits(widget, one), (one) => takes(widget, one));
    if (value !== undefined && !same(value, widget.value)) widget.value = value;
  }

  restoreLinks() {
    const { node } = this;
    for (const bare of namesOf(this.links, this.key)) {
      const origin = recalled(this.links, this.key, bare);
      const slot = node.inputs.findIndex(({ name }) => name === `${this.name}.${bare}`);
      const isThere = origin && typeOf(node, origin) === origin.type;
      if (slot >= 0 && isThere && !node.isInputConnected(slot)) connect(node, slot, origin);
    }
    node.setSize?.([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
  }

  nested() {
    return this.node.widgets.filter(({ name }) => name.startsWith(`${this.name}.`));
  }

  bare(entries) {
    const below = entries.filter(([name]) => name.startsWith(`${this.name}.`));
    return Object.fromEntries(below.map(([name, value]) => [name.slice(this.name.length + 1), value]));
  }

  currentValues() {
    return this.bare(this.nested().map(({ name, value }) => [name, value]));
  }

  currentLinks() {
    const { node } = this;
    const links = Object.entries(originsOf(node));
    return this.bare(links.map(([name, origin]) => [name, { ...origin, type: typeOf(node, origin) }]));
  }

  hasOthers() {
    return [this.values, this.links].some(({ forms }) => Object.keys(forms).some((key) => key !== this.key));
  }

  saved() {
    this.noteLinks();
    const now = isGone(this.choice) ? this.removed : this.currentValues();
    return {
      values: besides(left(this.values, this.key, this.startValues, now), this.key),
      links: besides(left(this.links, this.key, this.startLinks, this.linked), this.key),
    };
  }
}

/** {name: [type, about]} of the inputs that the form of `key` has. */
function formOf(node, name, key) {
  const { inputs } = inputsOf(node)[name]?.[1]?.options?.find((option) => option.key === key) ?? {};
  return { ...inputs?.required, ...inputs?.optional };
}

/** The values that the form of `key` begins with. */
const defaultsOf = (...form) => Object.fromEntries(Object.entries(formOf(...form)).map(([bare, [, about]]) => [bare, about?.default]));

const typeOf = (node, { origin_id }) => node.graph?.getNodeById?.(origin_id)?.type;

/** Have `object` do `action` at its `event` too, before its own answer: that of a removal ends its value. */
function chain(object, event, action) {
  if (chained.has(object)) return;
  chained.add(object);
  const own = object[event];
  object[event] = function (...about) {
    if (event !== "onRemove") own?.apply(this, about);
    action();
    if (event === "onRemove") own?.apply(this, about);
  };
}
