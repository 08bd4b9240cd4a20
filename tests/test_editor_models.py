"""Pins, in ComfyUI's real editor, that a node whose model is changed and changed back has the
values and links that it had. Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of

pytestmark = NEEDS_EDITOR

VIDEO, IMAGE = "SkyportHaiyiImageToVideo", "SkyportHaiyiImageToImage"
KLING, TENCENT = "kwai/kling-v3", "tencent/Kling-3.0"
FRAMES = ("model.key_frames_start", "model.key_frames_end")
GEMINI = "google/gemini-3-pro-image-preview"
IMAGES = tuple(f"model.images.image{number}" for number in range(3))

_CHOOSE = """
([type, values]) => {
  const node = app.graph._nodes.find((one) => one.type === type);
  for (const [name, value] of values) {
    const widget = node.widgets.find((one) => one.name === name);
    widget.value = value;
    widget.callback?.(value);
  }
}
"""
_UNLINK = """
([type, name]) => {
  const node = app.graph._nodes.find((one) => one.type === type);
  node.disconnectInput(node.inputs.findIndex((one) => one.name === name));
}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    with open_host("comfyui", tmp_path_factory.mktemp("editor")) as host:
        yield host


@CANVASES
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1300, 900)) as editor:
        yield editor


def sources(count: int) -> dict[str, Any]:
    return {f"p{at}": {"type": "LoadImage", "pos": [0, 420 * at]} for at in range(count)}


def video(editor: Editor) -> None:
    """A node whose model has values of its own and two linked sockets."""
    values = {"prompt": "a fox", "model": KLING, "model.mode": "pro", "model.duration": 11}
    links = {FRAMES[0]: ["p0", "IMAGE"], FRAMES[1]: ["p1", "IMAGE"]}
    node = {"type": VIDEO, "pos": [420, 0], "values": values, "links": links}
    editor.build({**sources(2), "node": node})


def choose(editor: Editor, type: str, **values: Any) -> None:
    named = [[name.replace("__", "."), value] for name, value in values.items()]
    editor.page.evaluate(_CHOOSE, [type, named])
    editor.page.wait_for_timeout(200)


def queued(editor: Editor, type: str) -> dict[str, Any]:
    """{input: value, or id of the node that is linked} below the model of what would be queued."""
    (node,) = (one for one in editor.prompt().values() if one["class_type"] == type)
    found = {name: value for name, value in node["inputs"].items() if name.startswith("model")}
    return {n: int(v[0]) if isinstance(v, list) else v for n, v in found.items()}


def linked(editor: Editor, type: str) -> dict[str, int]:
    """{input: id of the node that is linked to it}, read from both ends and the list of links."""
    workflow = editor.workflow()
    nodes = {one["id"]: one for one in workflow["nodes"]}
    (node,) = (one for one in nodes.values() if one["type"] == type)
    found = {}
    for link_id, source, output, target, slot, _ in workflow["links"]:
        assert target == node["id"]
        assert node["inputs"][slot]["link"] == link_id
        assert link_id in nodes[source]["outputs"][output]["links"]
        found[node["inputs"][slot]["name"]] = source
    return found


def test_a_model_that_is_chosen_again_has_its_values_and_links(editor: Editor) -> None:
    video(editor)
    before, links = queued(editor, VIDEO), linked(editor, VIDEO)
    assert set(links) == set(FRAMES)
    choose(editor, VIDEO, model=TENCENT)
    assert queued(editor, VIDEO)["model.mode"] == "pro"
    assert linked(editor, VIDEO) == {FRAMES[0]: links[FRAMES[0]]}
    choose(editor, VIDEO, model=KLING)
    assert queued(editor, VIDEO) == before
    assert linked(editor, VIDEO) == links


def test_what_was_changed_meanwhile_moves_along(editor: Editor) -> None:
    video(editor)
    choose(editor, VIDEO, model=TENCENT)
    choose(editor, VIDEO, model__mode="std", model__Duration=7)
    editor.page.evaluate(_UNLINK, [VIDEO, FRAMES[0]])
    choose(editor, VIDEO, model=KLING)
    found = queued(editor, VIDEO)
    assert (found["model.mode"], found["model.duration"]) == ("std", 11)
    assert set(linked(editor, VIDEO)) == {FRAMES[1]}
    choose(editor, VIDEO, model=TENCENT)
    assert queued(editor, VIDEO)["model.Duration"] == 7


def test_a_list_that_grows_has_all_its_links_again(editor: Editor) -> None:
    links = {name: [f"p{at}", "IMAGE"] for at, name in enumerate(IMAGES)}
    node = {"type": IMAGE, "pos": [420, 0], "values": {"model": GEMINI}, "links": links}
    editor.build({**sources(3), "node": node})
    before = linked(editor, IMAGE)
    assert set(before) == set(IMAGES)
    for _ in range(2):
        choose(editor, IMAGE, model="custom", model__model_id="some/model")
        assert linked(editor, IMAGE) == {}
        choose(editor, IMAGE, model=GEMINI)
        assert linked(editor, IMAGE) == before
    choose(editor, IMAGE, model="custom")
    assert queued(editor, IMAGE)["model.model_id"] == "some/model"


