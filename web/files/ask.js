// The question whether files outside ComfyUI's folders may be uploaded.
import { button, el } from "../jobs/elements.js";
import { say } from "../words.js";

export const FILES = "files";
export const FOLDERS = "folders";

/** What the person allows: FILES until ComfyUI ends, FOLDERS for good, or "" for nothing. */
export function askAbout(files) {
  return new Promise((answer) => {
    const close = (value) => () => dialog.close(value);
    const dialog = el(
      "dialog.files",
      { "aria-label": say("Upload these files?") },
      el("h2", {}, say("Upload these files?")),
      el("p", {}, say("This workflow takes along files of this machine that are outside ComfyUI's folders:")),
      el("ul", {}, ...files.map((path) => el("li", {}, path))),
      el(
        "div.acts",
        {},
        button(say("Stop"), "times", close("")),
        button(files.length > 1 ? say("Always allow their folders") : say("Always allow its folder"), "folder", close(FOLDERS)),
        button(files.length > 1 ? say("Allow these files until ComfyUI ends") : say("Allow this file until ComfyUI ends"), "check", close(FILES)),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue); // "" too where Escape was pressed
    });
    dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the editor has meanings of its own for keys
    document.body.append(dialog);
    dialog.showModal();
  });
}
