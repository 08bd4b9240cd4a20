// Shows or plays a result file. The browser is never given a path: ComfyUI's view, or our route.
import { addressOf, viewOf } from "../server.js";
import { say } from "../words.js";
import { el, icon } from "./elements.js";
import { sizeText } from "./format.js";

/** The file that is number `number` of job `job`, as a figure with its name and size. */
export function player(job, file, number) {
  const seen = file.view && file.kind !== "text";
  const src = seen ? viewOf(file.view) : addressOf(`jobs/${job}/files/${number}`);
  const gone = el("p.faint", { hidden: true }, say("{name} is not on this disk any more.", { name: file.name }));
  const onerror = (event) => {
    event.target.hidden = true;
    gone.hidden = false;
  };
  const media = { src, controls: true, preload: "metadata", "aria-label": file.name, onerror };
  const players = {
    image: () => el("img", { src, alt: file.name, onerror }),
    video: () => el("video", media),
    audio: () => el("audio", media),
  };
  const about = { href: src, target: "_blank", rel: "noopener", title: say("Open in a new tab") };
  const caption = el("figcaption", {}, el("a", about, icon("external-link"), file.name), sizeText(file.size));
  return el("figure.file", {}, players[file.kind]?.(), gone, caption);
}
