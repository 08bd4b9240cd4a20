// The sections of the page, each one custom setting of ComfyUI's dialog.
import { button, el, icon } from "../jobs/elements.js";
import { act } from "../server.js";
import { say } from "../words.js";
import { refreshModels, reloadForms } from "../models.js";
import { banner, keyField, keysSection, stateLine, testButton } from "./keys.js";
import { servicesList } from "./notify.js";
import { permissionRow } from "./permission.js";
import { removeButton } from "./remove.js";
import { serversSection } from "./servers.js";
import { busy, choiceRow, message, switchRow, textRow } from "./rows.js";
import { follow, load } from "./setup.js";
import { roomWords } from "./words.js";

/** An element for ComfyUI's dialog that asks for what is set as it is drawn. */
export function section(content) {
  const told = message();
  const element = el("div.settings", {}, told.element, content());
  load().catch((error) => told.tell(error.message, "bad"));
  return element;
}

export const keys = () => keysSection();

export const servers = () => serversSection();

export const practice = () =>
  el(
    "div",
    {},
    banner(),
    switchRow({
      name: "sandbox",
      label: say("Use the sandbox"),
      hint: say("Imitated platforms on this machine answer: no account, no cost, no real pictures."),
      after: reloadForms,
    }),
  );

export const tasks = () =>
  el(
    "div",
    {},
    textRow({ name: "max_parallel", kind: "number", label: say("Parallel tasks"), hint: say("of one platform at the same time; auto: as many as it takes") }),
    textRow({ name: "most_per_task", kind: "number", label: say("Results of a task"), hint: say("at most, where a model states no maximum; more are refused before anything is sent") }),
    textRow({
      name: "confirm_above",
      label: say("Confirm above"),
      hint: say("asks before it queues what costs more: 5 CNY, 100 credits; 0 asks for every task; empty never"),
    }),
    switchRow({ name: "reuse_results", label: say("Reuse results"), hint: say("An equal task is delivered from the disk and not paid again.") }),
    switchRow({ name: "head_start", label: say("Head start"), hint: say("Tasks of queued workflows begin at once where their inputs are known, not one workflow after another.") }),
    textRow({
      name: "results_dir",
      label: say("Results folder"),
      hint: say("full path; empty is a folder of ComfyUI's output"),
      placeholder: (told) => told?.results ?? "",
    }),
    textRow({
      name: "results_url",
      label: say("Results of batches"),
      hint: say("of skyport batch: full path of a folder, or s3://bucket/folder; empty is in the results folder"),
    }),
    textRow({ name: "time_limit_s", kind: "number", label: say("Time limit"), hint: say("seconds to wait for one task; empty waits as long as it runs") }),
    textRow({ name: "patience_s", kind: "number", label: say("Patience"), hint: say("seconds without any answer of the platform after which a node stops waiting; the task goes on") }),
    ...LIMITS.map((field) => textRow({ name: field.name, label: field.words(), hint: field.about() })),
    textRow({ name: "max_result_mb", kind: "number", label: say("Largest result"), hint: say("MB; a larger file is not fetched") }),
    textRow({ name: "keep_days", kind: "number", label: say("Keep jobs"), hint: say("days for which the list of jobs remembers what is over") }),
    switchRow({ name: "keep_graphs", label: say("Keep graphs"), hint: say("The graph of each job can be opened again; its texts are kept on this machine, keys are not.") }),
  );

export const notices = () =>
  el(
    "div",
    { "data-notices": "" },
    el("p.hint", {}, say("When something ends or needs you while no page of ComfyUI is visible:")),
    permissionRow(),
    servicesList(),
    textRow({ name: "notify_after_s", kind: "number", label: say("Notify after"), hint: say("seconds that a task, or its queue, must have taken") }),
    switchRow({ name: "notify_prompts", label: say("Prompts in notices"), hint: say("services outside see them then") }),
  );

export const editor = () =>
  el(
    "div",
    {},
    choiceRow({
      name: "language",
      label: say("Language of Skyport"),
      options: () => [
        ["", say("that of ComfyUI")],
        ["en", "English"],
        ["zh", "\u4e2d\u6587"],
      ],
      after: reloadForms,
    }),
    textRow({
      name: "allowed_hosts",
      label: say("Names of this ComfyUI"),
      hint: say("behind a proxy or tunnel, such as comfy.example.com, *.example.com; any other name is refused then"),
    }),
  );

