// Cuts the text of our badges on the canvas to the width of their node, as badges.css does where nodes are elements.
const GAP = 2; // px beside a badge, as the editor draws them
const nodes = new WeakMap(); // badge -> the node that it is on
const layouts = new WeakMap(); // node -> {frame, widths}
let Fitted = null;
let measuring = false;
let scratch = null;

/** A badge of `node`, made of what the editor's own is made of; its `text` stays whole. */
export function fittedBadge(node, about) {
  Fitted ??= fitted(window.LGraphBadge);
  const badge = new Fitted(about);
  nodes.set(badge, node);
  return badge;
}

const fitted = (Badge) => class extends Badge {
  getWidth(ctx) {
    return measuring ? 0 : whileCut(this, ctx, () => super.getWidth(ctx));
  }

  draw(ctx, x, y) {
    if (!measuring) whileCut(this, ctx, () => super.draw(ctx, x, y));
  }
};

function whileCut(badge, ctx, act) {
  const { text } = badge;
  try {
    cut(badge, widths(nodes.get(badge), ctx).get(badge) ?? Infinity, ctx);
    return act();
  } finally {
    badge.text = text;
  }
}

function cut(badge, most, ctx) {
  if (wholeWidth(badge, ctx) <= most) return;
  const letters = [...badge.text.replace(/\u2026$/, "")];
  const fits = (count) => {
    badge.text = `${letters.slice(0, count).join("").trimEnd()}\u2026`;
    return wholeWidth(badge, ctx) <= most;
  };
  let [least, end] = [0, letters.length];
  while (end - least > 1) {
    const middle = (least + end) >> 1;
    if (fits(middle)) least = middle;
    else end = middle;
  }
  fits(least);
}

const wholeWidth = (badge, ctx) => window.LGraphBadge.prototype.getWidth.call(badge, ctx);

/** px for each of our badges on `node`, found once a frame: what they need, or equal shares of what there is. */
function widths(node, ctx) {
  const frame = window.app?.canvas?.frame;
  const known = node && layouts.get(node);
  if (known && frame !== undefined && known.frame === frame) return known.widths;
  const found = node?.drawBadges ? shares(oursOn(node, ctx), room(node)) : new Map();
  if (node) layouts.set(node, { frame, widths: found });
  return found;
}

function oursOn(node, ctx) {
  const badges = node.badges.map((one) => (typeof one === "function" ? one() : one));
  return badges.filter((one) => nodes.get(one) === node && one.text).map((one) => [one, wholeWidth(one, ctx)]);
}

function shares(needed, room) {
  let left = room;
  return new Map(needed.sort(([, one], [, other]) => one - other).map(([badge, width], at) => {
    const share = Math.min(width, left / (needed.length - at));
    left -= share;
    return [badge, share];
  }));
}

/** px that are free beside the badges of others: newer editors have some of their own that only they know. */
function room(node) {
  let taken = GAP * node.badges.length;
  scratch ??= Object.assign(document.createElement("canvas").getContext("2d"), { fillText() {} });
  scratch.roundRect = (x, y, width) => { taken += width + GAP; };
  measuring = true;
  try {
    node.drawBadges(scratch);
  } finally {
    measuring = false;
  }
  return node.width - taken;
}
