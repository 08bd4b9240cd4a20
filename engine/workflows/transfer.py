"""Loaders and savers added to a remote workflow: values enter it from here and come back from it.

It uses only nodes that every ComfyUI has. 8-bit pictures, masks, 16-bit sound and files arrive
unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..base.types import Json, MediaFile
from .api_format import Workflow, parse_target
from .graph import Link
from .part import LITERALS

# By type of the value: the class that saves it, and its input. Newer ComfyUIs' also pass it on.
_SAVERS = {
    "IMAGE": ("SaveImage", "images"),
    "VIDEO": ("SaveVideo", "video"),
    "AUDIO": ("SaveAudio", "audio"),
    **dict.fromkeys(LITERALS, ("PreviewAny", "source")),
}
_LOADERS = {"VIDEO": ("LoadVideo", "file"), "AUDIO": ("LoadAudio", "audio")}
_PREFIX = "skyport"


def _settings(kind: str) -> dict[str, Json]:
    """The other inputs of a saver."""
    if kind in LITERALS:
        return {}
    more = {"format": "auto", "codec": "auto"} if kind == "VIDEO" else {}
    return {"filename_prefix": _PREFIX, **more}


class RemoteWorkflowBuilder:
    """A copy of a workflow to which loaders and savers are added."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow: Workflow = {
            node_id: {**node, "inputs": dict(node["inputs"])} for node_id, node in workflow.items()
        }
        numbers = re.findall(r"\d{1,9}", " ".join(workflow))
        self._next = max(map(int, numbers), default=0) + 1

    def put(self, targets: Sequence[str], value: Json) -> None:
        """Set each target (`73.image`) to `value`, a literal or a link."""
        for target in targets:
            node_id, name = parse_target(target, self.workflow)
            self.workflow[node_id]["inputs"][name] = value

    def load(self, kind: str, files: Sequence[MediaFile], alpha: bool = False) -> Json:
        """Add loaders of the files; a link to one IMAGE or MASK batch, one VIDEO or AUDIO.

        alpha  the pictures have four channels
        """
        if kind in _LOADERS:
            class_type, name = _LOADERS[kind]
            return self._add(class_type, {name: files[0]})
        pictures = [self._picture(file, alpha) for file in files]
        batch = self._batch(pictures)
        return (
            self._add("ImageToMask", {"image": batch, "channel": "red"})
            if kind == "MASK"
            else batch
        )

    def save(self, link: Link, kind: str) -> str:
        """The id of the node that saves the output: the one that makes it, or a new saver."""
        class_type, name = _SAVERS["IMAGE" if kind == "MASK" else kind]
        if link[1] == 0 and self.workflow[link[0]]["class_type"] == class_type:
            return link[0]
        value: Json = list(link)
        if kind == "MASK":
            value = self._add("MaskToImage", {"mask": value})
        saver = self._add(class_type, {name: value, **_settings(kind)})
        return str(saver[0])

    def _picture(self, file: MediaFile, alpha: bool) -> list[Any]:
        loaded = self._add("LoadImage", {"image": file})
        if not alpha:
            return loaded
        # LoadImage returns the colours and, as a mask, 1 - alpha; JoinImageWithAlpha inverts it.
        inputs = {"image": loaded, "alpha": [loaded[0], 1]}
        return self._add("JoinImageWithAlpha", inputs)

    def _batch(self, pictures: Sequence[list[Any]]) -> list[Any]:
        """Joined by halves: one by one, each picture would be copied once for each after it."""
        if len(pictures) == 1:
            return pictures[0]
        half = len(pictures) // 2
        first, second = self._batch(pictures[:half]), self._batch(pictures[half:])
        return self._add("ImageBatch", {"image1": first, "image2": second})

    def _add(self, class_type: str, inputs: dict[str, Any]) -> list[Any]:
        node_id, self._next = str(self._next), self._next + 1
        title = f"Skyport {class_type}"
        self.workflow[node_id] = {
            "class_type": class_type,
            "inputs": inputs,
            "_meta": {"title": title},
        }
        return [node_id, 0]
