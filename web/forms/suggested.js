// The values that a field with suggestions offers. Pure; the language is that of ../words.js.
import { say } from "../words.js";

/** What stands last in the list, and asks for any other text. */
export const other = () => say("Other...");

/** The list of a field that holds `value` now: also one that is no suggestion. */
export const offered = (suggested, value) => [...new Set([...suggested, ...(value ? [value] : [])])].filter((one) => one !== other()).concat(other());
