// What of the server's answer is certain, where other packs add links only when a prompt is queued. Pure.

/** The answer without the troubles that a link may mend, if one `mayCome`: the server judges them when it is queued. */
export function certain(split, mayCome) {
  if (!mayCome || !split.unlinked?.length) return split;
  const troubles = Object.entries(split.troubles).filter(([id]) => !split.unlinked.includes(id));
  return { ...split, troubles: Object.fromEntries(troubles) };
}
