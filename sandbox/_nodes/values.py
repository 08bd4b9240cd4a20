"""Nodes that hold one value, or show it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._files import TEXT_ENDING
from .kinds import (
    ANY,
    BOOLEAN,
    FLOAT,
    INT,
    STRING,
    TEXT,
    NodeClass,
    linked,
    number,
    switch,
    text,
    whole,
)


def _same(value: Any) -> Any:
    return value


def _show(source: Any, new_path: Callable[[], Path]) -> list[Path]:
    path = new_path().with_suffix(TEXT_ENDING)
    path.write_text(str(source), encoding="utf-8")
    return [path]


NODES = (
    NodeClass("PreviewAny", {"source": linked(ANY)}, (STRING,), _show, saves=TEXT),
    NodeClass("PrimitiveInt", {"value": whole(-sys.maxsize, sys.maxsize, 0)}, (INT,), _same),
    NodeClass("PrimitiveFloat", {"value": number(-sys.maxsize, sys.maxsize, 0)}, (FLOAT,), _same),
    NodeClass("PrimitiveString", {"value": text()}, (STRING,), _same),
    NodeClass("PrimitiveStringMultiline", {"value": text()}, (STRING,), _same),
    NodeClass("PrimitiveBoolean", {"value": switch(False)}, (BOOLEAN,), _same),
)
