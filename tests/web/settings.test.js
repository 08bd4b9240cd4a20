// Pins the texts of the settings page and of the notices of errors.
import assert from "node:assert/strict";
import { test } from "node:test";
import { follow } from "../../web/words.js";
import { isNotSetUp, platformNamed } from "../../web/errors/words.js";
import { answerWords, asideWords, interfaceWords, keySentWords, testWords } from "../../web/settings/words.js";

follow(() => "en");
const PLATFORMS = [
  { name: "haiyi", label: "HaiYi" },
  { name: "happyhorse", label: "HappyHorse" },
];

test("the state of a test is one or two words", () => {
  const states = ["", "works", "refused", "unreachable", "failed"];
  assert.deepEqual(states.map(testWords), ["not tested", "works", "refused", "no answer", "test failed"]);
});

test("a server says of itself what its last test has seen, and no more", () => {
  const devices = [{ name: "cuda:0", vram_total: 24 * 1024 ** 3, vram_free: 20 * 1024 ** 3 }, { name: "cpu", vram_total: null, vram_free: null }];
  const test = { state: "works", version: "0.33.0", dialect: "native", queue: 2, devices };
  assert.equal(answerWords(test), "ComfyUI 0.33.0 · cuda:0: 20.0 of 24.0 GB free · cpu · 2 in its queue");
  assert.equal(answerWords({ ...test, version: "", devices: [] }), "2 in its queue");
  assert.deepEqual([answerWords(null), answerWords({ state: "refused", message: "Wrong key." })], ["", "Wrong key."]);
  assert.equal(interfaceWords({ dialect: "auto", test }), "native interface");
  assert.equal(interfaceWords({ dialect: "v2", test: null }), "Comfy API v2");
  assert.equal(interfaceWords({ dialect: "auto", test: null }), "");
  const key = { set: true, last4: "7Q4z" };
  assert.equal(keySentWords({ header: "none", key }), "");
  assert.equal(keySentWords({ header: "bearer", key }), "key ends in 7Q4z");
  assert.equal(keySentWords({ header: "bearer", key: { set: false, last4: "" } }), "No key is set.");
});

test("what becomes of a key is said before its address changes", () => {
  const url = "https://a.example";
  assert.match(asideWords({ set: true, aside: [] }, url), /only to this address.*put aside/);
  assert.equal(asideWords({ set: true, aside: [] }, ""), "");
  assert.match(asideWords({ set: false, aside: ["https://b.example"] }, url), /put aside for: https:\/\/b.example/);
});

test("practice mode is offered where the key or the address is missing", () => {
  const of = (exception_type, exception_message = "") => isNotSetUp({ exception_type, exception_message });
  assert.ok(of("skyport.engine.base.errors.MissingKey"));
  assert.ok(of("InvalidInput", "HappyHorse: no address is set. Set HAPPYHORSE_BASE_URL"));
  assert.ok(!of("InvalidInput", "prompt is empty"));
  assert.ok(!of("AuthRejected", "HAIYI_BASE_URL"));
});

test("an error leads to the card of the platform that it names, else of its node", () => {
  const of = (node_type, text) => platformNamed({ node_type }, text, PLATFORMS);
  assert.equal(of("SkyportAnyTextToImage", "HaiYi: no API key is set."), "haiyi");
  assert.equal(of("SkyportHappyHorseTextToVideo", "something"), "happyhorse");
  assert.equal(of("SkyportHappyHorseTextToVideo", "HaiYi: no API key is set."), "haiyi");
  assert.equal(of("SkyportHappyHorseTextToVideo", "S3: s3_bucket is not set."), "s3");
  assert.equal(of("SkyportRunInCloud", "something"), "");
});
