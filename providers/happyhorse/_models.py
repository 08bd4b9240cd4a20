"""HappyHorse's rows, as models.json holds its document's tables, into Model and Param."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...engine.base.types import Choice, MediaRule, Model, Param

_MB = 1024 * 1024
_LAST = re.compile(r"(\w+)(?:\[\w*\])?$")
_AS_THEY_ARE = ("min_seconds", "max_seconds")


def read(row: Mapping[str, Any]) -> Model:
    """Raises KeyError, TypeError or ValueError where `row` is none."""
    return Model(
        platform="happyhorse",
        id=row["model"],
        task=row["task"],
        label=row["label"],
        params=tuple(map(_param, row["fields"])),
        retired=bool(row.get("retired")),
        endpoint=row["route"],
        shape=row.get("shape", ""),
    )


def _param(field: Mapping[str, Any]) -> Param:
    return Param(
        name=field.get("name") or _name(field["path"]),
        type=field["type"],
        required=field["required"],
        default=field.get("default"),
        min=field.get("min"),
        max=field.get("max"),
        choices=tuple(map(Choice, field.get("options", ()))),
        max_items=field.get("most"),
        together=tuple(field.get("together", ())),
        media=_rule(field.get("media", {}), field.get("advised")),
        help=field.get("help", ""),
        path=field["path"],
        copies=tuple(field.get("copies", {}).items()),
        mask_of=field.get("mask_of", ""),
    )


def _name(path: str) -> str:
    """The last name of `path`: `parameters.ratio` is known as `ratio`."""
    found = _LAST.search(path)
    if found is None:
        raise ValueError(path)
    return found[1]


def _rule(told: Mapping[str, Any], advised: Mapping[str, Any] | None = None) -> MediaRule:
    """`min_side` is the least of both sides, `max_side` the most: a short and a long side."""
    least, most, size = told.get("min_side"), told.get("max_side"), told.get("max_mb")
    return MediaRule(
        formats=tuple(told.get("formats", ())),
        max_bytes=None if size is None else size * _MB,
        min_width=least,
        min_height=least,
        max_width=most,
        max_height=most,
        codecs=tuple(told.get("codecs", ())),
        advised=None if advised is None else _rule(advised),
        **{name: told[name] for name in _AS_THEY_ARE if name in told},
    )
