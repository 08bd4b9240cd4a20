// Replaces functions of the editor by ours, such that they are not taken for another pack's. Pure.

/** Put `around(original)` in place of the function `name` of `owner`. */
export function wrap(owner, name, around) {
  const original = owner[name];
  owner[name] = Object.assign(around(original), { skyport: original });
}

/** Whether the function `name` of `owner` is not the one that `owner` was made with; what `wrap` put there
 * does not count. */
export function isPatched(owner, name) {
  let current = owner[name];
  while (current?.skyport) current = current.skyport;
  return current !== Object.getPrototypeOf(owner)[name];
}
