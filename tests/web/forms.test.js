// Pins what forms keep by name, what is told of a key, a cost and an error: the logic without an editor.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toneOf, wordsOf } from "../../web/errors/words.js";
import { badgeOf } from "../../web/forms/badge.js";
import { besides, fits, left, namesOf, nothing, recalled, takes } from "../../web/forms/memory.js";
import { showNames } from "../../web/forms/names.js";
import { choicesOf, refit } from "../../web/forms/refit.js";
import { offered } from "../../web/forms/suggested.js";
import { isGone, refitted, remembered, valuesOf } from "../../web/forms/values.js";
import { fixedWords, keyWords, refreshedWords, roomWords, valueOf } from "../../web/settings/words.js";
import { follow } from "../../web/words.js";

follow(() => "en");
const widget = (name, value, more = {}) => ({ name, value, ...more });
const node = (...widgets) => ({ widgets });

test("values are those that a workflow keeps, by name and in order", () => {
  const form = node(widget("prompt", "a"), widget("upload", 1, { serialize: false }), widget("seed", 7), widget("$$text", "x"));
  assert.deepEqual(Object.entries(valuesOf(form)), [["prompt", "a"], ["seed", 7]]);
});

test("positions are trusted while the form is the one it was saved with", () => {
  assert.equal(refitted(node(widget("prompt", "b"), widget("seed", 8)), { prompt: "a", seed: 7 }), null);
});

test("values go to their names where the form has changed; a new widget keeps its default", () => {
  const form = node(widget("prompt", ""), widget("seed", 0), widget("model", "m"), widget("model.new", "plain"), widget("model.mode", "std"));
  const kept = { prompt: "a", seed: 7, model: "m", "model.mode": "pro", "model.old": 1 };
  assert.deepEqual(refitted(form, kept).positions, ["a", 7, "m", "plain", "pro"]);
});

test("a widget that no file keeps takes no position", () => {
  const form = node(widget("a", 1), widget("button", 0, { serialize: false }), widget("$$text", "x"), widget("b", 2));
  assert.deepEqual(refitted(form, { b: 5 }).positions, [1, "x", 5]);
});

test("false, 0 and an empty text are values", () => {
  const form = node(widget("a", true), widget("b", 1), widget("c", "x"), widget("d", 1));
  assert.deepEqual(refitted(form, { a: false, b: 0, c: "" }).positions, [false, 0, "", 1]);
});

// -- what happens to a seed: editors call its widget by one of its choices, or control_after_generate -----

const CONTROLS = ["fixed", "increment", "decrement", "randomize"];
const seeded = (name, chosen) => node(widget("seed", 7), widget(name, chosen, { options: { values: CONTROLS } }), widget("model", "m"));

for (const [saved, opened] of [["fixed", "control_after_generate"], ["control_after_generate", "fixed"], ["randomize", "control_after_generate"]])
  test(`a control saved as ${saved} is the one called ${opened} here`, () => {
    assert.equal(refitted(seeded(opened, "fixed"), { seed: 1, [saved]: "randomize", model: "m" }), null);
    const found = refitted(seeded(opened, "fixed"), { seed: 1, [saved]: "randomize", model: "m", "model.old": 1 });
    assert.deepEqual(found.positions, [1, "randomize", "m"]);
    assert.deepEqual(found.named, { seed: 1, [opened]: "randomize", model: "m" });
  });

test("a control is kept under one name, whatever this editor calls it", () => {
  const expected = { seed: 7, control_after_generate: "randomize", model: "m" };
  assert.deepEqual(valuesOf(seeded("fixed", "randomize")), expected);
  assert.deepEqual(remembered({ fixed: "fixed" }, valuesOf(seeded("control_after_generate", "randomize"))), expected);
});

test("a list that only has such a word among others is no control", () => {
  const form = node(widget("mode", "fixed", { options: { values: ["fixed", "free"] } }));
  assert.deepEqual(valuesOf(form), { mode: "fixed" });
});

