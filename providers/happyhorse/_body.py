"""The request body, as the document shows it, from a row and its parameters.

A path is dotted and ends in
    name                a value
    name[]              a list to which the value, or each of several, is added
    name[kind]          a list to which {"type": kind, "url": value} is added for each
    name[kind].other    a value beside that url
and `one + other[]` puts the first of several values at one path and the rest at the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.base.types import Json, Model, Param

_SEGMENT = re.compile(r"(\w+)(?:\[(\w*)\])?")


def body(model: Model, parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The body for `model`, from checked parameters named as in its row."""
    return {"model": model.id, **_SHAPES[model.shape](model.params, parameters)}


def _as_fields(params: Sequence[Param], parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Every value at its path and at the paths of its copies."""
    tree: dict[str, Json] = {}
    for param in params:
        if param.name in parameters:
            value = parameters[param.name]
            _spread(tree, param.path or param.name, value)
            for path, kind in param.copies:
                _spread(tree, path, str(value) if kind == "string" else value)
    return tree


def _as_messages(params: Sequence[Param], parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The prompt as a message: text alone, or a list of text and pictures where there are any."""
    rest = [param for param in params if not param.path.startswith("messages[]")]
    words, pictures = parameters["prompt"], parameters.get("images", [])
    parts = [{"type": "text", "text": words}]
    parts += [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
    message = {"role": "user", "content": parts if pictures else words}
    return {**_as_fields(rest, parameters), "messages": [message]}


_SHAPES: Mapping[str, Callable[[Sequence[Param], Mapping[str, Json]], dict[str, Json]]] = {
    "": _as_fields,
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
    match = _SEGMENT.fullmatch(head)
    assert match is not None, path
    name, kind = match.groups()
    if rest:
        _put(_child(tree, name, kind), rest, value)
    elif kind is None:
        tree[name] = value
    else:
        items = value if isinstance(value, list) else [value]
        entries = [{"type": kind, "url": item} for item in items] if kind else items
        tree.setdefault(name, []).extend(entries)


def _child(tree: dict[str, Any], name: str, kind: str | None) -> dict[str, Any]:
    """The object `name`; in a list, its entry of that kind."""
    if kind is None:
        child: dict[str, Any] = tree.setdefault(name, {})
        return child
    return next(entry for entry in tree[name] if entry["type"] == kind)
