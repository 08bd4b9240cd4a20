"""Pins what a graph author gets from servers of one's own, on the stand-in and in ComfyUI."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from _clock import LONG, Clock
from _waiting import until
from host import Host, graph, link, node
from sandboxes import environment, failed
from skyport.sandbox import Sandbox

serial = itertools.count(1)
OURS = {"X-Skyport": "1"}
NODE, RUN = "SkyportComfyuiRunWorkflow", "SkyportRunInCloud"


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "comfyui")


def workflow(words: str = "out", saver: str = "SaveImage") -> dict[str, Any]:
    """Loads a picture, inverts it, saves it."""
    prefix = {"filename_prefix": words} if saver == "SaveImage" else {}
    return {
        "73": {"class_type": "LoadImage", "inputs": {"image": "replaced.png"}},
        "8": {"class_type": "ImageInvert", "inputs": {"image": ["73", 0]}},
        "9": {"class_type": saver, "inputs": {"images": ["8", 0], **prefix}},
    }


def remote(prompt: Any = None, **inputs: Any) -> dict[str, Any]:
    """A picture of this graph, inverted there."""
    text = json.dumps(prompt or workflow())
    given = {"workflow": text, "server": "auto", "seed": next(serial), **inputs}
    return graph(
        picture=node("ProbeImage", seed=4, width=32, height=24),
        image=node("SkyportRemoteInput", value=link("picture"), target="73.image"),
        run=node(NODE, given, inputs=link("image")),
        mine=node("ProbeSink", value=link("picture")),
        seen=node("ProbeSink", value=link("run")),
    )


def refused_alone(host: Host, prompt: dict[str, Any], **more: Any) -> str:
    """The errors of a prompt that is refused: nothing else in it could run."""
    run = host.run({key: one for key, one in prompt.items() if key != "mine"}, **more)
    assert run.status == "refused", run
    return json.dumps(run.node_errors)


def submits(sandbox: Sandbox) -> list[Any]:
    return [seen.fields for seen in sandbox.log.of("POST", "/api/prompt")]


@pytest.mark.parametrize("saver", ["SaveImage", "PreviewImage"])
def test_a_workflow_gets_the_picture_it_was_given(
    cloud: Host, sandbox: Sandbox, saver: str
) -> None:
    run = cloud.run(remote(workflow(saver=saver)))
    assert run.status == "success", run.error
    (sent,) = submits(sandbox)
    name = sent["prompt"]["73"]["inputs"]["image"]
    assert name.startswith("skyport/")
    assert run.probe("seen")["shape"] == [1, 24, 32, 3]
    views = sandbox.log.of("GET", "/api/view")
    assert [seen.keyed for seen in views] == [True]


def test_a_server_that_is_gone_is_refused_when_queued_with_the_nearest_name(
    cloud: Host, sandbox: Sandbox
) -> None:
    refused = refused_alone(cloud, remote(server="defualt"))
    for words in ('no server \\"defualt', 'Did you mean \\"default', "auto, default"):
        assert words in refused
    assert submits(sandbox) == []


def test_a_server_that_was_renamed_and_any_in_practice_mode_pass_the_check(
    own_host: Host, sandbox: Sandbox
) -> None:
    url = sandbox.base_url("comfyui")
    entry = {"address": url, "header": "bearer", "formerly": ["old"]}
    (own_host.home / "servers.json").write_text(json.dumps({"new": entry}))
    (own_host.home / "keys.json").write_text(json.dumps({"comfyui:new": sandbox.key("comfyui")}))
    try:
        assert own_host.run(remote(server="old")).status == "success"
    finally:
        (own_host.home / "servers.json").unlink()
    own_host.route("POST", "/skyport/setup/settings", json={"sandbox": True}, headers=OURS)
    try:
        assert own_host.run(remote(server="anything")).status == "success"
    finally:
        own_host.route("POST", "/skyport/setup/settings", json={"sandbox": None}, headers=OURS)


def test_the_list_of_servers_is_offered(cloud: Host) -> None:
    about = cloud.object_info(NODE)["input"]["required"]["server"]
    assert about[1]["options"] == ["auto", "default"]
    assert about[1]["default"] == "auto"


def test_what_the_server_lacks_is_told_at_once_before_anything_is_sent(cloud: Host) -> None:
    prompt = workflow()
    scale = {"image": ["73", 0], "upscale_method": "best", "width": -1, "height": 8, "crop": "no"}
    prompt["8"] = {"class_type": "ImageScale", "inputs": scale}
    failed(cloud, remote(prompt), "InvalidInput", "upscale_method", "crop")


def test_interrupt_takes_the_task_out_of_the_servers_queue(cloud: Host, sandbox: Sandbox) -> None:
    handle = cloud.start(remote(workflow(LONG)))
    handle.wait_for_text("run", "ComfyUI")
    until(lambda: sandbox.log.of("POST", "/api/prompt"))
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    imitation: Any = sandbox.platforms["comfyui"]
    until(lambda: not imitation.queue.pending() and not imitation.queue.running())


def test_an_equal_order_runs_once(cloud: Host, sandbox: Sandbox) -> None:
    prompt = remote()
    assert cloud.run(prompt).status == "success"
    sent = len(submits(sandbox))
    again = {**prompt, "other": node("ProbeImage", seed=9, width=8, height=8)}
    assert cloud.run(again).status == "success"
    assert len(submits(sandbox)) == sent


# -- Run in Cloud ---------------------------------------------------------------------------------


def in_cloud(server: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A picture of this machine, inverted there, and what the editor adds."""
    prompt = graph(
        picture=node("ProbeImage", seed=5, width=16, height=12),
        kept=node("SkyportKeepLocal", value=link("picture")),
        turned=node("ImageInvert", image=link("kept")),
        there=node(RUN, {"where": "ComfyUI", "where.server": server}, value=link("turned")),
        mine=node("ProbeSink", value=link("picture")),
        seen=node("ProbeSink", value=link("there")),
    )
    nodes = [
        {"id": key, "type": one["class_type"], "outputs": [{"type": "IMAGE"}]}
        for key, one in prompt.items()
    ]
    editor = {"extra_pnginfo": {"workflow": {"nodes": nodes, "links": []}}}
    return prompt, {"extra_data": editor}


