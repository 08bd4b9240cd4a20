// Offers graphs that were queued when ComfyUI ended: to queue them again, or to forget them.
import { api } from "../../../scripts/api.js";
import { act, ask } from "../server.js";
import { confirmed } from "../spend/confirm.js";
import { say } from "../words.js";
import { button, el } from "./elements.js";
import { moment } from "./format.js";

const refused = new Map(); // id -> why it could not be queued again

export class Left {
  constructor(tell) {
    this.tell = tell;
    this.element = el("div.left", { role: "status", hidden: true });
  }

  async renew() {
    if (this.isBusy) return;
    try {
      this.#show((await ask("queue/left")).prompts);
    } catch {
      this.element.hidden = true; // the list itself says what is wrong
    }
  }

  #show(prompts) {
    const ids = prompts.map(({ id }) => id);
    this.element.hidden = !ids.length;
    if (!ids.length || String(ids) === this.shown) return;
    this.shown = String(ids);
    const words = ids.length > 1 ? say("These {count} queued graphs did not run.", { count: ids.length }) : say("One queued graph did not run.");
    this.element.replaceChildren(
      el("p.warn", {}, words),
      el("p", {}, say("ComfyUI ended before. What had begun is waited for, and nothing is paid twice.")),
      ...ids.filter((id) => refused.has(id)).flatMap((id) => [el("p.bad", {}, refused.get(id)), el("div.actions", {}, this.#forget(say("Forget this one"), [id]))]),
      el(
        "div.actions",
        {},
        button(say("Queue again"), "replay", () => this.#busy(() => this.#queueAll(prompts))),
        this.#forget(say("Forget"), ids),
      ),
    );
  }

  #forget(name, ids) {
    return button(name, "times", () => this.#busy(() => act("queue/left/close", { ids })));
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

  async #queueAll(prompts) {
    const found = await act("queue/left/estimate", { ids: prompts.map(({ id }) => id) }).catch(unknown);
    if (found.confirm && !(await confirmed(found))) return;
    let queued = 0;
    for (const one of prompts) queued += (await queueLeft(one)) ? 1 : 0;
    const words = queued === 1 ? say("One graph is queued again.") : say("{count} graphs are queued again.", { count: queued });
    if (queued) this.tell("success", words);
  }
}

/** An estimate that could not be made: the person decides. */
const unknown = ({ message }) => ({ confirm: true, error: message, items: [] });

/** Queue one that was left; false where it is refused, or another page was faster. */
async function queueLeft({ id, created }) {
  const { graph, prompt_id } = await act("queue/left/take", { id });
  if (!graph) return false;
  try {
    await queue(graph, prompt_id);
  } catch (error) {
    refused.set(id, say("{name} ({time}): {reason}", { name: nameOf(graph), time: moment(created), reason: reasonOf(error) }));
    await act("queue/left/return", { ids: [id] });
    return false;
  }
  await act("queue/left/close", { ids: [id] });
  return true;
}

async function queue(graph, id) {
  if (!graph.whole) throw new Error(say("A queued graph held a key, which is not kept: open it by one of its jobs."));
  const { prompt: output, targets } = graph;
  const workflow = { ...graph.workflow, skyport_prompt_id: id }; // Skyport takes the id out again
  await api.queuePrompt(0, { output, workflow }, targets ? { partialExecutionTargets: targets } : undefined);
}

/** By its nodes of ours. */
function nameOf({ prompt }) {
  const ours = Object.values(prompt).filter(({ class_type }) => class_type?.startsWith("Skyport"));
  return ours.map(({ _meta, class_type }) => _meta?.title ?? class_type).join(", ");
}

/** In ComfyUI's words, which only the text of its own error has. */
const reasonOf = (error) => (error.response ? String(error) : error.message);
