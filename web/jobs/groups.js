// Jobs that one queue has ordered stand together, below a line that sums them up. Pure.

/** The items with those of each queue together where its newest stands, below {key, group: {prompt, items, open}}.
 * folded: the queues whose jobs are not shown. A job that was alone in its queue stands alone. */
export function grouped(items, folded) {
  const queues = new Map();
  for (const item of items) {
    const prompt = promptOf(item) || item.key;
    if (!queues.has(prompt)) queues.set(prompt, []);
    queues.get(prompt).push(item);
  }
  return [...queues].flatMap(([prompt, members]) => (members.length > 1 ? withHead(prompt, members, !folded.has(prompt)) : members));
}

const promptOf = ({ row, live }) => (row ?? live).prompt ?? "";

function withHead(prompt, items, open) {
  const head = { key: `queue-${prompt}`, group: { prompt, items, open } };
  return open ? [head, ...items.map((item) => ({ ...item, within: prompt }))] : [head];
}

/** [{unit, cost}] of what the jobs have cost so far: units are never added up. */
export function costsOf(items) {
  const sums = new Map();
  for (const { row, live } of items) {
    const { cost, unit = "" } = row?.cost != null ? row : (live ?? {});
    if (cost != null) sums.set(unit, (sums.get(unit) ?? 0) + cost);
  }
  return [...sums].map(([unit, cost]) => ({ unit, cost }));
}

/** [[state, how many jobs]], in the order of the first of each; those not submitted yet count as "intent". */
export function statesOf(items) {
  const counts = new Map();
  for (const { row } of items) counts.set(row?.state ?? "intent", (counts.get(row?.state ?? "intent") ?? 0) + 1);
  return [...counts];
}

/** The share of the jobs that have ended, with what is known of those under way; null where none is under way. */
export function shareOf(items, isUnderWay) {
  const shares = items.map(({ row, live }) => (live ? live.share : row && isUnderWay(row) ? 0 : 1));
  const moves = items.some(({ row, live }) => live || (row && isUnderWay(row)));
  return moves ? shares.reduce((sum, share) => sum + share, 0) / shares.length : null;
}
