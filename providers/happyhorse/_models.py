"""HappyHorse's rows, the tables of its document in models.json, as Model and Param."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...engine.base.types import Choice, MediaRule, Model, Param
from ._suggestions import suggested, suggestion

_MB = 1024 * 1024
_LAST = re.compile(r"(\w+)(?:\[\w*\])?$")
_SAME_NAME = ("min_seconds", "max_seconds")  # in a row and in a MediaRule


def read(row: Mapping[str, Any]) -> Model:
    """`row` as a Model. Raises KeyError, TypeError or ValueError where it cannot be one."""
    return Model(
        platform="happyhorse",
        id=row["model"],
        task=row["task"],
        label=row["label"],
        params=tuple(_param(row["model"], field) for field in row["fields"]),
        retired=bool(row.get("retired")),
        endpoint=row["route"],
        shape=row.get("shape", ""),
    )


def _param(model: str, field: Mapping[str, Any]) -> Param:
    name = field.get("name") or _name(field["path"])
    return Param(
        name=name,
        type=field["type"],
        required=field["required"],
        default=field.get("default"),
        min=field.get("min"),
        max=field.get("max"),
        choices=tuple(map(Choice, field.get("options", ()))),
        max_items=field.get("most"),
        together=tuple(field.get("together", ())),
        media=_rule(field.get("media", {}), field.get("advised")),
        help="\n".join(filter(None, (field.get("help"), suggestion(model, name)))),
        path=field["path"],
        copies=tuple(field.get("copies", {}).items()),
        leaves=field.get("leaves", ""),
        mask_of=field.get("mask_of", ""),
        suggested=suggested(model, name),
    )


def _name(path: str) -> str:
    """The last name of `path`: `ratio` for `parameters.ratio`."""
    match = _LAST.search(path)
    if match is None:
        raise ValueError(path)
    return match[1]


def _rule(limits: Mapping[str, Any], advised: Mapping[str, Any] | None = None) -> MediaRule:
    """`min_side` and `max_side` limit the width and the height alike."""
    least, most, size = limits.get("min_side"), limits.get("max_side"), limits.get("max_mb")
    return MediaRule(
        formats=tuple(limits.get("formats", ())),
        max_bytes=None if size is None else size * _MB,
        min_width=least,
        min_height=least,
        max_width=most,
        max_height=most,
        codecs=tuple(limits.get("codecs", ())),
        advised=None if advised is None else _rule(advised),
        **{name: limits[name] for name in _SAME_NAME if name in limits},
    )
