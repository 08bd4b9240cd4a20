// Whether a file holds a workflow itself, which ComfyUI then opens. Pure.
const SEEN = 4 * 1024 * 1024; // bytes at each end: formats keep such texts there
const SIGNS = ["class_type", "last_link_id"];

export function holdsWorkflow(bytes) {
  const ends = bytes.length > 2 * SEEN ? [bytes.subarray(0, SEEN), bytes.subarray(-SEEN)] : [bytes];
  const texts = ends.map((part) => new TextDecoder("latin1").decode(part));
  return texts.some((text) => SIGNS.some((sign) => text.includes(sign)));
}
