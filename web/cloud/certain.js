// What of the server's answer is certain, where other packs add links only when a prompt is queued. Pure.

/** The answer without the troubles that a link may mend, if one `mayCome`: the server judges them when it is queued. */
export function certain(split, mayCome) {
  if (!mayCome || !split.unlinked?.length) return split;
  const troubles = Object.entries(split.troubles).filter(([id]) => !split.unlinked.includes(id));
  return { ...split, troubles: Object.fromEntries(troubles) };
}

/** Whether the function `name` of `owner` is not the one that `owner` was made with; wrappers of ours, which
 * have the wrapped function as `skyport`, do not count. */
export function isPatched(owner, name) {
  let current = owner[name];
  while (current?.skyport) current = current.skyport;
  return current !== Object.getPrototypeOf(owner)[name];
}
