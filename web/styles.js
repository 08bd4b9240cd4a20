// Adds our style sheets to the editor's page, each once and in the order in which they are named.
const added = new Set();

/** The sheet of a page, after the one that all pages share. */
export function addStyles(page) {
  for (const name of ["shared.css", page]) {
    if (added.has(name)) continue;
    added.add(name);
    const href = new URL(`./${name}`, import.meta.url).href;
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
  }
}
