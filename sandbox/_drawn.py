"""Plausible outputs of nodes that are unknown here, drawn from their inputs.

The same inputs always give the same picture; an upload counts by its content, not by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import _requested
from ._draw import DrawSpec
from ._faults import strip_markers
from ._files import StoredFile
from ._film import draw
from ._graph import Node, Prompt, in_order, is_link
from ._nodes import NODES
from ._nodes.decode import load_film, load_image, load_sound
from ._nodes.kinds import ANY, IMAGE, MASK, MEDIA, STRING, TEXT, VIDEO, Array, Film, Input

Find = Callable[[str], "StoredFile | None"]
Link = Sequence[Any]

_FILM_SECONDS = 1.0  # of frames in memory


class Drawn:
    """The outputs of unknown nodes of one workflow; each is drawn once.

    films  the ids of nodes whose pictures become a film: they make several
    """

    def __init__(
        self, prompt: Prompt, find: Find, new_path: Callable[[], Path], films: set[str]
    ) -> None:
        self._prompt = prompt
        self._find = find
        self._new_path = new_path
        self._films = films
        self._made: dict[tuple[str, int, str], Any] = {}

    def value(self, link: Link, expected: Input) -> Any:
        """The value at `link`, of the type that an input expects."""
        if expected.kind not in MEDIA:
            is_text = expected.kind in (STRING, ANY)
            return self._text(link[0]) if is_text else expected.otherwise
        key = (link[0], link[1], expected.kind)
        if key not in self._made:
            self._made[key] = self._make(link, expected)
        return self._made[key]

    def files(self, link: Link, kind: str) -> Iterator[Path]:
        """The files that a saver would have saved from `link`."""
        if kind == TEXT:
            yield from NODES["PreviewAny"].save({"source": self._text(link[0])}, self._new_path)
            return
        spec = self._spec(link, kind)
        for number in range(self._count(link[0]) if kind == "image" else 1):
            yield draw(_numbered(spec, number), self._new_path())

    def _make(self, link: Link, expected: Input) -> Any:
        if expected.kind == IMAGE:
            return self._frames(link) if link[0] in self._films else self._images(link)
        if expected.kind == MASK:
            return self._images(link)[..., 0]
        if expected.kind == VIDEO:
            return Film(path=next(self.files(link, "video")))
        return load_sound(next(self.files(link, "audio")))

    def _images(self, link: Link) -> Array:
        return np.concatenate([load_image(path)[0] for path in self.files(link, "image")])

    def _frames(self, link: Link) -> Array:
        spec = replace(self._spec(link, "video"), seconds=_FILM_SECONDS, sound=False)
        return load_film(Film(path=draw(spec, self._new_path())))[0]

    # -- upstream -------------------------------------------------------------------

    def _spec(self, link: Link, kind: str) -> DrawSpec:
        nodes = self._upstream(link[0])
        variant = json.dumps([link[1], *_settings(nodes)], default=str)
        uploads = (self._upload(node) for node in nodes)
        paths = tuple(path for path in uploads if path)
        return DrawSpec(kind, self._text(link[0]), _size(nodes), sources=paths, variant=variant)

    def _upstream(self, node_id: str) -> list[Node]:
        return [self._prompt[each] for each in in_order(self._prompt, [node_id])]

    def _upload(self, node: Node) -> Path | None:
        name = node["inputs"].get(file_input(node))
        found = self._find(name) if isinstance(name, str) else None
        return found.path if found else None

    def _text(self, node_id: str) -> str:
        """The first prompt upstream."""
        nodes = self._upstream(node_id)
        encoders = [node["inputs"] for node in nodes if "TextEncode" in node["class_type"]]
        texts = (inputs.get(name) for inputs in encoders for name in ("text", "prompt"))
        return next((strip_markers(text) for text in texts if isinstance(text, str)), "")

    def _count(self, node_id: str) -> int:
        latents = [n["inputs"] for n in self._upstream(node_id) if _is_empty_latent(n)]
        return _requested.count({"n": latents[0].get("batch_size", 1)}) if latents else 1


def _numbered(spec: DrawSpec, number: int) -> DrawSpec:
    return replace(spec, variant=f"{spec.variant} {number}") if number else spec


def _is_empty_latent(node: Node) -> bool:
    return node["class_type"].startswith("Empty") and "Latent" in node["class_type"]


def _size(nodes: Sequence[Node]) -> tuple[int, int] | None:
    sizes = (_requested.size(node["inputs"]) for node in nodes if _is_empty_latent(node))
    return next((size for size in sizes if size), None)


def _settings(nodes: Sequence[Node]) -> Iterator[Any]:
    """The classes and widgets of the nodes, without the names of files."""
    for node in nodes:
        name = file_input(node)
        yield (
            node["class_type"],
            {k: v for k, v in node["inputs"].items() if not is_link(v) and k != name},
        )


def file_input(node: Node) -> str:
    """The input that names a loader's file, "" where it is no loader."""
    known = NODES.get(node["class_type"])
    return known.file if known else ""
