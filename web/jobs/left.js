// Offers graphs that were queued when ComfyUI ended: to queue them again, or to forget them.
import { api } from "../../../scripts/api.js";
import { act, ask } from "../server.js";
import { confirmed } from "../spend/confirm.js";
import { say } from "../words.js";
import { button, el } from "./elements.js";

export class Left {
  constructor(tell) {
    this.tell = tell;
    this.element = el("div.left", { role: "status", hidden: true });
  }

  async renew() {
    if (this.isBusy) return;
    try {
      const { prompts } = await ask("queue/left");
      this.#show(prompts.map(({ id }) => id));
    } catch {
      this.element.hidden = true; // the list itself says what is wrong
    }
  }

  #show(ids) {
    this.element.hidden = !ids.length;
    if (!ids.length || String(ids) === this.shown) return;
    this.shown = String(ids);
    const words = ids.length > 1 ? say("These {count} queued graphs did not run.", { count: ids.length }) : say("One queued graph did not run.");
    this.element.replaceChildren(
      el("p.warn", {}, words),
      el("p", {}, say("ComfyUI ended before. What had begun is waited for, and nothing is paid twice.")),
      el(
        "div.actions",
        {},
        button(say("Queue again"), "replay", () => this.#busy(() => this.#queueAll(ids))),
        button(say("Forget"), "times", () => this.#busy(() => act("queue/left/close", { ids }))),
      ),
    );
  }

  async #busy(work) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.element.hidden = true;
    try {
      await work();
    } catch (error) {
      this.tell("error", error.message);
    }
    this.isBusy = false;
    this.shown = "";
    await this.renew();
  }

  async #queueAll(ids) {
    const found = await act("queue/left/estimate", { ids }).catch(unknown);
    if (found.confirm && !(await confirmed(found))) return;
    let queued = 0;
    for (const id of ids) queued += (await queueLeft(id)) ? 1 : 0;
    this.tell("success", say("{count} graphs are queued again.", { count: queued }));
  }
}

/** An estimate that could not be made: the person decides. */
const unknown = ({ message }) => ({ confirm: true, error: message, items: [] });

/** Queue one that was left; false where another page was faster. */
async function queueLeft(id) {
  const { graph, prompt_id } = await act("queue/left/take", { id });
  if (!graph) return false;
  try {
    if (!graph.whole) throw new Error(say("A queued graph held a key, which is not kept: open it by one of its jobs."));
    const { prompt: output, targets } = graph;
    const workflow = { ...graph.workflow, skyport_prompt_id: prompt_id }; // Skyport takes the id out again
    await api.queuePrompt(0, { output, workflow }, targets ? { partialExecutionTargets: targets } : undefined);
  } catch (error) {
    await act("queue/left/return", { ids: [id] });
    throw error;
  }
  await act("queue/left/close", { ids: [id] });
  return true;
}