test("a choice is gone when it holds what it does not offer", () => {
  const choice = (value) => ({ value, options: { values: ["a", "b"] } });
  assert.deepEqual([isGone(choice("c")), isGone(choice("a")), isGone(choice("")), isGone(undefined)], [true, false, false, false]);
});

test("what a missing model had is remembered, what was typed since goes before it", () => {
  assert.deepEqual(remembered({ prompt: "a", "model.mode": "pro" }, { prompt: "b" }), { prompt: "b", "model.mode": "pro" });
  assert.deepEqual(remembered(undefined, { prompt: "b" }), { prompt: "b" });
});

// -- a choice made anew --------------------------------------------------------------------------

const KIND = "COMFY_DYNAMICCOMBO_V3";
const option = (key, ...names) => ({ key, inputs: { required: Object.fromEntries(names.map((name) => [name, ["STRING", {}]])) } });

/** What the editor does: the choice begins with its first option, and brings along what that has. */
const app = {
  widgets: {
    [KIND](form, name, [, { options }]) {
      const made = { name, options: { values: options.map(({ key }) => key) }, held: undefined };
      const bring = (key) => {
        form.widgets = form.widgets.filter((one) => !one.name.startsWith(`${name}.`));
        const found = options.find((one) => one.key === key);
        for (const nested of Object.keys(found?.inputs.required ?? {})) form.widgets.push(widget(`${name}.${nested}`, ""));
      };
      Object.defineProperty(made, "value", {
        get: () => made.held,
        set: (key) => {
          made.held = key;
          bring(key);
        },
      });
      form.widgets.push(made);
      form.asked = options.map(({ key }) => key);
      made.value = options[0].key;
      return { widget: made };
    },
  },
};

class Form {
  size = [300, 200];
  widgets = [widget("prompt", "a"), widget("model", "m", { label: "Model" }), widget("model.mode", "pro"), widget("$$text", "x")];
  computeSize = () => [100, 100];
  setSize(size) {
    this.size = size;
  }
  static nodeData = { input: { required: { prompt: ["STRING", {}], model: [KIND, { options: [option("m", "mode"), option("n")] }] } } };
}

const offer = (...options) => ({ model: [KIND, { options }] });

test("a choice that is offered anew keeps what is chosen and typed, its place and its name", () => {
  const form = new Form();
  refit(form, offer(option("k"), option("m", "extra", "mode")), app);
  assert.deepEqual(form.widgets.map(({ name, value }) => [name, value]), [["prompt", "a"], ["model", "m"], ["model.extra", ""], ["model.mode", "pro"], ["$$text", "x"]]);
  assert.deepEqual(form.widgets[1].options.values, ["k", "m"]);
  assert.equal(form.widgets[1].label, "Model");
});

test("what is chosen comes first while it is made: another one would cut its links", () => {
  const form = new Form();
  refit(form, offer(option("k"), option("m", "mode")), app);
  assert.equal(form.asked[0], "m");
});

test("what is not offered any more stays as it is, and counts as gone", () => {
  const form = new Form();
  refit(form, offer(option("k")), app);
  assert.deepEqual(valuesOf(form), { prompt: "a", model: "m", "model.mode": "pro" });
  assert.ok(isGone(form.widgets[1]));
});

test("a missing model that is offered again has what its file held", () => {
  const form = new Form();
  form.widgets = [widget("prompt", "b"), widget("model", "lost", { options: { values: ["m", "n"] } })];
  form.properties = { skyport_values: { prompt: "a", model: "lost", "model.size": "4k" } };
  refit(form, offer(option("m", "mode"), option("lost", "size")), app);
  assert.deepEqual(valuesOf(form), { prompt: "b", model: "lost", "model.size": "4k" });
});

test("a form that has not changed is left alone, also the second time", () => {
  const form = new Form();
  const [, choice] = form.widgets;
  refit(form, offer(option("m", "mode"), option("n")), app);
  assert.equal(form.widgets[1], choice);
  refit(form, offer(option("m", "mode")), app);
  const [, second] = form.widgets;
  refit(form, offer(option("m", "mode")), app);
  assert.equal(form.widgets[1], second);
});

test("only choices that bring widgets along are of that kind", () => {
  assert.deepEqual(choicesOf(new Form()), ["model"]);
});

