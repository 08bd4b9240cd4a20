"""From a row and its parameters to the body that the document shows.

A path is dotted and ends in
    name                a value
    name[]              a list to which the value, or each of several, is added
    name[kind]          a list to which {"type": kind, "url": value} is added for each
    name[kind].other    a value beside that url
and `one + other[]` puts the first of several in one place and the rest in another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.base.types import Json, Model, Param

_SEGMENT = re.compile(r"(\w+)(?:\[(\w*)\])?")


def body(model: Model, parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The body for `model`, of checked parameters keyed as its row names them."""
    return {"model": model.id, **_SHAPES[model.shape](model.params, parameters)}


def _placed(params: Sequence[Param], parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Every value at its path and its copies' paths."""
    tree: dict[str, Json] = {}
    for param in params:
        if param.name in parameters:
            value = parameters[param.name]
            _spread(tree, param.path or param.name, value)
            for path, kind in param.copies:
                _spread(tree, path, str(value) if kind == "string" else value)
    return tree


def _as_messages(params: Sequence[Param], parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The prompt as a message: text alone, or parts of text and pictures where there are any."""
    rest = [param for param in params if not param.path.startswith("messages[]")]
    words, pictures = parameters["prompt"], parameters.get("images", [])
    parts = [{"type": "text", "text": words}]
    parts += [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
    message = {"role": "user", "content": parts if pictures else words}
    return {**_placed(rest, parameters), "messages": [message]}


_SHAPES: Mapping[str, Callable[[Sequence[Param], Mapping[str, Json]], dict[str, Json]]] = {
    "": _placed,
    "messages": _as_messages,
}


def _spread(tree: dict[str, Any], path: str, value: Json) -> None:
    first, _, rest = path.partition(" + ")
    if not rest:
        _put(tree, path, value)
        return
    _put(tree, first, value[0])
    if value[1:]:
        _put(tree, rest, value[1:])


def _put(tree: dict[str, Any], path: str, value: Json) -> None:
    head, _, rest = path.partition(".")
    found = _SEGMENT.fullmatch(head)
    assert found is not None, path
    name, kind = found.groups()
    if rest:
        _put(_inside(tree, name, kind), rest, value)
    elif kind is None:
        tree[name] = value
    else:
        items = value if isinstance(value, list) else [value]
        entries = [{"type": kind, "url": item} for item in items] if kind else items
        tree.setdefault(name, []).extend(entries)


def _inside(tree: dict[str, Any], name: str, kind: str | None) -> dict[str, Any]:
    """The object `name`; of a list, its entry of that kind."""
    if kind is None:
        found: dict[str, Any] = tree.setdefault(name, {})
        return found
    return next(entry for entry in tree[name] if entry["type"] == kind)
