// Recognises our errors in the editor's reports, and their texts. Pure.

// A key or an address that the settings page can mend.
const MENDABLE = ["MissingKey", "AuthRejected"];

/** {text, settings} of an execution_error of one of our nodes, else null; `settings`: the page helps. */
export function wordsOf(detail) {
  if (!detail?.node_type?.startsWith("Skyport")) return null;
  const kind = String(detail.exception_type ?? "").split(".").pop();
  const text = String(detail.exception_message ?? "").trim();
  return { text: text || kind, settings: MENDABLE.includes(kind) || /_BASE_URL\b/.test(text) };
}

/** "warn" where somebody has cancelled the task, which is no failure; else "bad". */
export const toneOf = (detail) => (String(detail.exception_type).endsWith("TaskCancelled") ? "warn" : "bad");