// -- another model, and back ----------------------------------------------------------------------

const visited = (...steps) => steps.reduce((memory, [key, start, now]) => left(memory, key, start, now), nothing());

test("a model that comes back has its values, whatever the other one has of its own", () => {
  const memory = visited(["a", { mode: "std", size: 1 }, { mode: "pro", size: 2 }], ["b", { extra: 0 }, { extra: 5 }]);
  assert.deepEqual(["mode", "size", "extra"].map((name) => recalled(memory, "a", name)), ["pro", 2, 5]);
  assert.equal(recalled(memory, "b", "extra"), 5);
});

test("what was chosen last moves along; what nobody touched does not", () => {
  const memory = visited(["a", { mode: "std", long: 8 }, { mode: "pro", long: 8 }]);
  assert.equal(recalled(memory, "b", "mode"), "pro");
  assert.equal(recalled(memory, "b", "long"), undefined);
  const back = left(memory, "b", { mode: "pro" }, { mode: "std" });
  assert.equal(recalled(back, "a", "mode"), "std");
});

test("what does not fit gives way to what the form had itself, and is not lost", () => {
  const memory = visited(["b", { long: 4 }, { long: 3 }], ["a", { long: 8 }, { long: 12 }]);
  const short = (value) => value <= 5;
  assert.equal(recalled(memory, "b", "long", short), 3);
  assert.equal(recalled(left(memory, "b", { long: 3 }, { long: 3 }), "a", "long"), 12);
});

test("a form that nobody touched takes no space, and one that is shown is in the file already", () => {
  assert.deepEqual(visited(["a", { long: 8 }, { long: 8 }]), nothing());
  const memory = visited(["a", { long: 8 }, { long: 9 }], ["b", { long: 9 }, { long: 7 }]);
  assert.deepEqual(besides(memory, "b"), { latest: { long: 7 }, forms: { a: { long: 9 } } });
});

test("a link that was removed does not come back", () => {
  const memory = visited(["a", {}, { image: { origin_id: 1 } }], ["b", { image: { origin_id: 1 } }, {}]);
  assert.equal(recalled(memory, "a", "image"), null);
});

test("the platforms of a family are its own", () => {
  assert.equal(recalled(visited(["a", { platforms: "x, y" }, { platforms: "x" }]), "b", "platforms"), undefined);
  assert.equal(recalled(visited(["a", { platforms: "x, y" }, { platforms: "x" }]), "a", "platforms"), "x");
});

test("slots of a growing list are linked in their order", () => {
  const links = { "images.image10": 1, "images.image2": 1 };
  assert.deepEqual(namesOf(visited(["a", {}, links]), "a"), ["images.image2", "images.image10"]);
});

for (const [held, options, value, expected] of [
  ["std", { values: ["std", "pro"] }, "pro", true],
  ["std", { values: ["std", "pro"] }, "ultra", false],
  [5, { min: 3, max: 15, precision: 0 }, 15, true],
  [5, { min: 3, max: 15, precision: 0 }, 16, false],
  [5, { min: 3, max: 15, precision: 0 }, 4.5, false],
  [0.5, { min: 0, max: 1, precision: 2 }, 0.25, true],
  [5, {}, "5", false],
  [false, {}, true, true],
  ["std", {}, "pro", true],
  ["1K", {}, "2K", true],
  ["1K", {}, "1536x1024", false],
  ["16:9", {}, "1024x1024", false],
  ["720p", {}, "1080P", false],
  ["", {}, "1024x1024", true],
  ["16:9", { values: ["16:9", "9:16", "Other..."], suggested: ["16:9", "9:16"] }, "9:16", true],
  ["16:9", { values: ["16:9", "9:16", "Other..."], suggested: ["16:9", "9:16"] }, "21:9", false],
])
  test(`${JSON.stringify(value)} ${expected ? "fits" : "does not fit"} where ${JSON.stringify(held)} stands ${JSON.stringify(options)}`, () => {
    assert.equal(fits({ value: held, options }, value), expected);
  });

