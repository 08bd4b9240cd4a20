"""Makes example_workflows/ anew: built and run in a real editor, thumbnails from that run.

    COMFYUI_PATH=/path/to/ComfyUI python tests/editor/examples.py            # writes them
    COMFYUI_PATH=/path/to/ComfyUI python tests/editor/examples.py --check    # only runs them
    COMFYUI_PATH=/path/to/ComfyUI python tests/editor/examples.py NAME...    # writes only these

COMFYUI_FRONTEND names the static folder of another frontend than the installed one.
The files for the editor are built on the models that need no network, the API twins on the sandbox.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from editor import Editor, Graph, open_editor
from PIL import Image, ImageOps
from skyport.demo._host import PACK, ComfyUI
from skyport.sandbox.gpugeek import WORKFLOW_ID

FOLDER = PACK / "example_workflows"
DEMO_PICTURE = PACK / "demo" / "picture.png"
PICTURE, TWIN_PICTURE = "example.png", "picture.png"  # ComfyUI brings the first one along
THUMBNAIL = (400, 300)


def remote(class_type: str, title: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}


SCALE = {"upscale_method": "lanczos", "width": 512, "height": 0, "crop": "disabled"}
REMOTE = {
    "73": remote("LoadImage", "Load Image", image="input.png"),
    "74": remote("ImageInvert", "Invert Image", image=["73", 0]),
    "75": remote("ImageScale", "Upscale Image", image=["74", 0], **SCALE),
    "9": remote("SaveImage", "Save Image", images=["75", 0], filename_prefix="skyport"),
}
LOAD = {"type": "LoadImage", "pos": [60, 340], "size": [320, 340], "values": {"image": PICTURE}}


def note(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / "notes" / f"{name}.md").read_text(encoding="utf-8").strip()
    return {"type": "MarkdownNote", "pos": [60, 60], "size": [640, 220], "values": {"text": text}}


EXAMPLES: Mapping[str, Graph] = {
    "Skyport Edit an Image": {
        "load": LOAD,
        "edit": {
            "type": "SkyportHaiyiImageToImage",
            "pos": [430, 340],
            "size": [400, 560],
            "values": {
                "prompt": "The harbour on a winter night, snow on every roof",
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
            "size": [400, 600],
            "values": {
                "prompt": "The camera glides slowly forward, clouds drift across the sky",
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
        "video": {
            "type": "SaveVideo",
            "pos": [880, 560],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-video"},
            "links": {"video": ["film", "video"]},
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
            "size": [400, 600],
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
    "Skyport Run on GPUGeek": {
        "load": LOAD,
        "input": {
            "type": "SkyportRemoteInput",
            "pos": [430, 340],
            "size": [280, 90],
            "values": {"target": "73.image"},
            "links": {"value": ["load", "IMAGE"]},
        },
        "run": {
            "type": "SkyportGpugeekRunWorkflow",
            "pos": [760, 340],
            "size": [400, 600],
            "values": {
                "workflow_id": str(WORKFLOW_ID),
                "workflow": json.dumps(REMOTE, indent=2),
            },
            "links": {"inputs": ["input", "inputs"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [1210, 340],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-gpugeek"},
            "links": {"images": ["run", "images"]},
        },
        "note": note("gpugeek"),
    },
    "Skyport Run in Cloud": {
        "load": LOAD,
        "invert": {
            "type": "ImageInvert",
            "pos": [430, 340],
            "links": {"image": ["load", "IMAGE"]},
        },
        "scale": {
            "type": "ImageScale",
            "pos": [430, 440],
            "size": [280, 190],
            "values": {"upscale_method": "lanczos", "width": 768, "height": 0},
            "links": {"image": ["invert", "IMAGE"]},
        },
        "cloud": {
            "type": "SkyportRunInCloud",
            "pos": [760, 340],
            "size": [300, 420],
            "values": {"where": "HaiYi", "where.cluster": "auto"},
            "links": {"value": ["scale", "IMAGE"]},
        },
        "sharpen": {
            "type": "ImageSharpen",
            "pos": [1110, 340],
            "links": {"image": ["cloud", "value"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [1430, 340],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-cloud"},
            "links": {"images": ["sharpen", "IMAGE"]},
        },
        "note": note("cloud"),
    },
    "Skyport Text to Video": {
        "film": {
            "type": "SkyportHappyHorseTextToVideo",
            "pos": [60, 340],
            "size": [400, 520],
            "values": {
                "prompt": "A lighthouse in the first light, waves roll slowly against the rocks",
                "model": "kling-video",
                "model.duration": 5,
            },
        },
        "frames": {
            "type": "PreviewImage",
            "pos": [510, 340],
            "size": [400, 340],
            "links": {"images": ["film", "frames"]},
        },
        "video": {
            "type": "SaveVideo",
            "pos": [510, 740],
            "size": [400, 340],
            "values": {"filename_prefix": "skyport-video"},
            "links": {"video": ["film", "video"]},
        },
        "note": note("text_to_video"),
    },
    "Skyport First and Last Frame to Video": {
        "load": LOAD,
        "night": {
            "type": "SkyportHappyHorseEditImage",
            "pos": [430, 340],
            "size": [400, 460],
            "values": {
                "prompt": "The same place on a winter night, lights in the windows",
                "model": "gemini-3.1-flash-image",
            },
            "links": {"image": ["load", "IMAGE"]},
        },
        "film": {
            "type": "SkyportHappyHorseFirstLastFrameToVideo",
            "pos": [880, 340],
            "size": [400, 520],
            "values": {
                "prompt": "Evening falls over the harbour, time-lapse, the camera stands still",
                "model": "wan2.7-i2v",
                "model.duration": 5,
            },
            "links": {"first_frame": ["load", "IMAGE"], "last_frame": ["night", "images"]},
        },
        "frames": {
            "type": "PreviewImage",
            "pos": [1330, 340],
            "size": [320, 340],
            "links": {"images": ["film", "frames"]},
        },
        "video": {
            "type": "SaveVideo",
            "pos": [1330, 740],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-video"},
            "links": {"video": ["film", "video"]},
        },
        "note": note("frames"),
    },
    "Skyport Chat to Image": {
        "chat": {
            "type": "SkyportOpenComputingChat",
            "pos": [60, 340],
            "size": [400, 480],
            "values": {
                "prompt": "A lighthouse at the end of a harbour wall, the first snow of the year",
                "system_prompt": "Describe one picture in a sentence: place, light, colours.",
                "model": "qwen3-max",
            },
        },
        "words": {
            "type": "PreviewAny",
            "pos": [510, 60],
            "size": [400, 220],
            "links": {"source": ["chat", "text"]},
        },
        "image": {
            "type": "SkyportOpenComputingTextToImage",
            "pos": [510, 340],
            "size": [400, 480],
            "values": {"model": "wan2.2-t2i-plus"},
            "links": {"prompt": ["chat", "text"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [960, 340],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-chat"},
            "links": {"images": ["image", "images"]},
        },
        "note": {**note("chat"), "size": [400, 220]},
    },
    "Skyport Any Cloud Text to Video": {
        "film": {
            "type": "SkyportAnyTextToVideo",
            "pos": [60, 340],
            "size": [400, 480],
            "values": {
                "prompt": "A fox runs along the harbour wall at dawn, the camera follows it",
                "model": "happyhorse",
                "model.duration": 3,
                "model.resolution": "720P",
            },
        },
        "frames": {
            "type": "PreviewImage",
            "pos": [510, 340],
            "size": [320, 260],
            "links": {"images": ["film", "frames"]},
        },
        "video": {
            "type": "SaveVideo",
            "pos": [510, 660],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-video"},
            "links": {"video": ["film", "video"]},
        },
        "note": note("any"),
    },
    "Skyport Picture from Words (App)": {
        "make": {
            "type": "SkyportAnyTextToImage",
            "pos": [60, 340],
            "size": [400, 480],
            "values": {
                "prompt": "A lighthouse above a quiet bay, boats on their way home",
                "model": "nano-banana",
            },
        },
        "save": {
            "type": "SaveImage",
            "pos": [510, 340],
            "size": [400, 480],
            "values": {"filename_prefix": "skyport-picture"},
            "links": {"images": ["make", "images"]},
        },
        "note": note("picture_app"),
    },
    "Skyport Rows of a Table": {
        "rows": {
            "type": "SkyportLoadRows",
            "pos": [60, 340],
            "size": [320, 340],
            "values": {"file": "skyport-rows.csv", "columns": "prompt, seed:INT"},
        },
        "make": {
            "type": "SkyportAnyTextToImage",
            "pos": [430, 340],
            "size": [400, 480],
            "values": {"model": "nano-banana"},
            "links": {"prompt": ["rows", "column_1"], "seed": ["rows", "column_2"]},
        },
        "save": {
            "type": "SaveImage",
            "pos": [880, 340],
            "size": [400, 480],
            "values": {"filename_prefix": "skyport-row"},
            "links": {"images": ["make", "images"]},
        },
        "note": note("rows"),
    },
    "Skyport Photo to Video (App)": {
        "load": LOAD,
        "film": {
            "type": "SkyportAnyImageToVideo",
            "pos": [430, 340],
            "size": [400, 520],
            "values": {
                "prompt": "The boats set sail, the camera follows them slowly",
                "model": "kling",
            },
            "links": {"image": ["load", "IMAGE"]},
        },
        "frames": {
            "type": "PreviewImage",
            "pos": [880, 340],
            "size": [320, 260],
            "links": {"images": ["film", "frames"]},
        },
        "video": {
            "type": "SaveVideo",
            "pos": [880, 660],
            "size": [320, 340],
            "values": {"filename_prefix": "skyport-video"},
            "links": {"video": ["film", "video"]},
        },
        "note": note("video_app"),
    },
}


# What their form shows in App Mode: (node type, widget) of its inputs, and the type of its output.
APPS: Mapping[str, tuple[Sequence[tuple[str, str]], str]] = {
    "Skyport Picture from Words (App)": (
        [("SkyportAnyTextToImage", "prompt"), ("SkyportAnyTextToImage", "model")],
        "SaveImage",
    ),
    "Skyport Photo to Video (App)": (
        [("LoadImage", "image"), ("SkyportAnyImageToVideo", "prompt")],
        "SaveVideo",
    ),
}


def main(names: Collection[str], check_only: bool) -> None:
    with tempfile.TemporaryDirectory() as room:
        if not check_only:
            with host(Path(room) / "plain", {}) as plain, open_editor(plain) as editor:
                for name in names:
                    build(editor, name, EXAMPLES[name])
        sandbox = {"SKYPORT_SANDBOX": "1", "SKYPORT_SANDBOX_SCENES": "1"}
        with host(Path(room) / "sandbox", sandbox) as tried, open_editor(tried) as editor:
            for name in names:
                prompt, seen = try_out(editor, name, tried.base)
                if not check_only:
                    write(FOLDER / "api" / f"{name}.json", prompt)
                    save_thumbnail(name, tiles_of(name, seen))


def host(base: Path, env: Mapping[str, str]) -> ComfyUI:
    """A ComfyUI with our picture in its input folder and no key: only built-in models show."""
    (base / "input").mkdir(parents=True)
    shutil.copy(DEMO_PICTURE, base / "input" / PICTURE)
    own = {"SKYPORT_HOME": str(base / "home"), "HAIYI_API_KEY": ""}
    frontend = os.environ.get("COMFYUI_FRONTEND")
    args = ["--front-end-root", frontend] if frontend else []
    return ComfyUI(Path(os.environ["COMFYUI_PATH"]), base=base, env={**own, **env}, args=args)


def build(editor: Editor, name: str, graph: Graph) -> None:
    editor.build(graph)
    own_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"skyport/{name}"))
    workflow = {**editor.workflow(), "id": own_id}
    if name in APPS:
        workflow["extra"] = {**workflow.get("extra", {}), **app_mode(workflow, *APPS[name])}
    write(FOLDER / f"{name}.json", workflow)


def app_mode(
    workflow: Mapping[str, Any], inputs: Sequence[tuple[str, str]], output: str
) -> dict[str, Any]:
    """What the editor saves of a workflow that opens as an app."""
    ids = {node["type"]: node["id"] for node in workflow["nodes"]}
    shown = [[ids[kind], widget] for kind, widget in inputs]
    return {"linearMode": True, "linearData": {"inputs": shown, "outputs": [ids[output]]}}


def try_out(editor: Editor, name: str, base: Path) -> tuple[dict[str, Any], list[Image.Image]]:
    """Load the saved file as a user does and run it: what was queued, and the pictures it made."""
    editor.load(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))
    prompt = editor.prompt()
    entry = editor.run()
    if entry["status"]["status_str"] != "success":
        raise RuntimeError(f"{name}: {entry['status']['messages']}")
    for node in prompt.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = TWIN_PICTURE
    seen = pictures(entry, base)
    print(f"{name}: {len(prompt)} nodes, {len(seen)} pictures")
    return prompt, seen


def pictures(entry: Mapping[str, Any], base: Path) -> list[Image.Image]:
    """Every still picture that a run showed."""
    shown = (one for output in entry["outputs"].values() for one in output.get("images", []))
    paths = [base / one["type"] / one["subfolder"] / one["filename"] for one in shown]
    return [Image.open(path).convert("RGB") for path in paths if path.suffix == ".png"]


def save_thumbnail(name: str, tiles: list[Image.Image]) -> None:
    """One, two or four pictures side by side."""
    across, down = min(2, len(tiles)), max(1, len(tiles) // 2)
    size = (THUMBNAIL[0] // across, THUMBNAIL[1] // down)
    sheet = Image.new("RGB", THUMBNAIL)
    for number, tile in enumerate(tiles):
        place = (number % across * size[0], number // across * size[1])
        sheet.paste(ImageOps.fit(tile, size), place)
    sheet.save(FOLDER / f"{name}.jpg", quality=85)


def tiles_of(name: str, seen: list[Image.Image]) -> list[Image.Image]:
    if "Video" in name:
        return [seen[len(seen) * part // 4] for part in range(4)]
    if "Rows" in name:
        return seen[:4]
    return [Image.open(DEMO_PICTURE).convert("RGB"), seen[-1]] if "Run" in name else [seen[-1]]


def write(path: Path, tree: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if name != "--check"]
    main(chosen or EXAMPLES, check_only="--check" in sys.argv)
