// Where in a graph a node is that ComfyUI knows by its id. Pure.

/** {node, graph} of an id such as "7", or "3:7": node 7 in the subgraph of node 3. */
export function findNode(graph, id) {
  let node = null;
  let within = null;
  for (const part of String(id).split(":")) {
    within = within ? node?.subgraph : graph;
    node = within?.getNodeById?.(Number(part)) ?? within?.getNodeById?.(part) ?? null;
    if (!node) return null;
  }
  return { node, graph: within };
}

/** Whether a node of this type may have run a job of that platform: another graph has the same ids. */
export function ranIt(type, platform) {
  const kind = String(type).toLowerCase();
  return kind.startsWith(`skyport${platform}`) || kind === "skyportrunincloud";
}
