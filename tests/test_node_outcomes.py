"""Pins what stays on a node after its run: result, cost, warnings, what goes on at the platform,
and never a word of an earlier run; on the stand-in and in ComfyUI.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from _clock import LONG, Clock
from _waiting import until
from host import Host, Run, graph, link, node
from sandboxes import environment
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    env = environment(sandbox, "gpugeek", "happyhorse", "opencomputing")
    return {**env, "SKYPORT_HAPPYHORSE_MEDIA": "inline"}


@pytest.fixture
def workflow() -> str:
    """The id of a workflow of its own."""
    return str(uuid.uuid4())


def image(words: str, seed: int = 1) -> dict[str, Any]:
    values = {"model": "wan2.2-t2i-plus", "model.negative_prompt": ""}
    return node("SkyportOpenComputingTextToImage", values, prompt=words, seed=seed)


def remote(words: str) -> dict[str, Any]:
    size = {"width": 32, "height": 32, "batch_size": 1, "color": 0}
    saved = {"images": ["8", 0], "filename_prefix": words}
    text = {
        "8": {"class_type": "EmptyImage", "inputs": size},
        "9": {"class_type": "SaveImage", "inputs": saved},
    }
    values = {"workflow_id": str(WORKFLOW_ID), "workflow": json.dumps(text)}
    return node("SkyportGpugeekRunWorkflow", values, seed=1)


def extend(words: str) -> dict[str, Any]:
    form = {"resolution": "720P", "prompt_extend": "default", "watermark": "default", "duration": 5}
    values = {"model": "wan2.7-i2v", "video": link("clip")}
    values |= {f"model.{name}": value for name, value in form.items()}
    return node("SkyportHappyHorseExtendVideo", values, prompt=words, seed=1)


def prompt_of(cloud_node: dict[str, Any], name: str = "run") -> dict[str, Any]:
    return graph(**{name: cloud_node, "seen": node("ProbeSink", value=link(name))})


def of(workflow: str) -> dict[str, Any]:
    return {"extra_data": {"extra_pnginfo": {"workflow": {"id": workflow}}}}


def run(host: Host, prompt: dict[str, Any], workflow: str) -> Run:
    return host.run(prompt, **of(workflow))


def outcomes(host: Host, workflow: str) -> dict[str, Any]:
    """By node."""
    answer = host.route("GET", "/skyport/outcomes", params={"workflow": workflow})
    assert answer.status_code == 200, answer.text
    return {one["node"]: one for one in answer.json()["outcomes"]}


def said(host: Host, workflow: str, name: str = "run") -> tuple[str, str, list[str]]:
    one = outcomes(host, workflow).get(name, {"tone": "", "text": "", "notes": []})
    return one["tone"], one["text"], one["notes"]


def test_a_node_keeps_what_its_run_cost_and_the_number_of_its_job(cloud: Host, workflow: str):
    assert run(cloud, prompt_of(remote("kept")), workflow).status == "success"
    one = outcomes(cloud, workflow)["run"]
    assert (one["tone"], one["text"]) == ("good", "done \u00b7 0.11 CNY")
    job = cloud.route("GET", f"/skyport/jobs/{one['job']}").json()["brief"]
    assert (one["marks"], job["state"]) == ([job["mark"]], "delivered")


def test_an_order_that_was_paid_for_before_is_told_as_reused(cloud: Host, workflow: str):
    other = str(uuid.uuid4())
    assert run(cloud, prompt_of(remote("again")), other).status == "success"
    # Another node id: ComfyUI holds no output of it.
    first = prompt_of(remote("again"), "twin")
    first["extra"] = node("ProbeSink", value=link("twin"))
    cloud.run(graph(nothing=node("ProbeSink", value="forget what is cached")))
    assert run(cloud, first, workflow).status == "success"
    tone, text, _ = said(cloud, workflow, "twin")
    assert (tone, text) == ("good", "done \u00b7 reused, no charge")
    assert said(cloud, other)[1] == "done \u00b7 0.11 CNY"


def test_a_run_that_takes_what_comfyui_still_has_is_told_as_such(cloud: Host, workflow: str):
    prompt = prompt_of(remote("unchanged"))
    run(cloud, prompt, workflow)
    run(cloud, prompt, workflow)
    assert said(cloud, workflow)[:2] == ("good", "unchanged, not run again, no charge")


def test_what_comfyui_still_has_of_another_workflow_is_told_too(cloud: Host, workflow: str):
    prompt = prompt_of(remote("unchanged elsewhere"))
    run(cloud, prompt, str(uuid.uuid4()))
    run(cloud, prompt, workflow)
    assert said(cloud, workflow)[:2] == ("good", "unchanged, not run again, no charge")
    assert [*outcomes(cloud, workflow)] == ["run"]


def test_a_word_of_an_earlier_run_is_gone_when_a_later_one_did_not_come_to_the_node(
    cloud: Host, workflow: str
):
    run(cloud, prompt_of(remote("stale")), workflow)
    later = prompt_of(remote("stale"))
    later["run"]["inputs"]["workflow"] = link("fails", 4)
    later["fails"] = node("SkyportLoadResult", job="no such job")
    assert run(cloud, later, workflow).status == "error"
    assert [*outcomes(cloud, workflow)] == ["fails"]
    assert said(cloud, workflow, "fails")[1] == 'failed: There is no job "no such job".'


def test_what_a_run_warned_of_stays_on_the_node_and_is_told_with_its_job(
    cloud: Host, workflow: str
):
    prompt = prompt_of(extend("too short"))
    prompt["clip"] = node("ProbeVideo", seconds=1.0, width=320, height=320)
    assert run(cloud, prompt, workflow).status == "success"
    one = outcomes(cloud, workflow)["run"]
    [note] = one["notes"]
    assert (one["tone"], "at least 2" in note) == ("warn", True)
    told = cloud.route("GET", f"/skyport/jobs/{one['job']}").json()
    assert told["warnings"] == [note]
    run(cloud, prompt, workflow)
    assert said(cloud, workflow) == ("warn", "unchanged, not run again, no charge", [note])


def test_a_failure_stays_with_the_first_words_of_its_reason(cloud: Host, workflow: str):
    assert run(cloud, prompt_of(image("[[fail:the sky fell]]")), workflow).status == "error"
    tone, text, notes = said(cloud, workflow)
    assert (tone, notes) == ("bad", [])
    assert text.startswith("failed: ")
    assert "the sky fell" in text


def test_after_an_interrupt_the_node_says_that_the_task_goes_on_and_what_became_of_it(
    cloud: Host, clock: Clock, workflow: str, sandbox: Sandbox
):
    handle = cloud.start(prompt_of(image(f"{LONG} left")), **of(workflow))
    handle.wait_for_text("run", "running")
    assert outcomes(cloud, workflow) == {}  # while it runs its progress is enough
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    going = ("warn", "goes on at OpenComputing, may be charged", [])
    until(lambda: said(cloud, workflow) == going)
    assert outcomes(cloud, workflow)["run"]["open"]
    clock.forward()
    text = "the result is here: queue again to take it, no charge"
    until(lambda: said(cloud, workflow) == ("warn", text, []))


def test_a_task_that_goes_on_is_told_as_taken_up_once_another_workflow_waits_for_it(
    cloud: Host, clock: Clock, workflow: str
):
    prompt, other = prompt_of(image(f"{LONG} taken up")), str(uuid.uuid4())
    handle = cloud.start(prompt, **of(workflow))
    handle.wait_for_text("run", "running")
    cloud.interrupt()
    handle.result()
    later = cloud.start(prompt, **of(other))
    later.wait_for_text("run", "running")
    assert said(cloud, workflow) == ("warn", "taken up by a later queue", [])
    clock.forward()
    assert later.result().status == "success"
    assert said(cloud, workflow) == ("warn", "taken up by a later queue", [])
    assert said(cloud, other)[0] == "good"


def test_what_the_platform_could_cancel_is_told_as_cancelled(
    cloud: Host, clock: Clock, workflow: str
):
    handle = cloud.start(prompt_of(remote(f"{LONG} cancelled")), **of(workflow))
    handle.wait_for_text("run", "queued")
    cloud.interrupt()
    handle.result()
    until(lambda: said(cloud, workflow) == ("warn", "cancelled", []))


@pytest.mark.parametrize("named", [False, True], ids=["whatever runs", "this prompt"])
def test_an_interrupt_that_a_local_node_sees_first_cancels_the_task_too(
    cloud: Host, clock: Clock, workflow: str, named: bool
):
    """It takes ComfyUI's flag away, and the node in the cloud is cancelled as if it had failed."""
    prompt, sampling = prompt_of(remote(f"{LONG} sampler {named}")), f"sampler of {workflow}"
    prompt["go"] = node("ProbeGate", gate=workflow)
    prompt["sampler"] = node("ProbeSampler", place=sampling, value=link("go"))
    handle = cloud.start(prompt, **of(workflow))
    handle.wait_for_text("run", "queued")
    cloud.open_gate(workflow)
    until(lambda: cloud.at_gate(sampling))
    about = {"prompt_id": handle.prompt_id} if named else {}
    cloud.client.post("/interrupt", about).raise_for_status()
    assert handle.result().status == "interrupted"
    until(lambda: said(cloud, workflow) == ("warn", "cancelled", []))


