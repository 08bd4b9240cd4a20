"""Pins Run in Cloud on ComfyUI's official templates, as the editor queues them: what is sent and
what stays is the whole that was there, or the person is told in one sentence why it cannot be.

A sample by default; `-m templates` runs the others. Needs COMFYUI_PATH, a Chromium and the package
comfyui-workflow-templates, which ComfyUI's requirements name.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from host import Host, open_host
from real_editor import NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.sandbox import start
from templates import remote
from templates.declared import RUN, Classes
from templates.files import models_of, put_files, upload_names
from templates.trial import trial, trials, validated

SAMPLE = (
    "3d_moge_perspective_to_mesh",
    "api_bria_remove_video_background_transparent",
    "api_elevenlabs_speech_to_speech",
    "api_openai_chat",
    "api_openai_image_1_inpaint",
    "api_tripo3_0_image_to_model",
    "audio_ace_step_1_5_split_llm",
    "audio_stable_audio_example",
    "basic_datatype_conversion",
    "basic_mask_operations_and_compositing",
    "basic_switch_node",
    "flux_redux_model_example",
    "flux_schnell",
    "image_ideogram4_t2i",
    "image_joyai_image_edit",
    "image_qwen_image_edit_2511",
    "sdxl_refiner_prompt_example",
    "template_contact_sheet-step_3.app",
    "template_image_speech_to_video",
    "video_wan2_2_14B_i2v",
)

OPEN = """async (workflow) => {
  await app.loadGraphData(workflow);
  document.querySelectorAll(".skyport-notice").forEach((notice) => notice.remove());
  const { output, workflow: saved } = await app.graphToPrompt();
  return [output, saved];
}"""
# All nodes but the output nodes: what these take is what comes back.
SELECT = """() => {
  const isEnd = (node) => node.constructor.nodeData?.output_node;
  app.canvas.deselectAll();
  app.canvas.selectItems(app.graph.nodes.filter((node) => !isEnd(node)));
}"""
SEND = "() => app.extensionManager.command.execute('Skyport.RunPartInCloud')"
UNDO = "() => app.extensionManager.command.execute('Comfy.Undo')"
QUEUED = "() => app.graphToPrompt().then(({ output, workflow }) => [output, workflow])"
TRACKER = "app.extensionManager.workflow.activeWorkflow.changeTracker"
# How many steps can be undone; a step is noted when it has ended.
STEPS = f"() => {TRACKER}.undoQueue.length"
NOTICES = "() => document.querySelectorAll('.skyport-notice').length"
PRESSED = "() => window.dispatchEvent(new MouseEvent('mouseup'))"  # the editor notes changes then


def _folder() -> Path | None:
    found = find_spec("comfyui_workflow_templates_json")
    return Path(str(found.origin)).parent / "templates" if found else None


def _workflows() -> list[Any]:
    """A parameter for each template; one that is skipped where there are none."""
    folder = _folder()
    if folder is None:
        reason = "comfyui-workflow-templates is not installed"
        return [pytest.param("", marks=pytest.mark.skip(reason=reason))]
    names = [path.stem for path in sorted(folder.glob("*.json")) if _read(path.stem)]
    marks = [() if name in SAMPLE else pytest.mark.templates for name in names]
    return [pytest.param(n, marks=mark, id=n) for n, mark in zip(names, marks, strict=True)]


def _read(name: str) -> dict[str, Any]:
    """The workflow; empty for the lists of templates beside them."""
    tree = json.loads((_folder() / f"{name}.json").read_text("utf-8"))
    is_workflow = isinstance(tree, dict) and isinstance(tree.get("nodes"), list)
    return {**tree, "id": str(uuid.uuid4())} if is_workflow else {}


pytestmark = NEEDS_EDITOR
each_template = pytest.mark.parametrize("name", _workflows())


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    with start(pace=1) as sandbox:
        env = environment(sandbox, "haiyi", "gpugeek")
        with open_host("comfyui", tmp_path_factory.mktemp("templates"), env=env) as host:
            put_files(host, [remote.PICTURE, remote.CLIP, remote.SOUND])
            yield host


@pytest.fixture(scope="module")
def classes(host: Host) -> Classes:
    return Classes(host.client.get("/object_info").json())


@pytest.fixture(scope="module")
def editor(host: Host) -> Iterator[Editor]:
    with editor_of(host, False, (1600, 900)) as editor:
        yield editor


@each_template
def test_what_is_sent_and_what_stays_is_the_whole_template(
    name: str, host: Host, editor: Editor, classes: Classes
):
    workflow = _read(name)
    prompt, saved = editor.page.evaluate(OPEN, workflow)
    put_files(host, upload_names(prompt, classes))
    tried = [*trials(host, prompt, saved, classes)]
    with models_of(workflow, host.base):
        tried += trials(host, prompt, saved, classes)
    assert [one for one in tried if one.wrong] == []
    assert [one.cut for one in tried if not one.is_sent and not one.refusals] == []


@each_template
def test_one_click_sends_a_template_and_one_undo_takes_it_back(
    name: str, host: Host, editor: Editor, classes: Classes
):
    prompt, saved = editor.page.evaluate(OPEN, _read(name))
    put_files(host, upload_names(prompt, classes))
    editor.page.evaluate(PRESSED)
    before, steps = _state(editor), editor.page.evaluate(STEPS)
    editor.page.evaluate(SELECT)
    editor.page.evaluate(SEND)
    editor.page.wait_for_function(f"(before) => ({STEPS})() > before || ({NOTICES})()", arg=steps)
    cut, saved = editor.page.evaluate(QUEUED)
    if any(node["class_type"] == RUN for node in cut.values()):
        _check(host, prompt, cut, saved, classes)
        editor.page.evaluate(UNDO)
        editor.page.wait_for_function(f"(before) => ({STEPS})() === before", arg=steps)
    assert _state(editor) == before


def _state(editor: Editor) -> Any:
    """The graph; the order of a subgraph's links, which the editor changes, means nothing."""
    state = editor.state()
    for subgraph in state.get("definitions", {}).get("subgraphs", []):
        subgraph["links"] = sorted(subgraph["links"], key=lambda link: link["id"])
    return state


def _check(
    host: Host, prompt: dict[str, Any], cut: dict[str, Any], saved: Any, classes: Classes
) -> None:
    found = validated(host, prompt)["node_errors"]
    files = {path.name for path in (host.base / "input").iterdir()}
    one = trial(host, "one click", cut, validated(host, cut, saved), found, files, classes)
    assert one.wrong == ()
    assert one.is_sent or one.refusals
