"""Makes subgraphs/ anew: ready-made parts of graphs, which the editor offers as blueprints.

COMFYUI_PATH=/path/to/ComfyUI python tests/editor/blueprints.py            # all
COMFYUI_PATH=/path/to/ComfyUI python tests/editor/blueprints.py NAME...    # only these

COMFYUI_FRONTEND names the static folder of another frontend than the installed one; files of an
older one open in newer ones.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editor import Editor, Graph, open_editor
from examples import host, write
from skyport.demo._host import PACK

FOLDER = PACK / "subgraphs"

# Puts all nodes into one subgraph, and its inputs and outputs on it: [name, node type, slot name].
_WRAP = """
([name, inputs, outputs]) => {
  const { graph } = app;
  const { subgraph, node } = graph.convertToSubgraph(new Set(graph.nodes));
  const of = (type) => subgraph.nodes.find((one) => one.type === type);
  const bare = (one) => one.linkIds.length === 0;
  for (const one of [...subgraph.inputs].filter(bare)) subgraph.removeInput(one);
  for (const [label, type, slot] of inputs) {
    const inner = of(type);
    const found = inner.inputs.find((one) => one.name === slot);
    if (!found) throw new Error(`${type} has no input ${slot}`);
    subgraph.addInput(label, found.type).connect(found, inner);
  }
  for (const [label, type, slot] of outputs) {
    const inner = of(type);
    const found = inner.outputs.find((one) => one.name === slot);
    if (!found) throw new Error(`${type} has no output ${slot}`);
    const made = found.type === "*" ? "IMAGE" : found.type;
    subgraph.addOutput(label, made).connect(found, inner);
  }
  subgraph.name = node.title = name;
  node.pos = [60, 60];
  node.setSize(node.computeSize());
}
"""


@dataclass(frozen=True)
class Blueprint:
    """A part of a graph. Its inputs and outputs: (name on the outside, node type, name inside)."""

    about: str
    nodes: Graph
    inputs: Sequence[tuple[str, str, str]]
    outputs: Sequence[tuple[str, str, str]]


def in_cloud(source: str, output: str, **where: Any) -> dict[str, Any]:
    chosen = where or {"": "HaiYi", ".cluster": "auto"}
    return {
        "type": "SkyportRunInCloud",
        "pos": [400, 0],
        "size": [300, 160],
        "values": {f"where{name}": value for name, value in chosen.items()},
        "links": {"value": [source, output]},
    }


RUN = "SkyportRunInCloud"
ANY_IMAGE, ANY_VIDEO = "SkyportAnyTextToImage", "SkyportAnyImageToVideo"
EDIT, EXTEND = "SkyportHaiyiImageToImage", "SkyportHappyHorseExtendVideo"
VIDEO = ("video", "frames", "audio")

BLUEPRINTS: Mapping[str, Blueprint] = {
    "Skyport Upscale in Cloud": Blueprint(
        "Scales an image up in a cloud. Open it to put another upscaler in: its model need not be "
        "on this machine.",
        {
            "scale": {
                "type": "ImageScaleBy",
                "pos": [0, 0],
                "values": {"upscale_method": "lanczos", "scale_by": 2},
            },
            "run": in_cloud("scale", "IMAGE"),
        },
        [("image", "ImageScaleBy", "image"), ("scale by", "ImageScaleBy", "scale_by")],
        [("image", RUN, "value")],
    ),
    "Skyport Image Steps in Cloud": Blueprint(
        "Runs steps on an image in a cloud, on HaiYi, GPUGeek or where you choose. Open it to put "
        "your own nodes before Run in Cloud: they and their models need not be on this machine.",
        {
            "invert": {"type": "ImageInvert", "pos": [0, 0]},
            "run": in_cloud("invert", "IMAGE"),
        },
        [("image", "ImageInvert", "image")],
        [("image", RUN, "value")],
    ),
    "Skyport Image Steps on Another ComfyUI": Blueprint(
        "Runs steps on an image on another ComfyUI of yours, with its nodes and models: the one "
        "with the shortest queue that has them. Open it to put your own nodes before Run in Cloud.",
        {
            "invert": {"type": "ImageInvert", "pos": [0, 0]},
            "run": in_cloud("invert", "IMAGE", **{"": "ComfyUI", ".server": "auto"}),
        },
        [("image", "ImageInvert", "image")],
        [("image", RUN, "value")],
    ),
    "Skyport Text to Image on Any Cloud": Blueprint(
        "Makes images from text on the first platform that takes the task.",
        {
            "make": {
                "type": ANY_IMAGE,
                "pos": [0, 0],
                "values": {"prompt": "A lighthouse at dawn", "model": "nano-banana"},
            }
        },
        [("prompt", ANY_IMAGE, "prompt"), ("seed", ANY_IMAGE, "seed")],
        [("images", ANY_IMAGE, "images")],
    ),
    "Skyport Image to Video on Any Cloud": Blueprint(
        "Makes a video that begins with an image, on the first platform that takes the task.",
        {
            "make": {
                "type": ANY_VIDEO,
                "pos": [0, 0],
                "values": {"prompt": "The camera glides slowly forward", "model": "kling"},
            }
        },
        [
            ("image", ANY_VIDEO, "image"),
            ("prompt", ANY_VIDEO, "prompt"),
            ("seed", ANY_VIDEO, "seed"),
        ],
        [(name, ANY_VIDEO, name) for name in VIDEO],
    ),
    "Skyport Remove Background": Blueprint(
        "Puts what an image shows on plain white, on HaiYi. Other words change it otherwise: "
        "relight it, dress it, move it to another place.",
        {
            "edit": {
                "type": EDIT,
                "pos": [0, 0],
                "values": {
                    "prompt": "Remove the background: the subject alone, unchanged, on plain white",
                    "model": "google/gemini-3-pro-image-preview",
                },
            }
        },
        [
            ("image", EDIT, "model.images.image0"),
            ("prompt", EDIT, "prompt"),
            ("seed", EDIT, "seed"),
        ],
        [("images", EDIT, "images")],
    ),
    "Skyport Extend Video": Blueprint(
        "Continues a video from its end, on HappyHorse.",
        {
            "extend": {
                "type": EXTEND,
                "pos": [0, 0],
                "values": {"prompt": "The camera goes on", "model": "wan2.7-i2v"},
            }
        },
        [("video", EXTEND, "video"), ("prompt", EXTEND, "prompt"), ("seed", EXTEND, "seed")],
        [(name, EXTEND, name) for name in VIDEO],
    ),
}


def main() -> None:
    room = tempfile.TemporaryDirectory()
    with room, host(Path(room.name) / "plain", {}) as plain, open_editor(plain) as editor:
        for name in sys.argv[1:] or BLUEPRINTS:
            write(FOLDER / f"{name}.json", made(editor, name, BLUEPRINTS[name]))
            print(name)


def made(editor: Editor, name: str, blueprint: Blueprint) -> dict[str, Any]:
    """What the editor saves of it, with ids of its own and what the editor's library says of it."""
    editor.build(blueprint.nodes)
    editor.page.evaluate(_WRAP, [name, list(blueprint.inputs), list(blueprint.outputs)])
    editor.page.wait_for_timeout(500)
    workflow = editor.workflow()
    subgraph = workflow["definitions"]["subgraphs"][0]
    subgraph |= {"category": "Skyport", "description": blueprint.about}
    own_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"skyport/subgraphs/{name}"))
    text = json.dumps(workflow).replace(subgraph["id"], own_id)
    own = {"BlueprintDescription": blueprint.about, "BlueprintSearchAliases": ["skyport", "cloud"]}
    inner = str(uuid.uuid5(uuid.NAMESPACE_URL, f"skyport/subgraphs/{name}/workflow"))
    return {**json.loads(text), "id": inner, "extra": own}


if __name__ == "__main__":
    sys.exit(main())
