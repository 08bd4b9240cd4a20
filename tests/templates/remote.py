"""The workflows that the clouds would get of a split prompt, with loaders and savers of our own."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from templates.declared import Classes, Prompt
from templates.whole import Whole

PICTURE, CLIP, SOUND = "entering.png", "entering.mp4", "entering.wav"  # files of the input folder

_LOADERS = {
    "IMAGE": ("LoadImage", {"image": PICTURE}),
    "MASK": ("LoadImageMask", {"image": PICTURE, "channel": "red"}),
    "VIDEO": ("LoadVideo", {"file": CLIP}),
    "AUDIO": ("LoadAudio", {"audio": SOUND}),
}
_SAVERS = {"IMAGE": "SaveImage", "VIDEO": "SaveVideo", "AUDIO": "SaveAudio"}
_SAVED_AS = {"IMAGE": "images", "VIDEO": "video", "AUDIO": "audio"}
_VALUES = {"STRING": "a", "INT": 1, "FLOAT": 1.0, "BOOLEAN": True}


def workflows(after: Prompt, classes: Classes) -> Iterator[dict[str, Any]]:
    """One of each part."""
    whole = Whole(after)
    for run, part in whole.parts.items():
        if part["nodes"]:
            nodes = copy.deepcopy(part["nodes"])
            _fill(nodes, whole, run, classes)
            for number, (node_id, index, kind) in enumerate(part["saves"]):
                nodes |= _saver(f"out-{number}", [node_id, index], kind)
            yield nodes


def _fill(nodes: dict[str, Any], whole: Whole, run: str, classes: Classes) -> None:
    links = dict(whole.remote_input_links(run))
    for number, (entry, targets) in enumerate(whole.parts[run]["entries"].items()):
        source, index = whole.origin((("", links[entry][0]), links[entry][1]))
        kind = classes.output_type(whole.node(source)["class_type"], index)
        for target in targets:
            node_id, name = target.split(".", 1)
            kind = kind or classes.input_type(nodes[node_id]["class_type"], name)
            nodes[node_id]["inputs"][name] = _VALUES.get(kind, [f"in-{number}", 0])
        if kind not in _VALUES:
            class_type, inputs = _LOADERS.get(kind, _LOADERS["IMAGE"])
            nodes[f"in-{number}"] = {"class_type": class_type, "inputs": inputs}


def _saver(name: str, link: list[Any], kind: str) -> dict[str, Any]:
    if kind == "MASK":
        mask = {"class_type": "MaskToImage", "inputs": {"mask": link}}
        return {f"{name}-mask": mask, **_saver(name, [f"{name}-mask", 0], "IMAGE")}
    inputs = {_SAVED_AS[kind]: link, "filename_prefix": "a"}
    more = {"format": "auto", "codec": "auto"} if kind == "VIDEO" else {}
    return {name: {"class_type": _SAVERS[kind], "inputs": {**inputs, **more}}}
