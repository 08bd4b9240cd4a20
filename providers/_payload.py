"""Walking a request's JSON tree, in which a MediaFile stands for a file still to be hosted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ._types import Json, MediaFile


def files_in(tree: Json) -> list[MediaFile]:
    """The distinct files of `tree`, in the order they stand in it."""
    return list({(file.sha256, file.name): file for file in leaves(tree, MediaFile)}.values())


def with_files(tree: Json, place: Callable[[MediaFile], Json]) -> Json:
    """A copy of `tree` with `place(file)` where each file stood."""
    if isinstance(tree, MediaFile):
        return place(tree)
    if isinstance(tree, dict):
        return {key: with_files(value, place) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [with_files(value, place) for value in tree]
    return tree


def leaves(tree: Json, wanted: type[Any]) -> Iterator[Any]:
    """Every value of type `wanted` in `tree`, depth first."""
    if isinstance(tree, wanted):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value, wanted)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from leaves(value, wanted)


def urls_in(tree: Json) -> frozenset[str]:
    """Every http(s) URL that stands alone as a value in `tree`."""
    return frozenset(text for text in leaves(tree, str) if text.startswith(("http://", "https://")))
