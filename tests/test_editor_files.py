"""Pins the question before files outside ComfyUI's folders are uploaded, in ComfyUI's real editor.
Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _waiting import until
from host import Host, node, open_host
from PIL import Image
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.sandbox import Sandbox, start

pytestmark = NEEDS_EDITOR

SUBMIT = "v1/prompt"
SEEDS = itertools.count(1)  # an order that has been placed is not sent again


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.05) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any, sandbox: Sandbox) -> Iterator[Host]:
    base = tmp_path_factory.mktemp("editor")
    with open_host("comfyui", base, env=environment(sandbox, "gpugeek")) as host:
        yield host


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1600, 900)) as editor:
        yield editor


@pytest.fixture
def editor(opened: Editor, sandbox: Sandbox) -> Editor:
    opened.page.evaluate("() => { app.graph.clear(); }")
    sandbox.log.clear()
    return opened


def build(editor: Editor, path: Path) -> None:
    seed = next(SEEDS)
    Image.new("RGB", (16, 16), (seed, 2, 3)).save(path)
    workflow = {
        "1": node("VHS_LoadImagePath", image=str(path)),
        "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
    }
    values = {"workflow": json.dumps(workflow), "workflow_id": "763311996779461", "seed": seed}
    editor.build(
        {
            "run": {"type": "SkyportGpugeekRunWorkflow", "pos": [0, 0], "values": values},
            "kept": {
                "type": "PreviewImage",
                "pos": [500, 0],
                "links": {"images": ["run", "images"]},
            },
        }
    )


def press_run(editor: Editor) -> None:
    editor.page.evaluate("() => { window.queued = app.queuePrompt(0, 1); }")


def answered(editor: Editor, words: str) -> bool:
    editor.page.locator(".skyport-files button", has_text=words).click()
    return bool(editor.page.evaluate("() => window.queued"))


def test_the_files_are_named_and_nothing_is_queued_without_a_yes(
    editor: Editor, sandbox: Sandbox, tmp_path: Path
):
    build(editor, tmp_path / "private.png")
    press_run(editor)
    dialog = editor.page.locator(".skyport-files")
    dialog.wait_for()
    assert dialog.locator("li").all_inner_texts() == [str(tmp_path / "private.png")]
    assert not answered(editor, "Stop")
    assert not dialog.count()
    press_run(editor)
    dialog.wait_for()
    editor.page.keyboard.press("Escape")
    assert not editor.page.evaluate("() => window.queued")
    assert not len(sandbox.log.of("POST", SUBMIT))


@pytest.mark.parametrize("words", ["until ComfyUI ends", "Always allow its folder"])
def test_what_is_allowed_is_uploaded_and_not_asked_about_again(
    editor: Editor, sandbox: Sandbox, tmp_path: Path, words: str
):
    build(editor, tmp_path / "holiday.png")
    press_run(editor)
    assert answered(editor, words) is not False
    until(lambda: sandbox.log.of("POST", SUBMIT))
    press_run(editor)
    assert editor.page.evaluate("() => window.queued") is not False
    assert not editor.page.locator(".skyport-files").count()
