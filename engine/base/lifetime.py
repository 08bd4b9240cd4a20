"""Seconds that something stays valid, measured so that no change of a clock prolongs them."""

from __future__ import annotations

import time
from collections.abc import Callable


class Lifetime:
    """`seconds` from now. Over as soon as either clock says so.

    The wall clock goes on while the machine sleeps, where the monotonic one may stop; the
    monotonic one goes on when the wall clock is set back.
    """

    def __init__(
        self,
        seconds: float,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ends = [(clock, clock() + seconds) for clock in (wall, monotonic)]

    @property
    def is_over(self) -> bool:
        return any(clock() >= end for clock, end in self._ends)
