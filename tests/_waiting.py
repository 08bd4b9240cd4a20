"""How tests wait for what happens elsewhere: until it has happened, however long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds after which a test calls it a hang. Nothing else may hang on it: a machine where twenty
# others are at work is an order of magnitude slower, and tests must tell the same there.
PATIENCE = 300.0
PATIENT = (PATIENCE, PATIENCE)  # the same, for an Http: to connect, and without a byte
_LOOK = 0.02  # seconds between two looks


def until(happened: Callable[[], T]) -> T:
    """What `happened` tells, as soon as that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE:g} s"
        time.sleep(_LOOK)
    return found
