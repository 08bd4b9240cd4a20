"""Values made here enter a workflow that runs elsewhere, and its own are saved there.

Only with nodes that every ComfyUI has. What an 8-bit picture, a mask, a sound of 16 bits or a file
holds arrives as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..base.types import Json, MediaFile
from .api_format import Workflow
from .graph import Link, apart

# Type of a value: the class that saves it, and its input. In newer ComfyUIs they pass it on, too.
_SAVERS = {
    "IMAGE": ("SaveImage", "images"),
    "VIDEO": ("SaveVideo", "video"),
    "AUDIO": ("SaveAudio", "audio"),
}
_LOADERS = {"VIDEO": ("LoadVideo", "file"), "AUDIO": ("LoadAudio", "audio")}
_PREFIX = "skyport"


class RemoteWorkflowBuilder:
    """A copy of a workflow to which loaders and savers are added."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow: Workflow = {
            node_id: {**node, "inputs": dict(node["inputs"])} for node_id, node in workflow.items()
        }
        numbers = re.findall(r"\d{1,9}", " ".join(workflow))
        self._next = max(map(int, numbers), default=0) + 1

    def put(self, targets: Sequence[str], value: Json) -> None:
        """`value`, a literal or a link, at each target (`73.image`)."""
        for target in targets:
            node_id, name = apart(target, self.workflow)
            self.workflow[node_id]["inputs"][name] = value

    def load(self, kind: str, files: Sequence[MediaFile], alpha: bool = False) -> Json:
        """A link to what the files hold: one IMAGE or MASK batch, one VIDEO or AUDIO.

        alpha  the pictures have four channels
        """
        if kind in _LOADERS:
            class_type, name = _LOADERS[kind]
            return self._add(class_type, {name: files[0]})
        pictures = [self._picture(file, alpha) for file in files]
        batch = self._joined(pictures)
        return (
            self._add("ImageToMask", {"image": batch, "channel": "red"})
            if kind == "MASK"
            else batch
        )

    def save(self, link: Link, kind: str) -> str:
        """The id of the node that saves the output: the one that makes it, or a new one."""
        class_type, name = _SAVERS["IMAGE" if kind == "MASK" else kind]
        if link[1] == 0 and self.workflow[link[0]]["class_type"] == class_type:
            return link[0]
        made: Json = list(link)
        if kind == "MASK":
            made = self._add("MaskToImage", {"mask": made})
        more = {"format": "auto", "codec": "auto"} if kind == "VIDEO" else {}
        saver = self._add(class_type, {name: made, "filename_prefix": _PREFIX, **more})
        return str(saver[0])

    def _picture(self, file: MediaFile, alpha: bool) -> list[Any]:
        loaded = self._add("LoadImage", {"image": file})
        if not alpha:
            return loaded
        # LoadImage gives colours and 1 - alpha apart; this turns it round again.
        inputs = {"image": loaded, "alpha": [loaded[0], 1]}
        return self._add("JoinImageWithAlpha", inputs)

    def _joined(self, pictures: Sequence[list[Any]]) -> list[Any]:
        """Halves first: joined one by one, each picture would be copied once for each after it."""
        if len(pictures) == 1:
            return pictures[0]
        half = len(pictures) // 2
        both = [self._joined(pictures[:half]), self._joined(pictures[half:])]
        return self._add("ImageBatch", {"image1": both[0], "image2": both[1]})

    def _add(self, class_type: str, inputs: dict[str, Any]) -> list[Any]:
        node_id, self._next = str(self._next), self._next + 1
        title = f"Skyport {class_type}"
        self.workflow[node_id] = {
            "class_type": class_type,
            "inputs": inputs,
            "_meta": {"title": title},
        }
        return [node_id, 0]
