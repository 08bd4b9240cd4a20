// Gives any node a badge that can come and go, however the editor draws nodes.
import { app } from "../../../scripts/app.js";
import { makeBadge } from "../badges/make.js";

const COLOURS = { cloud: "#1d5a96", warn: "#8a5a00", bad: "#8f2f2c" };
const CLOUD = "\ue945"; // in the editor's icon font
const given = new WeakMap(); // prepared node -> the badge it was drawn with
let drawn = []; // weak references to prepared nodes
let shown = new Map(); // node -> {told, badge}
let none = null;

/** Once for each node, before it is drawn: where nodes are elements, a list of badges is read but once. */
export function prepare(node) {
  if (!window.LGraphBadge || !node.badges || given.has(node)) return;
  drawn.push(new WeakRef(node));
  none ??= new window.LGraphBadge({ text: "" }); // it is not drawn; without any badge the node would not be
  if (!node.badges.length) node.badges.push(() => none); // the first one is the editor's own
  node.badges.push(() => {
    void node.outputs?.length; // what is read here is watched: see `redraw`
    given.set(node, badgeOf(node));
    return given.get(node);
  });
  given.set(node, none);
}

/** Show these badges, {text, tone, reason} by node, and no others; `onClick(node, told)` where one is pressed. */
export function paint(badges, onClick) {
  const before = shown;
  shown = new Map([...badges].map(([node, told]) => {
    const old = before.get(node);
    return [node, old && same(old.told, told) ? old : { told, badge: made(node, told, onClick) }];
  }));
  drawn = drawn.filter((one) => one.deref());
  for (const node of drawn.map((one) => one.deref())) if (node && given.get(node) !== badgeOf(node)) redraw(node);
}

const badgeOf = (node) => shown.get(successor(node))?.badge ?? none;

const same = (one, other) => one.text === other.text && one.reason === other.reason;

/** The node that stands where `node` stood: undo makes new nodes, but not new elements. */
function successor(node) {
  const graph = app.canvas?.graph;
  const here = graph && node.graph?.id === graph.id;
  return (here && graph.getNodeById(node.id)) || node;
}

function made(node, told, onClick) {
  return makeBadge(node, {
    text: told.text,
    whole: told.whole,
    color: COLOURS[told.tone],
    cssIcon: "pi pi-cloud skyport-cloud", // see cloud.css
    iconOptions: { unicode: CLOUD, fontFamily: "PrimeIcons", color: "#fff", fontSize: 12 },
    onClick: told.reason ? () => onClick(node, told) : undefined,
  });
}

/** An element is drawn anew when something changes that its badges have read. */
function redraw(node) {
  node.outputs?.push(undefined);
  node.outputs?.pop();
}
