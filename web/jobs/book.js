// The jobs that the page knows: rows of the ledger, newest first, and what is on its way. No I/O.

export const UNDER_WAY = ["intent", "submitted", "running", "detached"];
export const GROUPS = {
  "": [],
  active: UNDER_WAY,
  done: ["succeeded", "delivered"],
  unresolved: ["unresolved"],
  failed: ["failed"],
  cancelled: ["cancelled"],
  unknown: ["unknown"],
};

export const isUnderWay = (row) => UNDER_WAY.includes(row.state);
export const isUnresolved = (row) => row.state === "unresolved";
/** Whether its order is sent again only after a person has said so. */
export const blocks = (row) => isUnresolved(row) || row.state === "unknown";
const mayMove = (row) => isUnderWay(row) || isUnresolved(row);
export const hasResult = (row) => GROUPS.done.includes(row.state);

export class Book {
  /** filter: {group: a key of GROUPS, platform, text}, "" for all. */
  constructor(filter = {}) {
    this.filter = { group: "", platform: "", text: "", ...filter };
    this.rows = [];
    this.total = 0;
    this.live = new Map(); // by the order's mark; of a thousand, the first
    this.running = 0;
  }

  /** The query that asks the server for this filter. */
  get query() {
    const { group, platform, text } = this.filter;
    return { state: GROUPS[group], platform, text };
  }

  /** The newest page: it holds for all rows down to its last; older rows that were loaded stay. */
  takeHead({ jobs, live, running, total }, now) {
    const oldest = total > jobs.length ? jobs.at(-1)?.job ?? 0 : 0;
    this.rows = [...jobs, ...this.rows.filter((row) => row.job < oldest)];
    this.total = total;
    this.takeLive(live, now, running);
  }

  /** A page that follows what is loaded. */
  takeNext({ jobs, live, running }, limit, now) {
    const last = this.rows.at(-1)?.job ?? Infinity;
    this.rows.push(...jobs.filter((row) => row.job < last));
    if (jobs.length < limit) this.total = this.rows.length;
    this.takeLive(live, now, running);
  }

  takeLive(live, now, running = live.length) {
    this.running = running;
    this.live = new Map(live.map((one) => [one.mark, { ...one, at: now }]));
  }

  /** An event. True where only the server can tell what the list is now. */
  hear({ live, running, rows }, now) {
    this.takeLive(live, now, running);
    return rows.map((row) => this.#hearRow(row)).some(Boolean);
  }

  #hearRow(row) {
    const place = this.rows.findIndex((one) => one.job <= row.job);
    if (place >= 0 && this.rows[place].job === row.job) {
      this.#renew(place, row);
      return false;
    }
    if (!this.#fits(row)) return false;
    if (this.filter.text) return true;
    if (place < 0 && this.rows.length < this.total) return false; // comes with its page
    this.rows.splice(place < 0 ? this.rows.length : place, 0, row);
    this.total += 1;
    return false;
  }

  #renew(place, row) {
    if (this.#fits(row)) {
      this.rows[place] = row;
      return;
    }
    this.rows.splice(place, 1);
    this.total -= 1;
  }

  #fits(row) {
    const { group, platform } = this.filter;
    return (!group || GROUPS[group].includes(row.state)) && (!platform || platform === row.platform);
  }

  /** What is seen of a row on its way, if this ComfyUI carries it. */
  liveOf(row) {
    return mayMove(row) ? this.live.get(row.mark) : undefined;
  }

  /** Jobs on their way that the ledger does not hold yet: nothing is submitted. */
  get early() {
    const { group, platform, text } = this.filter;
    if (group && group !== "active") return [];
    const kept = new Set(this.rows.filter(mayMove).map((row) => row.mark));
    return [...this.live.values()].filter(
      (one) =>
        !one.task &&
        one.stage !== "done" &&
        !kept.has(one.mark) &&
        (!platform || platform === one.platform) &&
        one.title.toLowerCase().includes(text.toLowerCase()),
    );
  }

  /** The list: [{key, row, live}], and how long it is with what is not loaded. */
  items() {
    const early = this.early.map((live) => ({ key: live.mark, row: null, live }));
    const rows = this.rows.map((row) => ({ key: row.job, row, live: this.liveOf(row) }));
    return { items: [...early, ...rows], count: early.length + Math.max(this.total, rows.length) };
  }
}
