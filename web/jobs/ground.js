// Free ground for a new node. Pure: boxes are [x, y, width, height], in units of the graph.

const GAP = 30; // between two nodes

/** The corner nearest to `wanted` at which a node of that size covers none of `boxes`. */
export function freeCorner(wanted, size, boxes) {
  const [xs, ys] = [0, 1].map((axis) => [wanted[axis], ...boxes.flatMap((box) => [box[axis] - size[axis] - GAP, box[axis] + box[axis + 2] + GAP])]);
  const corners = xs.flatMap((x) => ys.map((y) => [x, y])).sort((one, other) => far(one, wanted) - far(other, wanted));
  return corners.find((corner) => !boxes.some((box) => overlap([...corner, ...size], box)));
}

const far = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);

const overlap = (one, other) =>
  [0, 1].every((axis) => one[axis] < other[axis] + other[axis + 2] + GAP / 2 && other[axis] < one[axis] + one[axis + 2] + GAP / 2);
