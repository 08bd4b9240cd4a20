"""Nodes that hold one value."""

from __future__ import annotations

import sys
from typing import Any

from .kinds import BOOLEAN, FLOAT, INT, STRING, NodeClass, number, switch, text, whole


def _same(value: Any) -> Any:
    return value


NODES = (
    NodeClass("PrimitiveInt", {"value": whole(-sys.maxsize, sys.maxsize, 0)}, (INT,), _same),
    NodeClass("PrimitiveFloat", {"value": number(-sys.maxsize, sys.maxsize, 0)}, (FLOAT,), _same),
    NodeClass("PrimitiveString", {"value": text()}, (STRING,), _same),
    NodeClass("PrimitiveStringMultiline", {"value": text()}, (STRING,), _same),
    NodeClass("PrimitiveBoolean", {"value": switch(False)}, (BOOLEAN,), _same),
)
