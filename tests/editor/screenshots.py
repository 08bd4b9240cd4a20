"""Makes the README's pictures in docs/images/ from the real editor, run on the sandbox.

COMFYUI_PATH=/path/to/ComfyUI python tests/editor/screenshots.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from editor import Editor, open_editor
from examples import FOLDER, host
from PIL import Image
from skyport.demo._host import PACK

IMAGES = PACK / "docs" / "images"
SIZE = (1280, 940)
TEXT_OF = """(type) => {
  const node = window.app.graph._nodes.find((one) => one.type === type);
  return node.widgets?.find((one) => one.name === "$$node-text-preview")?.value ?? "";
}"""


def main(into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room, host(Path(room) / "host", SANDBOX) as comfyui:
        for language in ("en", "zh"):
            with open_editor(comfyui, size=SIZE, language=language) as editor:
                forms(editor, into, language)
                progress_and_result(editor, into, language)


SANDBOX = {"SKYPORT_SANDBOX": "1", "SKYPORT_REUSE_RESULTS": "0"}


def forms(editor: Editor, into: Path, language: str) -> None:
    """The forms of three models of one node, made and switched."""
    kind = "SkyportHaiyiImageToVideo"
    told: dict[str, Any] = {"type": kind, "size": [360, 440]}
    models = ("kwai/kling-v3", "sandbox/sandbox-talking", "custom")
    editor.build(
        {
            name: {**told, "pos": [400 * place, 0], "values": {"model": name}}
            for place, name in enumerate(models)
        }
    )
    editor.fit(margin=70)
    keep(editor, into / f"forms.{language}.png")


def progress_and_result(editor: Editor, into: Path, language: str) -> None:
    workflow = json.loads((FOLDER / "Skyport Run a Remote Workflow.json").read_text("utf-8"))
    run = next(one for one in workflow["nodes"] if one["type"] == "SkyportHaiyiRunWorkflow")
    run["widgets_values"][2] = len(editor.client.get("/history").json())  # not from the cache
    editor.load(workflow)
    editor.fit(margin=70, scale=0.8)
    editor.queue()
    page = editor.page
    page.wait_for_function(
        f"() => /Upscale/.test(({TEXT_OF})('SkyportHaiyiRunWorkflow'))", timeout=20_000
    )
    keep(editor, into / f"running.{language}.png")
    page.wait_for_timeout(9000)
    keep(editor, into / f"result.{language}.png")


def keep(editor: Editor, path: Path) -> None:
    """A screenshot of few colours: a third of the size, and nobody sees it."""
    editor.picture(path)
    with Image.open(path) as shot:
        shot.convert("RGB").quantize(256).save(path, optimize=True)
    print(path.name, os.path.getsize(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