test("a model has its own text back, whatever is suggested", () => {
  const field = { value: "16:9", options: { values: ["16:9", "Other..."], suggested: ["16:9"] } };
  const memory = visited(["a", { ratio: "16:9" }, { ratio: "5:4" }]);
  const recall = (key) => recalled(memory, key, "ratio", (one) => fits(field, one), (one) => takes(field, one));
  assert.deepEqual([recall("a"), recall("b")], ["5:4", undefined]);
});

test("a field with suggestions offers them, what it holds, and anything else", () => {
  assert.deepEqual(offered(["1K", "2K"], "1K"), ["1K", "2K", "Other..."]);
  assert.deepEqual(offered(["1K", "2K"], "3K"), ["1K", "2K", "3K", "Other..."]);
  assert.deepEqual(offered(["1K"], ""), ["1K", "Other..."]);
  assert.deepEqual(offered(["1K"], "Other..."), ["1K", "Other..."]);
});

test("fields are shown by the names that their platform gives them", () => {
  const form = node(widget("model", "m"), widget("model.mode", "std"), widget("model.size", "1K"), widget("mode", "x"));
  form.inputs = [{ name: "model.image", localized_name: "image" }, { name: "model.mode", widget: {} }];
  showNames(form, "model", { mode: ["COMBO", { display_name: "Mode (mode)" }], size: ["STRING", {}], image: ["IMAGE", { display_name: "First frame (image)" }] });
  assert.deepEqual(form.widgets.map(({ label }) => label), [undefined, "Mode (mode)", undefined, undefined]);
  assert.equal(form.inputs[0].localized_name, "First frame (image)");
});

// -- words ---------------------------------------------------------------------------------------

const price = (amount, origin, tasks) => ({ amount, lowest: amount, highest: amount, unit: "CNY", origin, tasks });
const FORMS = {
  platforms: {
    haiyi: { label: "HaiYi", ready: true },
    happyhorse: { label: "HappyHorse", ready: true },
    gpugeek: { label: "GPUGeek", ready: false },
  },
  nodes: {
    A: {
      platform: "haiyi",
      models: {
        dear: { retired: false, price: price(0.11234, "learnt", 5) },
        old: { retired: true, price: price(1, "learnt", 1) },
        free: { retired: false, price: price(0, "learnt", 1) },
        unitless: { retired: false, price: { ...price(0.2, "learnt", 3), unit: "" } },
        mine: { retired: false, price: price(0.5, "own", 0) },
        listed: { retired: false, price: { ...price(0.3, "told", 0), highest: 0.45 } },
        vague: { retired: false, price: null, text: "billed by use" },
        new: { retired: false, price: null, text: "" },
      },
    },
    B: { platform: "gpugeek", models: {} },
    Any: {
      platform: "",
      models: {
        kling: {
          choices: [
            { platform: "gpugeek", price: price(1, "told", 0) },
            { platform: "haiyi", price: price(0.5, "own", 0) },
            { platform: "happyhorse", price: null },
          ],
        },
        new: { choices: [{ platform: "haiyi", price: null }] },
        locked: { choices: [{ platform: "gpugeek", price: price(1, "told", 0) }] },
      },
    },
  },
};
const text = (...about) => badgeOf(FORMS, ...about).text;

test("a badge tells the usual cost, and first what is wrong", () => {
  assert.equal(text("A", "dear", false), "about 0.112 CNY a task, from your last 5");
  assert.equal(text("A", "free", false), "about 0 CNY a task, from your last one");
  assert.equal(text("A", "unitless", false), "about 0.2 a task, from your last 3");
  assert.equal(text("A", "mine", false), "about 0.5 CNY a task, by your prices");
  assert.equal(text("A", "listed", false), "about 0.3-0.45 CNY a task, by the price list");
  assert.equal(text("A", "vague", false), "billed by use");
  assert.equal(text("A", "old", false), "no longer offered");
  assert.equal(text("A", "dear", true), "model not offered");
  assert.equal(text("B", undefined, false), "no API key");
});

