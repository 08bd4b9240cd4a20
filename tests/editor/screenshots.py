"""Makes the README's pictures in docs/images/ from the real editor, run on the sandbox.

COMFYUI_PATH=/path/to/ComfyUI python tests/editor/screenshots.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from editor import Editor, open_editor
from examples import FOLDER, host
from PIL import Image
from skyport.demo._host import PACK

IMAGES = PACK / "docs" / "images"
SIZE = (1280, 940)
BELOW_SIGN = 110  # from the menu: the sign of practice mode lies above
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
                jobs(editor, into, language)
                if language == "en":
                    run_in_cloud(editor, into)
                settings(editor, into, language)


SANDBOX = {
    "SKYPORT_SANDBOX": "1",
    "SKYPORT_SANDBOX_SCENES": "1",
    "SKYPORT_REUSE_RESULTS": "0",
}


def forms(editor: Editor, into: Path, language: str) -> None:
    """The forms of three models of one node, made and switched."""
    kind = "SkyportHaiyiImageToVideo"
    fields: dict[str, Any] = {"type": kind, "size": [360, 440]}
    models = ("kwai/kling-v3", "sandbox/sandbox-talking", "custom")
    editor.build(
        {
            name: {**fields, "pos": [400 * place, 0], "values": {"model": name}}
            for place, name in enumerate(models)
        }
    )
    editor.fit(margin=70, top=BELOW_SIGN)
    keep(editor, into / f"forms.{language}.png")


def progress_and_result(editor: Editor, into: Path, language: str) -> None:
    workflow = json.loads((FOLDER / "Skyport Run a Remote Workflow.json").read_text("utf-8"))
    run = next(one for one in workflow["nodes"] if one["type"] == "SkyportHaiyiRunWorkflow")
    run["widgets_values"][2] = len(editor.client.get("/history").json())  # not from the cache
    editor.load(workflow)
    editor.fit(margin=70, scale=0.8, top=BELOW_SIGN)
    editor.queue()
    page = editor.page
    page.wait_for_function(f"() => /Upscale/.test(({TEXT_OF})('SkyportHaiyiRunWorkflow'))")
    keep(editor, into / f"running.{language}.png")
    page.wait_for_timeout(9000)
    keep(editor, into / f"result.{language}.png")


def run_in_cloud(editor: Editor, into: Path) -> None:
    """What would run in a cloud, told by badges before anything is queued."""
    editor.load(json.loads((FOLDER / "Skyport Run in Cloud.json").read_text("utf-8")))
    editor.fit(margin=60, scale=0.7, top=BELOW_SIGN)
    editor.page.wait_for_timeout(1000)
    keep(editor, into / "run-in-cloud.png", clip=(0, 0, SIZE[0], 720))


def jobs(editor: Editor, into: Path, language: str) -> None:
    """The sidebar with the jobs of some example workflows."""
    for name in ("Text to Video", "Chat to Image", "Run on GPUGeek"):
        editor.load(json.loads((FOLDER / f"Skyport {name}.json").read_text("utf-8")))
        editor.run()
    editor.fit(margin=480, scale=0.7, top=BELOW_SIGN)
    command(editor, "Workspace.ToggleSidebarTab.skyport.jobs")
    editor.page.locator(".skyport-offer:visible button").last.click()  # "Not now"
    keep(editor, into / f"jobs.{language}.png")
    command(editor, "Workspace.ToggleSidebarTab.skyport.jobs")


def settings(editor: Editor, into: Path, language: str) -> None:
    command(editor, "Skyport.OpenSettings")
    keep(editor, into / f"settings.{language}.png")
    editor.page.keyboard.press("Escape")


def command(editor: Editor, name: str) -> None:
    editor.page.evaluate("(name) => void app.extensionManager.command.execute(name)", name)
    editor.page.wait_for_timeout(2500)


def keep(editor: Editor, path: Path, clip: Sequence[int] | None = None) -> None:
    """A screenshot of few colours: a third of the size, and nobody sees it."""
    editor.picture(path, clip)
    with Image.open(path) as shot:
        shot.convert("RGB").quantize(256).save(path, optimize=True)
    print(path.name, os.path.getsize(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
