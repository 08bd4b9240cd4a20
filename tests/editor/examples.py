"""Makes example_workflows/ anew: built and run in a real editor, with the pictures of that run as thumbnails.

    COMFYUI_PATH=/path/to/ComfyUI python tests/editor/examples.py

The files for the editor are built on the models that need no network, the API twins on the sandbox.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editor import Editor, Graph, open_editor
from PIL import Image, ImageDraw, ImageOps
from skyport.demo._host import PACK, ComfyUI

FOLDER = PACK / "example_workflows"
PICTURE, TWIN_PICTURE = "example.png", "picture.png"  # ComfyUI brings the first one along
THUMBNAIL = (400, 300)

REMOTE = {
    "73": {"class_type": "LoadImage", "inputs": {"image": "input.png"}, "_meta": {"title": "Load Image"}},
    "74": {"class_type": "ImageInvert", "inputs": {"image": ["73", 0]}, "_meta": {"title": "Invert Image"}},
    "75": {
        "class_type": "ImageScale",
        "inputs": {"image": ["74", 0], "upscale_method": "lanczos", "width": 512, "height": 0, "crop": "disabled"},
        "_meta": {"title": "Upscale Image"},
    },
    "9": {
        "class_type": "SaveImage",
        "inputs": {"images": ["75", 0], "filename_prefix": "skyport"},
        "_meta": {"title": "Save Image"},
    },
}
LOAD = {"type": "LoadImage", "pos": [60, 340], "size": [320, 340], "values": {"image": PICTURE}}


def note(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / "notes" / f"{name}.md").read_text(encoding="utf-8").strip()
    return {"type": "MarkdownNote", "pos": [60, 60], "size": [640, 230], "values": {"text": text}}


EXAMPLES: Mapping[str, Graph] = {
    "Skyport Edit an Image": {
        "load": LOAD,
        "edit": {
            "type": "SkyportHaiyiImageToImage",
            "pos": [430, 340],
            "size": [400, 340],
            "values": {
                "prompt": "Turn the picture into a watercolour painting with soft morning light.",
                "model": "google/gemini-3-pro-image-preview",
            },
            "links": {"model.images.image0": ["load", "IMAGE"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [880, 340],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-edit"},
            "links": {"images": ["edit", "images"]},
        },
        "note": note("edit"),
    },
    "Skyport Image to Video": {
        "load": LOAD,
        "film": {
            "type": "SkyportHaiyiImageToVideo",
            "pos": [430, 340],
            "size": [400, 420],
            "values": {
                "prompt": "The camera glides slowly forward, clouds drift across the sky.",
                "model": "kwai/kling-v3",
                "model.mode": "std",
                "model.duration": 3,
                "model.sound": False,
            },
            "links": {"model.key_frames_start": ["load", "IMAGE"]},
        },
        "frames": {
            "type": "PreviewImage",
            "pos": [880, 60],
            "size": [320, 260],
            "links": {"images": ["film", "frames"]},
        },
        "last": {
            "type": "ImageFromBatch",
            "title": "Last frame",
            "pos": [880, 380],
            "values": {"batch_index": 4095, "length": 1},
            "links": {"image": ["film", "frames"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [1200, 380],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-last-frame"},
            "links": {"images": ["last", "IMAGE"]},
        },
        "note": note("video"),
    },
    "Skyport Run a Remote Workflow": {
        "load": LOAD,
        "input": {
            "type": "SkyportRemoteInput",
            "pos": [430, 340],
            "size": [280, 90],
            "values": {"target": "73.image"},
            "links": {"value": ["load", "IMAGE"]},
        },
        "run": {
            "type": "SkyportHaiyiRunWorkflow",
            "pos": [760, 340],
            "size": [400, 420],
            "values": {"workflow": json.dumps(REMOTE, indent=2), "cluster": "auto"},
            "links": {"inputs": ["input", "inputs"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [1210, 340],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-remote"},
            "links": {"images": ["run", "images"]},
        },
        "note": note("workflow"),
    },
}


def main() -> None:
    with tempfile.TemporaryDirectory() as room:
        with host(Path(room) / "plain", {}) as plain, open_editor(plain) as editor:
            for name, graph in EXAMPLES.items():
                build(editor, name, graph)
        sandbox = {"SKYPORT_SANDBOX": "1"}
        with host(Path(room) / "sandbox", sandbox) as tried, open_editor(tried) as editor:
            for name in EXAMPLES:
                try_out(editor, name, tried.base)


def host(base: Path, env: Mapping[str, str]) -> ComfyUI:
    """A ComfyUI with our picture in its input folder; without a key, so only built-in models show."""
    (base / "input").mkdir(parents=True)
    landscape().save(base / "input" / PICTURE)
    own = {"SKYPORT_HOME": str(base / "home"), "HAIYI_API_KEY": ""}
    return ComfyUI(Path(os.environ["COMFYUI_PATH"]), base=base, env={**own, **env})


def build(editor: Editor, name: str, graph: Graph) -> None:
    editor.build(graph)
    write(FOLDER / f"{name}.json", editor.workflow())


def try_out(editor: Editor, name: str, base: Path) -> None:
    """Load the saved file as a user does, run it, keep what was queued and what it looked like."""
    editor.load(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))
    prompt = editor.prompt()
    entry = editor.run()
    if entry["status"]["status_str"] != "success":
        raise RuntimeError(f"{name}: {entry['status']['messages']}")
    for node in prompt.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = TWIN_PICTURE
    write(FOLDER / "api" / f"{name}.json", prompt)
    save_thumbnail(name, pictures(entry, base))
    print(name, "ok")


def pictures(entry: Mapping[str, Any], base: Path) -> list[Image.Image]:
    """Every still picture that a run showed."""
    shown = (one for output in entry["outputs"].values() for one in output.get("images", []))
    paths = [base / one["type"] / one["subfolder"] / one["filename"] for one in shown]
    return [Image.open(path).convert("RGB") for path in paths if path.suffix == ".png"]


def save_thumbnail(name: str, seen: list[Image.Image]) -> None:
    if "Remote" in name:
        seen = [landscape(), seen[-1]]
    tiles = [seen[0]] if len(seen) < 2 else [seen[0], seen[-1]]
    if len(seen) > 8:
        tiles = [seen[len(seen) * part // 4] for part in range(4)]
    across = 2 if len(tiles) > 1 else 1
    size = (THUMBNAIL[0] // across, THUMBNAIL[1] // max(1, len(tiles) // across))
    sheet = Image.new("RGB", THUMBNAIL)
    for number, tile in enumerate(tiles):
        place = (number % across * size[0], number // across * size[1])
        sheet.paste(ImageOps.fit(tile, size), place)
    sheet.save(FOLDER / f"{name}.jpg", quality=85)


def landscape(size: tuple[int, int] = (1024, 768)) -> Image.Image:
    """Hills before an evening sky: a picture that belongs to nobody."""
    width, height = size
    image = Image.new("RGB", size)
    pen = ImageDraw.Draw(image)
    for y in range(height):
        part = y / height
        pen.line((0, y, width, y), fill=(int(250 - 120 * part), int(150 + 40 * part), int(110 + 120 * part)))
    pen.ellipse((width * 0.62, height * 0.2, width * 0.76, height * 0.2 + width * 0.14), fill=(255, 236, 170))
    for depth, colour in enumerate(((120, 120, 150), (80, 100, 110), (45, 75, 65), (25, 45, 40))):
        top = height * (0.5 + 0.12 * depth)
        ridge = [(x, top + 60 * _wave(x / width * (2 + depth) + depth)) for x in range(0, width + 8, 8)]
        pen.polygon([(0, height), *ridge, (width, height)], fill=colour)
    return image


def _wave(x: float) -> float:
    """Between -1 and 1, smooth, once around in 2."""
    x = x % 2 - 1
    return 4 * x * (1 - abs(x))


def write(path: Path, tree: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
