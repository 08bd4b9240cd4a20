"""Pins what the editor is told of a graph before it is queued: the same cut that would be made, and
nothing is sent, kept or changed by asking; nothing answers a foreign page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from host import Host, graph, link, node
from sandboxes import environment
from skyport.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("models_are_known")

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
    assert "Elsewhere (model) makes a value of type MODEL" in answer["troubles"]["cloud"]


def sent_to(**where: Any) -> dict[str, Any]:
    """A picture that is made here, and sent to a cloud and back."""
    return graph(
        source=node("ProbeImage"),
        keep=node(KEEP, value=link("source")),
        flip=node("Elsewhere", image=link("keep")),
        cloud=node(RUN, where, value=link("flip")),
        seen=node("ProbeSink", value=link("cloud")),
    )


def test_a_platform_without_a_key_is_told_before_it_is_queued_and_refused_then(host):
    prompt = sent_to(**GPUGEEK)
    answer = split_of(host, prompt, flip=["IMAGE"])
    assert answer["nodes"] == {"flip": only("GPUGeek")}
    assert answer["troubles"]["cloud"].startswith("GPUGeek: no API key is set.")
    run = host.run(prompt, extra_data={"extra_pnginfo": {"workflow": editor(flip=["IMAGE"])}})
    assert (run.status, run.ran()) == ("refused", [])
    assert "GPUGeek: no API key is set." in run.node_errors["cloud"]["errors"][0]["details"]


def test_of_a_missing_link_it_tells_that_it_is_only_that(host):
    prompt = graph(cloud=node(RUN, HAIYI), seen=node("ProbeSink", value=link("cloud")))
    answer = split_of(host, prompt)
    assert (list(answer["troubles"]), answer["unlinked"]) == (["cloud"], ["cloud"])
    cannot_leave = graph(
        model=node("Elsewhere"),
        cloud=node(RUN, HAIYI, value=link("model")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    assert "unlinked" not in split_of(host, cannot_leave, model=["MODEL"])


def test_the_form_tells_which_platforms_run_a_workflow_at_once(host):
    platforms = host.route("GET", "/skyport/forms").json()["platforms"]
    assert platforms["haiyi"] == {"label": "HaiYi", "ready": True, "at_once": True}
    assert platforms["gpugeek"] == {"label": "GPUGeek", "ready": False, "at_once": False}
    assert "at_once" not in platforms["happyhorse"]


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


def test_it_tells_what_becomes_of_nodes_of_a_part(host):
    prompt = graph(
        paint=node("Elsewhere"),
        mesh=node("ElsewhereMesh", image=link("paint")),
        cloud=node(RUN, HAIYI, value=link("paint")),
        seen=node("ProbeSink", value=link("cloud")),
        shown=node("ProbeSink", value=link("mesh")),
    )
    notes = split_of(host, prompt, paint=["IMAGE"], mesh=["MESH"])["notes"]
    assert notes.keys() == {"mesh", "shown"}
    assert notes["shown"].startswith("ProbeSink (shown) is left out: ")


# -- files outside ComfyUI's folders ------------------------------------------------------------


def outside(host: Host, prompt: Mapping[str, Any]) -> list[str]:
    asked = {"prompt": prompt, "workflow": editor(flip=["IMAGE"])}
    answer = host.route("POST", "/skyport/files", json=asked, headers=OURS)
    assert answer.status_code == 200, answer.text
    return answer.json()["files"]


def allow(host: Host, files: Any, folders: bool = False) -> Any:
    body = {"files": files, "folders": folders}
    return host.route("POST", "/skyport/files/allow", json=body, headers=OURS)


def naming(path: Path, also: Path) -> dict[str, Any]:
    """A part and a workflow that name files of this disk."""
    load = node("VHS_LoadImagePath", image=str(path))
    flip = node("Elsewhere", image=link("load"))
    workflow = {"1": node("VHS_LoadImagePath", image=str(also))}
    return graph(
        load=load,
        flip=flip,
        cloud=node(RUN, HAIYI, value=link("flip")),
        seen=node("ProbeSink", value=link("cloud")),
        own=node("SkyportGpugeekRunWorkflow", workflow=json.dumps(workflow)),
    )


def test_files_outside_are_listed_until_they_are_allowed(host, sandbox, tmp_path):
    one, other = tmp_path / "one.png", tmp_path / "sub" / "other.png"
    other.parent.mkdir()
    for path in (one, other):
        path.write_bytes(b"never read")
    prompt = naming(one, other)
    assert outside(host, prompt) == [str(one), str(other)]
    assert allow(host, [str(one)]).status_code == 200
    assert outside(host, prompt) == [str(other)]
    assert allow(host, [str(other)], folders=True).status_code == 200
    assert outside(host, prompt) == []
    setup = host.route("GET", "/skyport/setup").json()
    assert setup["settings"]["allowed_folders"]["value"] == str(other.parent)
    assert len(sandbox.log) == 0


@pytest.mark.parametrize("files", [None, "/etc/hostname", [1], ["relative.png"], ["/a\0b"]])
def test_only_full_paths_can_be_allowed(host, files):
    assert allow(host, files).status_code == 400


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
