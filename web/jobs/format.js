// Numbers and states as words. Pure; the language is that of words.js.
import { language, say } from "../words.js";
import { isUnderWay } from "./book.js";
import { costsOf, shareOf, statesOf } from "./groups.js";

export const jobsWord = (count) => (count === 1 ? say("1 job") : say("{count} jobs", { count: count.toLocaleString() }));
export const tasksWord = (count) => (count === 1 ? say("1 task") : say("{count} tasks", { count }));

/** A time of the server's, in seconds, as a person writes it; "" for none. */
export const moment = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString(language() === "zh" ? "zh-CN" : undefined) : "");

/** Seconds as 1:05 or 2:00:09. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** How long ago, roughly. */
export function age(seconds) {
  if (seconds < 60) return say("just now");
  if (seconds < 3600) return say("{count} min ago", { count: Math.floor(seconds / 60) });
  if (seconds < 172800) return say("{count} h ago", { count: Math.floor(seconds / 3600) });
  return say("{count} days ago", { count: Math.floor(seconds / 86400) });
}

/** A number of the platform's own unit. */
export const amount = (cost) => String(Number(Number(cost).toPrecision(6)));

/** "0.11 CNY"; the number alone where the platform has told no unit. */
export const costWord = ({ cost, unit }) => `${amount(cost)} ${unit ?? ""}`.trim();

export function sizeText(bytes) {
  for (const [unit, scale] of [["GB", 1024 ** 3], ["MB", 1024 ** 2], ["KB", 1024]])
    if (bytes >= scale) return `${Number((bytes / scale).toFixed(1))} ${unit}`;
  return say("{count} bytes", { count: bytes });
}

const STATES = {
  intent: () => say("being submitted"),
  submitted: () => say("submitted"),
  running: () => say("running"),
  detached: () => say("in the background"),
  succeeded: () => say("ready"),
  delivered: () => say("done"),
  unresolved: () => say("unresolved"),
  failed: () => say("failed"),
  cancelled: () => say("cancelled"),
  unknown: () => say("outcome unknown"),
};

/** The state in words; a word of a newer version as it is. */
export const stateWord = (state) => STATES[state]?.() ?? state;

const TONES = {
  succeeded: "good",
  delivered: "good",
  unresolved: "warn",
  failed: "bad",
  unknown: "warn",
  cancelled: "quiet",
};

/** The colour of a state: good, bad, warn, quiet or busy. */
export const toneOf = (state) => TONES[state] ?? "busy";

export const GROUP_WORDS = {
  "": () => say("All states"),
  active: () => say("Under way"),
  done: () => say("With result"),
  unresolved: () => say("Unresolved"),
  failed: () => say("Failed"),
  cancelled: () => say("Cancelled"),
  unknown: () => say("Outcome unknown"),
};

// -- on its way ----------------------------------------------------------------------------------

const STAGES = {
  waiting: () => say("waiting for a free slot"),
  preparing: () => say("preparing"),
  uploading: () => say("uploading"),
  submitting: () => say("being submitted"),
  running: () => say("submitted"),
  downloading: () => say("downloading"),
  done: () => say("done"),
};
const STATUSES = { queued: () => say("queued"), running: () => say("running") };

/** What is seen of a job at `now` (ms): ["running 42 %", "KSampler", "0:37 of about 1:30", ...]. */
export function seenWords(live, now) {
  const words = [`${stageWord(live)}${share(live)}`];
  if (live.stage !== "running") return words;
  if (live.remote) words.push(live.remote_progress ? `${live.remote} ${percent(live.remote_progress)}` : live.remote);
  words.push(timeWord(live, now));
  const [place, length] = live.queue;
  if (place !== null) words.push(say("queue {place}", { place: length === null ? place : `${place}/${length}` }));
  if (live.cost !== null) words.push(costWord(live));
  if ((live.silent ?? null) !== null) words.push(say("no answer for {time}", { time: clock(since(live, live.silent, now)) }));
  return words;
}

function stageWord(live) {
  if (live.stage === "running" && live.status) return STATUSES[live.status]?.() ?? live.status;
  return STAGES[live.stage]?.() ?? live.stage;
}

function share(live) {
  if (live.stage === "running") return live.progress === null ? "" : ` ${percent(live.progress)}`;
  return live.total ? ` ${Math.floor((100 * live.moved) / live.total)} %` : "";
}

const percent = (part) => `${Math.round(part * 100)} %`;

/** What were `seconds` when the server told of `live`. */
const since = (live, seconds, now) => seconds + (now - live.at) / 1000;

function timeWord(live, now) {
  const time = clock(since(live, live.elapsed, now));
  return live.usual ? say("{time} of about {usual}", { time, usual: clock(live.usual) }) : time;
}

/** [[name, value]] of how long a job waited before it was sent, and how long the platform took. */
export function spanWords({ state, created, submitted, ended }) {
  const between = (from, to) => (from && to ? clock(to - from) : "");
  const isSettled = !["unresolved", "unknown"].includes(state);
  return [[say("Sent after"), between(created, submitted)], [say("Took"), isSettled ? between(submitted, ended) : ""]];
}

// -- jobs of one queue ----------------------------------------------------------------------------

/** [how many, their states, what they cost and how long they take, share] of the jobs of a queue at `now` (ms). */
export function headWords(items, now) {
  const made = Math.min(...items.map(({ row }) => row?.created ?? Infinity));
  const when = Number.isFinite(made) ? age(Date.now() / 1000 - made) : "";
  const states = statesOf(items).map(([state, count]) => `${count} ${stateWord(state)}`);
  const last = [...costsOf(items).map(costWord), leftWord(items, now)];
  return [[jobsWord(items.length), when].filter(Boolean).join(" · "), states.join(" · "), last.filter(Boolean).join(" · "), shareOf(items, isUnderWay)];
}

/** How long jobs under way still take, as far as that has been learnt. */
function leftWord(items, now) {
  const left = items.filter(({ live }) => live?.usual).map(({ live }) => live.usual - since(live, live.elapsed, now));
  return left.length && Math.max(...left) > 0 ? say("about {time} left", { time: clock(Math.max(...left)) }) : "";
}

// -- details and the last answer ------------------------------------------------------------------

const SHORT = 80; // characters of a detail beside its name

/** The details of a job: [[name, value]] that fit on a line, and those that are long, as reasoning is. */
export function splitDetails(details) {
  const fits = ([, value]) => value.length <= SHORT && !value.includes("\n");
  return { short: details.filter(fits), long: details.filter((one) => !fits(one)) };
}

/** An answer that was kept, on several lines; as it is where it was too long to be kept whole. */
export function laidOut(answer) {
  try {
    return JSON.stringify(JSON.parse(answer), null, 1);
  } catch {
    return answer;
  }
}

// -- sums ----------------------------------------------------------------------------------------

/** [{platform, tasks, cost, unit}] of all days, one a platform and unit: units have nothing in common. */
export function totals(spent) {
  const sums = new Map();
  for (const { platform, tasks, cost, unit = "" } of spent) {
    const sum = sums.get(`${platform} ${unit}`) ?? { tasks: 0, cost: 0 };
    sums.set(`${platform} ${unit}`, { platform, tasks: sum.tasks + tasks, cost: sum.cost + cost, ...(unit && { unit }) });
  }
  return [...sums.values()].sort((one, other) => one.platform.localeCompare(other.platform));
}
