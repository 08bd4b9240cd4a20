"""Pins, in ComfyUI's real editor, that a saved workflow keeps its links and its seeds, and that
nodes are found by typing. Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from test_search import WORDS

pytestmark = NEEDS_EDITOR

FRAMES = "SkyportHaiyiImageToVideo"
SOCKETS = ("model.key_frames_start", "model.key_frames_end")
MADE = {
    "first": {"type": "LoadImage", "pos": [0, 0]},
    "video": {
        "type": FRAMES,
        "pos": [420, 0],
        "values": {"model": "kwai/kling-v3", "prompt": "a fox"},
        "links": {SOCKETS[0]: ["first", "IMAGE"]},
    },
}
MISSING = "a-model-that-is-gone"


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    with open_host("comfyui", tmp_path_factory.mktemp("editor")) as host:
        yield host


@CANVASES
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1300, 900)) as editor:
        yield editor


def saved(editor: Editor, *, source_last: bool = False) -> dict[str, Any]:
    """A workflow with two links into sockets of a model; nodes are set up in the file's order."""
    last = {"type": "LoadImage", "pos": [0, 420]}
    video = {**MADE["video"], "links": {**MADE["video"]["links"], SOCKETS[1]: ["last", "IMAGE"]}}
    editor.build({**MADE, "video": video, "last": last})
    workflow = editor.workflow()
    if source_last:
        workflow["nodes"].reverse()
    return workflow


def without_the_model(workflow: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(workflow).replace('"kwai/kling-v3"', f'"{MISSING}"')
    return dict(json.loads(text))


def linked(workflow: Mapping[str, Any]) -> dict[str, int]:
    """{input: id of the node that is linked to it}, read from both ends and the list of links."""
    nodes = {one["id"]: one for one in workflow["nodes"]}
    (video,) = (one for one in nodes.values() if one["type"] == FRAMES)
    found = {}
    for link_id, source, output, target, slot, _ in workflow["links"]:
        assert target == video["id"]
        assert video["inputs"][slot]["link"] == link_id
        assert link_id in nodes[source]["outputs"][output]["links"]
        found[video["inputs"][slot]["name"]] = source
    return found


@pytest.mark.parametrize("source_last", [False, True])
def test_a_workflow_whose_model_is_gone_keeps_its_links(editor: Editor, source_last: bool) -> None:
    workflow = saved(editor, source_last=source_last)
    before = linked(workflow)
    assert set(before) == set(SOCKETS)
    editor.load(without_the_model(workflow))
    gone = editor.workflow()
    assert linked(gone) == before
    editor.load(gone)
    assert linked(editor.workflow()) == before
    editor.load(json.loads(json.dumps(gone).replace(f'"{MISSING}"', '"kwai/kling-v3"')))
    assert linked(editor.workflow()) == before
    (prompt,) = (one for one in editor.prompt().values() if one["class_type"] == FRAMES)
    assert {name: int(prompt["inputs"][name][0]) for name in SOCKETS} == before


@pytest.mark.parametrize("name", ["fixed", "control_after_generate", "randomize"])
@pytest.mark.parametrize("chosen", ["randomize", "fixed", "increment"])
def test_what_happens_to_a_seed_stays_whatever_the_editor_calls_it(
    editor: Editor, name: str, chosen: str
) -> None:
    """Its name differs between versions of the editor."""
    editor.build({"video": MADE["video"] | {"links": {}}})
    workflow = editor.workflow()
    (node,) = workflow["nodes"]
    values, kept = node["widgets_values"], node["properties"]["skyport_values"]
    values[list(kept).index("seed") + 1] = chosen
    node["properties"]["skyport_values"] = {
        (name if place == list(kept).index("seed") + 1 else key): value
        for place, (key, value) in enumerate(zip(kept, values, strict=True))
    }
    editor.load(workflow)
    assert control_of(editor) == chosen
    editor.load(editor.workflow())
    assert control_of(editor) == chosen


def control_of(editor: Editor) -> str:
    (node,) = editor.workflow()["nodes"]
    return str(node["widgets_values"][2])


def test_every_word_that_people_type_shows_a_node_of_ours(editor: Editor) -> None:
    editor.page.evaluate("() => app.graph.clear()")
    editor.page.mouse.dblclick(650, 500)
    box = editor.page.get_by_placeholder("Add a node...")
    for word in WORDS:
        box.fill(word)
        editor.page.locator('[data-testid="result-item"]', has_text="skyport").first.wait_for()
    editor.page.keyboard.press("Escape")
