// Follows the graph in the editor: asks once about each state of it, when it has been still for a while. Pure.

const PAUSE = 300; // ms without a change

/** `show(await ask())` whenever `read()`, a text for what matters of the graph, has become another one;
 * `show(null)` where it is "" or `ask` fails. Of answers that overtake each other only the latest is shown.
 * Gives {later, anew}: to look again after the pause, and to ask then though the text may be the same. */
export function watchGraph({ read, ask, show, pause = PAUSE }) {
  let timer = 0;
  let asked = 0;
  let known = null;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, pause);
  }

  function look() {
    const now = read();
    if (now === known) return;
    known = now;
    void renew(++asked);
  }

  async function renew(number) {
    const found = known ? await ask().catch(() => null) : null;
    if (number !== asked) return; // the graph has changed meanwhile
    if (known && !found) known = null; // with the next change it is asked again
    show(found);
  }

  function anew() {
    known = null;
    later();
  }

  return { later, anew };
}