def test_a_node_whose_neighbour_fails_says_that_its_task_goes_on(
    cloud: Host, clock: Clock, workflow: str
):
    prompt = prompt_of(image(f"{LONG} beside a failure"))
    prompt["fails"] = node("ProbeFailAsync", gate=workflow)
    handle = cloud.start(prompt, **of(workflow))
    handle.wait_for_text("run", "running")
    cloud.open_gate(workflow)
    assert handle.result().status == "error"
    until(lambda: said(cloud, workflow)[1] == "goes on at OpenComputing, may be charged")
    clock.forward()


def test_a_list_is_one_line_with_the_sum_of_its_costs(cloud: Host, workflow: str):
    prompt = prompt_of(remote("list"))
    texts = [remote(words)["inputs"]["workflow"] for words in ("one", "two", "three")]
    prompt["run"]["inputs"]["workflow"] = link("lines")
    prompt["lines"] = node("ProbeList", lines="\n".join(texts))
    assert run(cloud, prompt, workflow).status == "success"
    text = "done \u00b7 3 items \u00b7 0.33 CNY"
    assert said(cloud, workflow)[:2] == ("good", text)


def test_each_page_is_told_of_the_workflow_in_which_something_ended(cloud: Host, workflow: str):
    ended = run(cloud, prompt_of(remote("told")), workflow)
    assert {"workflow": workflow} in ended.named("skyport.outcome")


def test_a_prompt_without_a_workflow_of_the_editor_is_nowhere(cloud: Host):
    assert cloud.run(prompt_of(remote("api"))).status == "success"
    assert outcomes(cloud, "") == {}
