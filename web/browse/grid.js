// Which cards of a long grid are drawn, and where a key leads. Pure arithmetic; lengths in pixels.

export const ROW = 124; // from one row of cards to the next
export const GAP = 8;
const CARD = 360; // the least width of a card, where there is so much
const SPARE = 2; // rows drawn above and below what is seen

export const columnsOf = (width) => Math.max(1, Math.floor((width + GAP) / (CARD + GAP)));

export const rowsOf = (count, columns) => Math.ceil(count / columns);

/** The cards to draw: from `from` up to, not including, `to`. */
export function windowOf(scrolled, height, count, columns) {
  const first = Math.floor(Math.max(0, scrolled) / ROW) - SPARE;
  const last = Math.ceil((Math.max(0, scrolled) + height) / ROW) + SPARE;
  const from = Math.min(Math.max(0, first) * columns, count);
  return { from, to: Math.max(from, Math.min(count, last * columns)) };
}

/** Where to scroll so that card `at` is fully visible; `scrolled` if it already is. */
export function reveal(at, columns, scrolled, height) {
  const top = Math.floor(at / columns) * ROW;
  if (top < scrolled) return top;
  return top + ROW > scrolled + height ? top + ROW - height : scrolled;
}

/** The card that a key leads to from card `at` (-1: none yet); null where the key is none of the grid's. */
export function stepped(key, at, count, columns, height) {
  const screen = Math.max(1, Math.floor(height / ROW) - 1) * columns;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: screen, PageUp: -screen };
  if (!count || !(key in steps || key === "Home" || key === "End")) return null;
  if (at < 0) return key === "End" ? count - 1 : 0;
  const to = key === "Home" ? 0 : key === "End" ? count - 1 : at + steps[key];
  if (key === "ArrowUp" && to < 0) return at;
  return Math.max(0, Math.min(count - 1, to));
}
