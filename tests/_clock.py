"""The sandbox's time in the hands of a test: what takes long ends when the test says so."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONG = "[[slow:3600]]"  # in a prompt: longer than any test, at the pace of tests


class Clock:
    """For `start(pace=..., clock=...)`: runs as the real one does, jumps, and stands still.

    What must be seen while a task is under way is asked of a LONG one; `forward` ends it, once the
    sandbox has it in its `tasks`: a request that it has only heard of has not begun.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._still: float | None = None

    def __call__(self) -> float:
        return time.monotonic() + self._ahead if self._still is None else self._still

    def forward(self, seconds: float = 3600.0) -> None:
        """Let so much time pass at once; by default, until every task is at its end."""
        if self._still is None:
            self._ahead += seconds
        else:
            self._still += seconds

    @contextmanager
    def still(self) -> Iterator[None]:
        """No time passes in here but what `forward` lets pass."""
        self._still = self()
        try:
            yield
        finally:
            self._ahead = self._still - time.monotonic()
            self._still = None


class TickingClock:
    """Each look at it takes `step` seconds: whoever waits for many pieces waits long."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._looks = itertools.count()

    def __call__(self) -> float:
        return next(self._looks) * self._step


class StoppedClock:
    """Stands still until a test moves it."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