const LIMITS = [
  { name: "limit_tasks_per_queue", words: () => say("Tasks of a queue"), about: () => say("at most, such as 20, or 20, gpugeek=5 to limit one platform too; person=5 limits each who shares a ledger; more are refused before anything is sent") },
  { name: "limit_tasks_per_day", words: () => say("Tasks of a day"), about: () => say("at most, in local time; empty is no limit") },
  { name: "limit_cost_per_day", words: () => say("Cost of a day"), about: () => say("at most, such as 10 CNY, happyhorse=3 USD; without a unit it holds for every unit by itself") },
  { name: "limit_cost_per_month", words: () => say("Cost of a month"), about: () => say("at most; tasks of unknown price are not counted") },
];

export function media() {
  const told = message();
  const state = stateLine();
  const parts = [
    { field: "access", label: say("Access key id") },
    { field: "secret", label: say("Secret access key") },
  ];
  const key = keyField(parts, "s3", told.tell);
  const remove = removeButton("s3", "S3", told.tell);
  const test = testButton("s3", told.tell);
  const line = el("div.line", {}, state.dot, el("strong", {}, say("Keys of S3")), state.words);
  const card = el("section.card", { "data-platform": "s3" }, line, el("div.line", {}, key.element, test, remove), told.element);
  follow(card, ({ s3, settings }) => {
    state.show(s3, s3.test);
    test.hidden = !settings.s3_bucket.value;
    remove.hidden = s3.source !== "file";
    key.element.hidden = s3.source === "environment";
  });
  return el(
    "div",
    {},
    choiceRow({
      name: "media_host",
      label: say("Media host"),
      hint: say("where files are put for a platform that takes no uploads"),
      options: (all) => all.media_hosts.map((name) => [name, hostWord(name, all)]),
    }),
    choiceRow({
      name: "happyhorse_media",
      label: say("Media of HappyHorse"),
      hint: say("inside the request needs no media host; unverified"),
      options: () => [
        ["url", say("by URL")],
        ["inline", say("inside the request")],
      ],
    }),
    textRow({
      name: "allowed_folders",
      label: say("Folders to upload from"),
      hint: say("full paths, separated as in PATH; a workflow may take along files outside ComfyUI's folders only from here"),
    }),
    card,
    ...S3_FIELDS.map((field) => textRow({ ...field, label: field.words(), hint: field.about?.() })),
  );
}

function hostWord(name, told) {
  if (name === "auto") return say("the first one set up");
  if (name === "s3") return "S3";
  return told.platforms.find((one) => one.name === name)?.label ?? name;
}

const S3_FIELDS = [
  { name: "s3_bucket", words: () => say("Bucket of S3") },
  { name: "s3_endpoint", words: () => say("Address of S3"), about: () => say("empty is AWS") },
  { name: "s3_region", words: () => say("Region of S3") },
  { name: "s3_prefix", words: () => say("Folder in the bucket") },
  { name: "s3_hours", kind: "number", words: () => say("Hours a link serves") },
];

export function models() {
  const told = message();
  const refresh = button(say("Refresh models"), "refresh", () =>
    busy(refresh, told.tell, async () => {
      const { lines, ok } = await refreshModels();
      return [lines.join("\n"), ok ? "good" : "bad"];
    }),
  );
  return el(
    "div",
    {},
    el("div.line", {}, refresh, el("span.hint", {}, say("New models are in the forms at once; what you typed stays."))),
    told.element,
    textRow({ name: "catalogue_hours", kind: "number", label: say("Refresh by itself"), hint: say("when the list is older than this many hours, at ComfyUI's start") }),
    clusters(),
  );
}

function clusters() {
  const element = el("div.cards");
  let drawn = "";
  follow(element, (told) => {
    const named = told.platforms.filter((one) => one.has_clusters);
    const names = named.map((one) => one.name).join();
    if (names !== drawn) element.replaceChildren(...named.map(clusterCard));
    drawn = names;
  });
  return element;
}

function clusterCard({ name, label }) {
  const told = message();
  const list = el("ul.clusters");
  const show = button(say("Show room"), "server", () =>
    busy(show, told.tell, async () => {
      const found = (await act("setup/clusters", { platform: name })).clusters;
      list.replaceChildren(...found.map(clusterLine));
      return found.length ? undefined : [say("No cluster is active right now.")];
    }),
  );
  const title = el("strong", {}, say("Clusters of {label}", { label }));
  return el("section.card", { "data-clusters": name }, el("div.line", {}, title, show), list, told.element);
}

function clusterLine(cluster) {
  const used = cluster.most ? Math.min(1, cluster.running / cluster.most) : 0;
  const bar = el("span.room", { hidden: cluster.most === null }, el("span.used", { style: `width: ${Math.round(used * 100)}%` }));
  return el("li", {}, icon("server"), el("span.name", {}, cluster.label), bar, el("span.hint", {}, roomWords(cluster)));
}
