// Which rows of a long list are drawn and which are asked for. Pure arithmetic.

export const ROW = 76; // pixels: every row is as high as the others
const SPARE = 6; // rows drawn above and below what is seen
const PAGE = 100; // rows asked for at once, more where the user has leapt ahead
const MOST = 1000;

/** The rows to draw: from `from` up to, not including, `to`. */
export function windowOf(scrolled, height, count) {
  const first = Math.floor(Math.max(0, scrolled) / ROW);
  const last = Math.ceil((Math.max(0, scrolled) + height) / ROW);
  const from = Math.max(0, Math.min(first - SPARE, count));
  return { from, to: Math.max(from, Math.min(count, last + SPARE)) };
}

/** How many rows to ask for so that row `to` - 1 can be drawn; 0 where it is here or there are no more. */
export function missing(to, loaded, total) {
  if (loaded >= total || to + PAGE / 2 <= loaded) return 0;
  return Math.min(MOST, Math.max(PAGE, to + PAGE / 2 - loaded));
}

/** Where to scroll so that row `index` is fully visible; `scrolled` if it already is. */
export function reveal(index, scrolled, height) {
  const top = index * ROW;
  if (top < scrolled) return top;
  return top + ROW > scrolled + height ? top + ROW - height : scrolled;
}

/** The row that a key leads to from row `at` (-1: none yet); null where the key is none of the list's. */
export function stepped(key, at, count, height) {
  const screen = Math.max(1, Math.floor(height / ROW) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: screen, PageUp: -screen };
  if (!count || !(key in steps || key === "Home" || key === "End")) return null;
  const to = key === "Home" ? 0 : key === "End" ? count - 1 : at + steps[key];
  return Math.max(0, Math.min(count - 1, to));
}
