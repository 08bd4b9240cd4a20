"""Pins what the editor is told of a graph before it is queued: the same cut that would be made, and
nothing is sent, kept or changed by asking; nothing answers a foreign page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from host import Host, graph, link, node
from sandboxes import environment
from skyport.sandbox import Sandbox

RUN, KEEP = "SkyportRunInCloud", "SkyportKeepLocal"
HAIYI = {"where": "HaiYi", "where.cluster": "auto"}
GPUGEEK = {"where": "GPUGeek", "where.workflow_id": "763311996779461"}
OURS = {"X-Skyport": "1"}


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi")


@pytest.fixture
def host(cloud: Host) -> Host:
    return cloud


def editor(**types: list[str]) -> dict[str, Any]:
    """The workflow as the editor has it: the types of outputs by node."""
    outputs = {name: [{"type": kind} for kind in kinds] for name, kinds in types.items()}
    return {"nodes": [{"id": name, "outputs": sockets} for name, sockets in outputs.items()]}


def split_of(host: Host, prompt: Mapping[str, Any], **types: list[str]) -> Any:
    asked = {"prompt": prompt, "workflow": editor(**types)}
    answer = host.route("POST", "/skyport/cut", json=asked, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.json()


def only(*clouds: str, here: bool = False) -> dict[str, Any]:
    return {"clouds": list(clouds), "here": here}


def test_it_tells_what_is_sent_and_what_is_needed_here_too(host, sandbox):
    prompt = graph(
        source=node("ProbeImage"),
        flip=node("Elsewhere", image=link("source")),
        cloud=node(RUN, HAIYI, value=link("flip")),
        seen=node("ProbeSink", value=link("cloud")),
        original=node("ProbeSink", value=link("source")),
    )
    assert split_of(host, prompt, flip=["IMAGE"]) == {
        "nodes": {"source": only("HaiYi", here=True), "flip": only("HaiYi")},
        "troubles": {},
    }
    assert len(sandbox.log) == 0


def test_keep_local_and_what_is_upstream_of_it_are_not_sent(host):
    prompt = graph(
        source=node("ProbeImage"),
        keep=node(KEEP, value=link("source")),
        flip=node("Elsewhere", image=link("keep")),
        cloud=node(RUN, HAIYI, value=link("flip")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    assert split_of(host, prompt, flip=["IMAGE"])["nodes"] == {"flip": only("HaiYi")}


def test_a_node_that_two_clouds_run_tells_both(host):
    prompt = graph(
        source=node("Elsewhere"),
        one=node(RUN, HAIYI, value=link("source")),
        two=node(RUN, GPUGEEK, value=link("source")),
        first=node("ProbeSink", value=link("one")),
        second=node("ProbeSink", value=link("two")),
    )
    assert split_of(host, prompt, source=["IMAGE"])["nodes"] == {"source": only("HaiYi", "GPUGeek")}


def test_what_cannot_cross_is_told_by_the_node_that_would_be_refused(host):
    prompt = graph(
        model=node("Elsewhere"),
        cloud=node(RUN, HAIYI, value=link("model")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    answer = split_of(host, prompt, model=["MODEL"])
    assert answer["nodes"] == {}
    assert "Elsewhere (model) makes a MODEL" in answer["troubles"]["cloud"]


@pytest.mark.parametrize(
    "prompt",
    [{}, {"a": {"inputs": {}}}, {"a": None}, {"a": 3, "b": {"class_type": RUN, "inputs": [1]}}],
)
def test_what_is_no_workflow_has_no_cut(host, prompt):
    assert split_of(host, prompt) == {"nodes": {}, "troubles": {}}


@pytest.mark.parametrize("body", [[], {"prompt": None}, {"workflow": {}}, "prompt"])
def test_a_body_without_a_prompt_is_refused_in_words(host, body):
    answer = host.route("POST", "/skyport/cut", json=body, headers=OURS)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


def test_nothing_answers_a_foreign_page(host):
    assert host.route("POST", "/skyport/cut", json={"prompt": {}}).status_code == 403
    foreign = {**OURS, "Origin": "http://elsewhere.example"}
    assert (
        host.route("POST", "/skyport/cut", json={"prompt": {}}, headers=foreign).status_code == 403
    )
    assert host.route("GET", "/skyport/cut").status_code in (404, 405)


# -- names for the values of nodes that are not here --------------------------------------------


def nameless(host: Host) -> Any:
    """The answer for a node that is not here and was saved by an older editor, in a made class."""
    prompt = graph(
        far={"inputs": {"UNKNOWN": 7, "UNKNOWN_1": "x"}},
        cloud=node(RUN, HAIYI, value=link("far")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    saved = {"id": "far", "type": "NeverSeen", "widgets_values": [7, "x"]}
    workflow = {"nodes": [saved | {"outputs": [{"type": "IMAGE"}]}]}
    asked = {"prompt": prompt, "workflow": workflow}
    return host.route("POST", "/skyport/cut", json=asked, headers=OURS).json()


def give(host: Host, tree: Any, headers: Mapping[str, str] = OURS) -> Any:
    return host.route("POST", "/skyport/widget_names", json={"given": tree}, headers=headers)


def test_an_export_that_is_given_names_the_values_of_a_node_that_is_not_here(host):
    before = nameless(host)
    assert before["unnamed"] == ["cloud"]
    assert "NeverSeen (far)" in before["troubles"]["cloud"]
    export = graph(a=node("NeverSeen", seed=1, text="y"), b=node("KSampler", seed=1))
    answer = give(host, {"prompt": export})
    assert answer.json() == {"classes": ["KSampler", "NeverSeen"]}
    assert nameless(host) == {"nodes": {"far": only("HaiYi")}, "troubles": {}}


def test_what_a_server_declares_can_be_given_too(host):
    declared = {"Elsewhere2": {"input": {"required": {"n": ["INT", {}]}}, "output": []}}
    assert give(host, declared).json() == {"classes": ["Elsewhere2"]}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"nodes": []}, "in the editor's format"),
        ({}, "holds no nodes"),
        ([], "must be a JSON object"),
        ({"1": {"inputs": {}}}, "has no class_type"),
    ],
)
def test_what_names_nothing_is_refused_with_the_way_to_export(host, tree, words):
    answer = give(host, tree)
    assert (answer.status_code, words in answer.json()["message"]) == (400, True)


def test_names_are_taken_from_the_editor_only(host):
    assert give(host, graph(a=node("X", n=1)), headers={}).status_code == 403
    foreign = {**OURS, "Origin": "https://example.com"}
    assert give(host, graph(a=node("X", n=1)), headers=foreign).status_code == 403