def test_a_model_in_place_of_one_that_is_gone_takes_its_values_and_links(editor: Editor) -> None:
    video(editor)
    before, links = queued(editor, VIDEO), linked(editor, VIDEO)
    editor.load(json.loads(json.dumps(editor.workflow()).replace(f'"{KLING}"', '"gone"')))
    choose(editor, VIDEO, model=KLING)
    assert queued(editor, VIDEO) == before
    assert linked(editor, VIDEO) == links


def test_a_saved_workflow_keeps_the_forms_that_are_not_shown(editor: Editor) -> None:
    video(editor)
    before, links = queued(editor, VIDEO), linked(editor, VIDEO)
    choose(editor, VIDEO, model="custom", model__model_id="some/model")
    saved = editor.workflow()
    editor.load(saved)
    assert values_and_links(editor.workflow()) == values_and_links(saved)
    choose(editor, VIDEO, model=KLING)
    assert queued(editor, VIDEO) == before
    assert linked(editor, VIDEO) == links


def test_a_workflow_whose_models_were_never_changed_is_saved_as_before(editor: Editor) -> None:
    video(editor)
    (node,) = (one for one in editor.workflow()["nodes"] if one["type"] == VIDEO)
    assert "skyport_forms" not in node["properties"]


def test_a_copy_takes_its_values_along_but_no_links_of_the_original(editor: Editor) -> None:
    video(editor)
    choose(editor, VIDEO, model="custom")
    saved = editor.workflow()
    (node,) = (one for one in saved["nodes"] if one["type"] == VIDEO)
    copy = json.loads(json.dumps(node)) | {"id": 99}
    editor.load({**saved, "nodes": [one for one in saved["nodes"] if one is not node] + [copy]})
    choose(editor, VIDEO, model=KLING)
    assert queued(editor, VIDEO)["model.mode"] == "pro"
    assert linked(editor, VIDEO) == {}


def test_a_step_back_undoes_the_change_of_a_model(editor: Editor) -> None:
    video(editor)
    before = values_and_links(editor.workflow())
    undone(editor, VIDEO, TENCENT)
    assert values_and_links(editor.workflow()) == before


def undone(editor: Editor, type: str, model: str) -> None:
    """Choose a model as one step, and take the step back."""
    before = editor.workflow()["nodes"]
    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    check = f"() => ({tracker}.captureCanvasState ?? {tracker}.checkState).call({tracker})"
    editor.page.evaluate(check)
    editor.page.wait_for_timeout(300)  # what changes within a moment counts as the same step
    choose(editor, type, model=model)
    editor.page.evaluate(check)
    editor.page.wait_for_timeout(300)
    assert editor.workflow()["nodes"] != before
    editor.page.evaluate(f"() => {tracker}.undo()")
    editor.page.wait_for_timeout(700)


SIZES = "SkyportHappyHorseTextToImage"


def test_suggested_values_are_a_list_and_any_other_text_is_taken(editor: Editor) -> None:
    editor.build({"node": {"type": SIZES, "pos": [300, 100], "values": {"model": "gpt-image-2"}}})
    assert {"1536x1024", "1024x1536"} <= set(offered(editor, "model.size"))
    choose(editor, SIZES, model__size="1024x1536")
    assert queued(editor, SIZES)["model.size"] == "1024x1536"
    choose(editor, SIZES, model__size="Other...")
    assert queued(editor, SIZES)["model.size"] == "1024x1536"
    field = editor.page.locator("[role=dialog]:not(.skyport-list) input")
    field.fill("123x456")
    field.press("Enter")
    field.wait_for(state="detached")
    assert queued(editor, SIZES)["model.size"] == "123x456"
    assert "123x456" in offered(editor, "model.size")
    saved = editor.workflow()
    editor.load(saved)
    assert values_and_links(editor.workflow()) == values_and_links(saved)
    assert queued(editor, SIZES)["model.size"] == "123x456"
    choose(editor, SIZES, model="gemini-3.1-flash-image")
    assert queued(editor, SIZES)["model.size"] == "1K"
    choose(editor, SIZES, model="gpt-image-2")
    assert queued(editor, SIZES)["model.size"] == "123x456"


def offered(editor: Editor, name: str) -> list[str]:
    found = editor.page.evaluate(
        "(name) => app.graph._nodes[0].widgets.find((one) => one.name === name).options.values",
        name,
    )
    return list(found)


def values_and_links(workflow: Mapping[str, Any]) -> tuple[Any, Any]:
    nodes = sorted(workflow["nodes"], key=lambda one: one["id"])
    kept = [(one["id"], one.get("widgets_values"), one["properties"]) for one in nodes]
    return kept, sorted(link[1:] for link in workflow["links"])