@pytest.mark.parametrize("server", ["auto", "default"])
def test_a_part_of_a_graph_runs_there(cloud: Host, sandbox: Sandbox, server: str) -> None:
    prompt, more = in_cloud(server)
    run = cloud.run(prompt, **more)
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["shape"] == [1, 12, 16, 3]
    (sent,) = submits(sandbox)
    assert "ImageInvert" in {one["class_type"] for one in sent["prompt"].values()}


PRIMITIVES = {
    "STRING": ("PrimitiveStringMultiline", "Harbour, dawn\n- 7 boats"),
    "INT": ("PrimitiveInt", -7),
    "FLOAT": ("PrimitiveFloat", 0.25),
    "BOOLEAN": ("PrimitiveBoolean", False),
}


def editor(kinds: dict[str, str]) -> dict[str, Any]:
    """The types of first outputs by node, as the editor queues them along."""
    nodes = [{"id": k, "outputs": [{"type": kind}]} for k, kind in kinds.items()]
    return {"extra_pnginfo": {"workflow": {"nodes": nodes, "links": []}}}


def made_there(kind: str, value: Any, name: str = "") -> dict[str, Any]:
    return graph(
        made=node(name or PRIMITIVES[kind][0], {"value": value}),
        cloud=node(RUN, {"where": "ComfyUI", "where.server": "default"}, value=link("made")),
        seen=node("ProbeSink", value=link("cloud")),
    )


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_a_text_or_number_comes_back_as_what_it_is(
    cloud: Host, sandbox: Sandbox, kind: str
) -> None:
    _, value = PRIMITIVES[kind]
    prompt = made_there(kind, value)
    run = cloud.run(prompt, extra_data=editor({"made": kind}))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["value"] == value
    assert type(run.probe("seen")["value"]) is type(value)
    (sent,) = submits(sandbox)
    assert [one["class_type"] for one in sent["prompt"].values()][1:] == ["PreviewAny"]
    again = cloud.run(made_there(kind, value), extra_data=editor({"made": kind}))
    assert again.probe("seen")["value"] == value
    assert len(submits(sandbox)) == 1


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_text_of_nothing_to_see_comes_back_too(cloud: Host, text: str) -> None:
    prompt = made_there("STRING", text)
    run = cloud.run(prompt, extra_data=editor({"made": "STRING"}))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["value"] == text


def test_texts_that_come_back_in_one_submission_are_told_apart(
    cloud: Host, sandbox: Sandbox
) -> None:
    where = {"where": "ComfyUI", "where.server": "default"}
    empty = {"height": 8, "batch_size": 1, "color": 0}
    prompt = graph(
        number=node("PrimitiveInt", {"value": 16}),
        shown=node("PreviewAny", source=link("number")),
        paint=node("EmptyImage", empty, width=link("number")),
        first=node(RUN, where, value=link("number")),
        second=node(RUN, where, value=link("shown")),
        third=node(RUN, where, value=link("paint")),
        **{
            f"seen_{one}": node("ProbeSink", value=link(one))
            for one in ("first", "second", "third")
        },
    )
    kinds = {"number": "INT", "shown": "STRING", "paint": "IMAGE"}
    run = cloud.run(prompt, extra_data=editor(kinds))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen_first")["value"] == 16
    assert run.probe("seen_second")["value"] == "16"
    assert run.probe("seen_third")["shape"] == [1, 8, 16, 3]
    assert len(submits(sandbox)) == 1


def test_a_part_for_a_server_that_is_gone_is_refused_when_queued(cloud: Host) -> None:
    prompt, more = in_cloud("studio")
    assert 'no server \\"studio' in refused_alone(cloud, prompt, **more)


# -- restarts -------------------------------------------------------------------------------------


def test_a_task_that_is_lost_in_a_restart_is_sent_again(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    imitation: Any = sandbox.platforms["comfyui"]
    handle = cloud.start(remote(workflow(LONG)))
    first = until(lambda: imitation.queue.seen())[0].entry
    imitation.restart()
    second = until(lambda: imitation.queue.seen())[0].entry
    assert second.id != first.id
    clock.forward()
    assert handle.result().status == "success"
