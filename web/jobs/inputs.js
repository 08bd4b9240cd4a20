// What a platform was sent, as what a person reads: values, long texts and media. Pure.
import { laidOut, splitDetails } from "./format.js";

const MANY = 40; // fields of a part that is shown as a whole, as a workflow is

/** {short, long, media} of a request: [[name, text]], and [[name, SHA-256]] of its files. */
export function inputsOf(request) {
  const fields = leaves(request, "");
  const media = fields.filter(([, value]) => isFile(value)).map(([name, { sha256 }]) => [name, sha256]);
  const texts = fields.filter(([, value]) => !isFile(value)).map(([name, value]) => [name, textOf(value)]);
  return { ...splitDetails(texts), media };
}

const isTree = (value) => value !== null && typeof value === "object";
const isFile = (value) => isTree(value) && typeof value.sha256 === "string" && Object.keys(value).length === 1;

function leaves(value, name) {
  if (!isTree(value) || isFile(value)) return [[name, value]];
  const found = Object.entries(value).flatMap(([key, one]) => leaves(one, name ? `${name}.${key}` : key));
  if (name && isLarge(value, found)) return [[name, value], ...found.filter(([, one]) => isFile(one))];
  return found;
}

/** Whether its fields would be a page of their own: those of a workflow, however small it is. */
const isLarge = (value, fields) => fields.length > MANY || Object.values(value).some((one) => isTree(one) && "class_type" in one);

/** Texts as they are, laid out where they hold JSON. */
function textOf(value) {
  if (isTree(value)) return JSON.stringify(value, null, 1);
  if (typeof value !== "string") return String(value);
  return /^\s*[[{]/.test(value) ? laidOut(value) : value;
}
