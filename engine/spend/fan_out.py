"""How many tasks a node orders: one for each item that its links bring, as far as that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any

from ..base.json_tree import number
from ..base.types import Json
from ..workflows.api_format import Workflow
from ..workflows.graph import (
    KEEP_LOCAL,
    LOAD_ROWS,
    REMOTE_INPUT,
    ROW_COLUMNS,
    RUN_IN_CLOUD,
    THIS_MACHINE,
    Link,
    links_of,
)
from .drivers import driver_name

_MOST = 1_000_000  # items that are counted: no machine holds as many pictures
_MODEL = "model."  # begins the names of a model's own inputs
_FRAMES = ("LoadImage", "LoadImageOutput")  # an animated file is a batch of its frames
_ONE_FILE = ("LoadImageMask", "LoadVideo", "LoadAudio", "VHS_LoadAudio", "VHS_LoadAudioUpload")
# Nodes of ComfyUI that give as many images as they take.
_SAME_NUMBER = (
    "ImageBlur",
    "ImageColorToMask",
    "ImageCrop",
    "ImageFlip",
    "ImageInvert",
    "ImagePadForOutpaint",
    "ImageQuantize",
    "ImageRotate",
    "ImageScale",
    "ImageScaleBy",
    "ImageScaleToMaxDimension",
    "ImageScaleToTotalPixels",
    "ImageSharpen",
    "ImageToMask",
    "ImageUpscaleWithModel",
    "MaskToImage",
    KEEP_LOCAL,
)
_TAKEN = ("value", "image", "images", "mask")  # the inputs whose items they take


@dataclass(frozen=True)
class Number:
    """A number of items: at least `count` where it is not exact."""

    count: int = 1
    exact: bool = True

    def __add__(self, other: Number) -> Number:
        return _counted(self.count + other.count, self.exact and other.exact)

    def times(self, factor: Number) -> Number:
        return _counted(self.count * factor.count, self.exact and factor.exact)

    def or_more(self, other: Number) -> Number:
        return Number(max(self.count, other.count), self.exact and other.exact)


ONE, SOME = Number(), Number(1, exact=False)


def _counted(count: int, exact: bool = True) -> Number:
    return Number(min(count, _MOST), exact and count <= _MOST)


class FanOut:
    """Counts what links bring.

    frames   of the file that a loader names, or its rows; None where that is not known
    results  of one task of a node of ours, at one of its outputs
    """

    def __init__(
        self,
        prompt: Workflow,
        frames: Callable[[Mapping[str, Any]], int | None],
        results: Callable[[str, int], Number],
    ) -> None:
        self._prompt = prompt
        self._frames = frames
        self._results = results
        self._tasks: dict[str, Number] = {}
        self._items: dict[Link, Number] = {}

    def tasks(self, node_id: str) -> Number:
        """The tasks of a node of ours: several items on one socket are a task each."""
        if node_id not in self._tasks:
            self._tasks[node_id] = SOME  # in a circle, which ComfyUI refuses
            links = links_of(self._prompt[node_id])
            brought = [self._brought(name, link) for name, link in links]
            self._tasks[node_id] = reduce(Number.or_more, brought, ONE)
        return self._tasks[node_id]

    def _brought(self, name: str, link: Link) -> Number:
        own = name.removeprefix(_MODEL)
        if self._is_rows(link):
            return self.items(link)  # a list: the node runs once for each
        if own == "seed" or driver_name(own):
            return ONE
        if "." in own and own.rpartition(".")[2].startswith("image"):
            return ONE  # the images of a batch are references of one task
        return self.items(link)

    def _is_rows(self, link: Link) -> bool:
        origin = self._origin(link)
        return origin is not None and self._prompt.get(origin[0], {}).get("class_type") == LOAD_ROWS

    def items(self, link: Link) -> Number:
        """The items that a link brings: images of a batch, or entries of a list."""
        origin = self._origin(link)
        if origin is None:
            return ONE
        if origin not in self._items:
            self._items[origin] = SOME  # in a circle, or deeper than Python can follow
            with suppress(RecursionError):
                self._items[origin] = self._items_at(origin)
        return self._items[origin]

    def _items_at(self, origin: Link) -> Number:
        node = self._prompt.get(origin[0])
        if node is None or _passes_on(node):
            return SOME
        kind = node["class_type"]
        if kind == LOAD_ROWS:
            return self._rows(node, origin[1])
        if kind in _FRAMES:
            return Number(self._frames(node) or 1).times(self.tasks(origin[0]))
        if kind in _ONE_FILE or kind.startswith("Primitive"):
            return self.tasks(origin[0])
        if kind == REMOTE_INPUT:
            return self._linked(node, "value").or_more(self._linked(node, "inputs"))
        return self._pictures(node) or self.tasks(origin[0]).times(self._results(*origin))

    def _rows(self, node: Mapping[str, Any], output: int) -> Number:
        if output >= ROW_COLUMNS:  # their number: a single value
            return ONE
        found = self._frames(node)
        return SOME if found is None else Number(max(found, 1))

    def _origin(self, link: Link) -> Link | None:
        """The link beyond nodes that give as many items as they take; None for a value."""
        passed: set[str] = set()
        while (node := self._prompt.get(link[0])) and _passes_on(node) and link[0] not in passed:
            passed.add(link[0])
            links = dict(links_of(node))
            taken = next((links[name] for name in _TAKEN if name in links), None)
            if taken is None:
                return None
            link = taken
        return link

    def _pictures(self, node: Mapping[str, Any]) -> Number | None:
        """What nodes of ComfyUI give that count images; None for any other node."""
        inputs, kind = node["inputs"], node["class_type"]
        if kind == "EmptyImage":
            return _amount(inputs.get("batch_size"))
        if kind == "ImageBatch":
            return self._linked(node, "image1") + self._linked(node, "image2")
        if kind == "RepeatImageBatch":
            return self._linked(node, "image").times(_amount(inputs.get("amount")))
        if kind == "ImageFromBatch":
            length = _amount(inputs.get("length"))
            return length if length == ONE else SOME
        return None

    def _linked(self, node: Mapping[str, Any], *names: str) -> Number:
        """What the first of these inputs brings; one where it holds a value of its own."""
        linked = dict(links_of(node))
        link = next((linked[name] for name in names if name in linked), None)
        return ONE if link is None else self.items(link)


def _passes_on(node: Mapping[str, Any]) -> bool:
    """Whether a node gives as many items as it takes."""
    is_run = node["class_type"] == RUN_IN_CLOUD
    return node["class_type"] in _SAME_NUMBER or (
        is_run and node["inputs"].get("where") == THIS_MACHINE
    )


def _amount(value: Json) -> Number:
    found = number(value)
    return SOME if found is None or found < 1 else _counted(int(found))
