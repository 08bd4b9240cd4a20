// What Run in Cloud needs to know of a graph in the editor. Pure: nodes are plain objects.
import { isControl } from "../forms/values.js";

export const RUN = "SkyportRunInCloud";
export const KEEP = "SkyportKeepLocal";
export const HERE = "this machine";

const MEDIA = ["IMAGE", "MASK", "VIDEO", "AUDIO"];
const VALUES = [...MEDIA, "STRING", "INT", "FLOAT", "BOOLEAN"];
const PASSING = [2, 4]; // muted and bypassed nodes never run

/** [id in a prompt, node] of every node; those in subgraphs have ids such as "12:5", after their subgraph. */
export function* everyNode(graph, above = "") {
  for (const node of graph?.nodes ?? []) {
    const id = `${above}${node.id}`;
    yield [id, node];
    if (node.subgraph) yield* everyNode(node.subgraph, `${id}:`);
  }
}

export const whereOf = (node) => node.widgets?.find((widget) => widget.name === "where");

/** Whether anything of this graph may run in a cloud. */
export function hasCloud(graph) {
  for (const [, node] of everyNode(graph)) if (node.type === RUN && isCloud(whereOf(node)?.value)) return true;
  return false;
}

const isCloud = (place) => Boolean(place) && place !== HERE;

/** The cloud to begin with: the first on offer that lacks nothing, else that has a key, else the first. */
export function firstCloud(places, platforms) {
  const clouds = places.filter(isCloud);
  const about = (label) => Object.values(platforms ?? {}).find((one) => one.label === label);
  const ready = clouds.filter((label) => about(label)?.ready);
  return ready.find((label) => about(label).at_once !== false) ?? ready[0] ?? clouds[0];
}

/** Whether anything takes a value of this node. */
export const leadsOn = (node) => Boolean(node.outputs?.some((_, slot) => node.isOutputConnected(slot)));

/** Whether all that it does is to save or show: newer savers have outputs, but nothing behind them would run. */
export const isLast = (node) => Boolean(node.constructor.nodeData?.output_node) && !leadsOn(node);

/** [[slot, name]] of the outputs behind which such a node can stand. What is ours stays here anyway. */
export function outputsFor(kind, node) {
  if (node.type?.startsWith("Skyport") || isLast(node)) return [];
  const taken = kind === RUN ? MEDIA : VALUES;
  return [...(node.outputs ?? []).entries()]
    .filter(([, output]) => taken.includes(output.type))
    .map(([slot, output]) => [slot, output.label || output.localized_name || output.name || output.type]);
}

/** A text that is equal as long as the same would run in the same places; looks may change. */
export function essence(workflow) {
  const graphs = [workflow, ...(workflow?.definitions?.subgraphs ?? [])];
  return JSON.stringify(graphs.map((graph) => [graph?.id, (graph?.nodes ?? []).map(essential), graph?.links]));
}

/** A text that is equal as long as a person has changed nothing; sizes and the like, nodes find by themselves. */
export function deed({ nodes, links, floatingLinks, reroutes, groups, definitions, subgraphs, extra }) {
  const known = { links, floatingLinks, reroutes, groups, definitions, subgraphs, extra: { ...extra, ds: null } };
  return JSON.stringify({ ...known, nodes: [...nodes].sort((one, other) => one.id - other.id) }, chosen);
}

const FOUND = ["size", "order"]; // by the editor

function chosen(key, value) {
  const isSlot = "link" in this || "links" in this;
  if (FOUND.includes(key) || (key === "type" && isSlot) || (key === "widgets_values" && !value?.length)) return undefined;
  const isRecord = value && typeof value === "object" && !Array.isArray(value);
  return isRecord ? Object.fromEntries(Object.entries(value).sort()) : value;
}

/** Whether it holds a node that may order something, or a part that runs in a cloud. */
export function mayCost(graph) {
  for (const [, node] of everyNode(graph))
    if (node.type?.startsWith("Skyport") && !FREE.test(node.type) && !PASSING.includes(node.mode)) return true;
  return false;
}

const FREE = /^Skyport(KeepLocal|RemoteInput|LoadResult|LoadRows)$|(Upload|Clusters)$/;

/** Whether a run changes a seed or the like, so that the next run of a batch is another order. */
export function varies(graph) {
  for (const [, node] of everyNode(graph))
    for (const widget of node.widgets ?? []) if (isControl(widget) && widget.value !== "fixed") return true;
  return false;
}

const essential = ({ id, type, mode, title, widgets_values }) => [id, type, PASSING.includes(mode), title, widgets_values];

const GAP = 40;

/** Where a box of that size is free beside `box` ([x, y, width, height]) and on no other. */
export function freePlace(box, size, others, title = 30) {
  const place = [box[0] + box[2] + GAP, box[1]];
  const covered = (other) =>
    place[0] < other[0] + other[2] && other[0] < place[0] + size[0] &&
    place[1] - title < other[1] + other[3] && other[1] - title < place[1] + size[1];
  for (let hit; (hit = others.find(covered)); ) place[1] = hit[1] + hit[3] + title + GAP / 2;
  return place;
}
