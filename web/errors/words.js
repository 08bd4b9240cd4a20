// Recognises our errors in the editor's reports, and their texts. Pure.

// A key or an address that the settings page can mend.
const MENDABLE = ["MissingKey", "AuthRejected"];
const OF_SERVERS = ["InvalidInput", "TransportError"]; // that the list of ComfyUI servers can mend, too
const LIMIT = /\blimit_(tasks|cost)_per_\w+/; // a setting; the text of a limit that is reached names it

/** {text, settings, setting} of an execution_error of one of our nodes, else null; `settings`: the page
 * helps, at the row of `setting` where that is not "". */
export function wordsOf(detail) {
  if (!detail?.node_type?.startsWith("Skyport")) return null;
  const kind = String(detail.exception_type ?? "").split(".").pop();
  const text = String(detail.exception_message ?? "").trim();
  const setting = LIMIT.exec(text)?.[0] ?? "";
  const ofServer = OF_SERVERS.includes(kind) && /^ComfyUI( \(|:)/.test(text);
  const settings = MENDABLE.includes(kind) || ofServer || /_BASE_URL\b/.test(text) || setting !== "";
  return { text: text || kind, settings, setting };
}

/** Whether the key or the address is not set: practice mode needs neither. */
export const isNotSetUp = (detail) =>
  /MissingKey$/.test(detail.exception_type) ||
  (/InvalidInput$/.test(detail.exception_type) && /_BASE_URL\b/.test(detail.exception_message));

/** The platform, or "s3", whose error begins with its name, else that of the node; "" for none. */
export function platformNamed(detail, text, platforms) {
  if (text.startsWith("S3:")) return "s3";
  const speaks = ({ label }) => text.startsWith(`${label}:`) || text.startsWith(`${label} `);
  const owns = ({ name }) => detail.node_type.toLowerCase().startsWith(`skyport${name}`);
  return (platforms.find(speaks) ?? platforms.find(owns))?.name ?? "";
}

/** Whether the platform has refused because the account is empty. */
export const isOutOfCredit = (detail) => String(detail.exception_type).endsWith("OutOfCredit");

/** The page for payments of the platform whose error begins with its name, "" where none is known. */
export function topUpPage(text, platforms) {
  return platforms.find(({ label }) => text.startsWith(`${label}:`) || text.startsWith(`${label} `))?.top_up ?? "";
}

/** "warn" where somebody has cancelled the task, which is no failure; else "bad". */
export const toneOf = (detail) => (String(detail.exception_type).endsWith("TaskCancelled") ? "warn" : "bad");
