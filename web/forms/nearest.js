// Which choice comes nearest to one that is gone. Pure.

/** The number that is next to `value`, else the option that has most pairs of letters with it; undefined for none. */
export function nearest(value, options) {
  const scored = options.filter((one) => one !== "custom").map((one) => [likeness(String(value), String(one)), one]);
  return scored.reduce((best, one) => (!best || one[0] > best[0] ? one : best), null)?.[1];
}

function likeness(one, other) {
  if (isNumber(one) && isNumber(other)) return 1 / (1 + Math.abs(one - other));
  const [left, right] = [pairs(one), pairs(other)];
  const shared = left.filter((pair) => {
    const at = right.indexOf(pair);
    if (at >= 0) right.splice(at, 1);
    return at >= 0;
  });
  return (2 * shared.length) / (left.length + shared.length + right.length || 1);
}

function pairs(text) {
  const letters = [...text.toLowerCase()];
  return letters.slice(1).map((letter, at) => letters[at] + letter);
}

const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));