test("a family shows what each platform with a key asks", () => {
  assert.equal(text("Any", "kling", false), "HaiYi: about 0.5 CNY \u00b7 HappyHorse: unknown");
  assert.equal(text("Any", "new", false), "");
  assert.equal(text("Any", "locked", false), "no API key");
});

test("a badge without a key names the platform whose settings it leads to", () => {
  const platforms = [["B"], ["Any", "locked"], ["A", "dear"]].map((about) => badgeOf(FORMS, ...about).platform);
  assert.deepEqual(platforms, ["gpugeek", "gpugeek", undefined]);
});

test("nothing known is no badge", () => {
  assert.deepEqual([text("A", "new", false), text("A", "none", false), text("C", "x", false)], ["", "", ""]);
  assert.equal(badgeOf(null, "A", "dear", false).text, "");
});

test("a key is told by its end and its source, never more", () => {
  assert.equal(keyWords({ set: false }), "No key is set.");
  assert.equal(keyWords({ set: true, last4: "7Q4z", source: "file" }), "Set, ends in 7Q4z · from keys.json");
  assert.equal(keyWords({ set: true, last4: "", source: "environment", variable: "HAIYI_API_KEY" }), "Set · from HAIYI_API_KEY");
  assert.equal(keyWords({ set: false, trouble: "HAIYI_API_KEY: this cannot be a key" }), "HAIYI_API_KEY: this cannot be a key");
});

test("only what the environment sets is fixed", () => {
  assert.equal(fixedWords({ source: "environment", variable: "SKYPORT_SANDBOX" }), "Set by SKYPORT_SANDBOX: change it there.");
  assert.equal(fixedWords({ source: "file" }), "");
});

test("an empty field is the default, a number a number, and what is none is left to the server", () => {
  assert.deepEqual([valueOf("  ", "number"), valueOf(" 4 ", "number"), valueOf("four", "number"), valueOf(" /x ")], [null, 4, "four", "/x"]);
});

test("the room of a cluster that tells none is not made up", () => {
  assert.equal(roomWords({ room: 2, most: 5, running: 3 }), "2 free of 5");
  assert.equal(roomWords({ room: null, most: null, running: 3 }), "3 running");
});

test("a refresh tells what is new and what is gone", () => {
  const found = { models: 9, added: ["a"], retired: [], unread: ["b", "c"] };
  assert.equal(refreshedWords("HaiYi", found), "HaiYi: 9 models · 1 new · 2 could not be read");
});

test("errors of our nodes are told in full; those that the page mends lead there", () => {
  const detail = { node_type: "SkyportHaiyiUpload", exception_type: "skyport.providers._errors.MissingKey", exception_message: "HaiYi: no API key.\n" };
  assert.deepEqual(wordsOf(detail), { text: "HaiYi: no API key.", settings: true, setting: "" });
  const limit = { ...detail, exception_type: "a.LimitReached", exception_message: "raise it: as limit_tasks_per_day in settings.json, or as SKYPORT_LIMIT_TASKS_PER_DAY." };
  assert.deepEqual([wordsOf(limit).settings, wordsOf(limit).setting], [true, "limit_tasks_per_day"]);
  assert.equal(wordsOf({ ...detail, exception_type: "a.TaskFailed" }).settings, false);
  assert.equal(wordsOf({ ...detail, exception_type: "a.InvalidInput", exception_message: "set HAPPYHORSE_BASE_URL" }).settings, true);
  const ofServer = (type, text) => wordsOf({ ...detail, exception_type: `a.${type}`, exception_message: text }).settings;
  assert.ok(ofServer("TransportError", "ComfyUI (pc): no answer") && ofServer("InvalidInput", "ComfyUI: There is no server \"pc\"."));
  assert.ok(!ofServer("TransportError", "HaiYi: no answer") && !ofServer("TaskFailed", "ComfyUI (pc) task 7: out of memory"));
  assert.equal(wordsOf({ ...detail, node_type: "KSampler" }), null);
  assert.deepEqual(["a.TaskCancelled", "a.TaskFailed", undefined].map((exception_type) => toneOf({ ...detail, exception_type })), [
    "warn", "bad", "bad",
  ]);
});
