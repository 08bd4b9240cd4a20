"""Whether a connection over which a server tells the end of tasks is known to be alive."""

from __future__ import annotations

import time
from collections.abc import Callable

SILENT_AFTER = 12.0  # seconds without a byte


class Liveness:
    """One connection, made again whenever it breaks."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._heard = float("-inf")
        self._count = 0

    @property
    def spell(self) -> int:
        """The number of the time for which it has been alive without a gap; 0 while it is not.

        What was told in a gap is lost: a task polled in an earlier spell may have ended since.
        """
        return self._count if self._now() - self._heard < SILENT_AFTER else 0

    def record(self) -> None:
        """Record that something has come."""
        if not self.spell:
            self._count += 1
        self._heard = self._now()

    def lose(self) -> None:
        self._heard = float("-inf")
