"""How many orders a platform takes side by side, as its own answers tell. Pure, no I/O."""

from __future__ import annotations

import math

from ..http.retry import MAX_RETRY_AFTER

_FIRST_PAUSE, _MAX_PAUSE = 1.0, 30.0  # seconds after a refusal before one order more is tried


class Room:
    """Times are seconds on one clock.

    most          orders side by side, None as long as the platform has refused none as too many
    closed_until  when one order more than it surely takes is tried again
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.closed_until = -math.inf
        self._cut = -math.inf
        self._proven = 0  # orders that it held when it last refused one more
        self._refusals = 0  # in a row, none of them above an order that it has taken

    def limit(self, now: float, taken: int) -> float:
        """How many orders may be sent or under way; `taken` are those that the platform holds.

        As many as it held when it refused one; after a pause one more than it holds now.
        """
        if self.most is None:
            return math.inf
        return self._proven if now < self.closed_until else max(self.most, taken + 1)

    def refuse(
        self, now: float, sent: float, taken: int, under_way: int, retry_after: float | None = None
    ) -> None:
        """The platform refuses an order that was sent at `sent`, as it has too many.

        Halves the limit, at most to what it holds. Orders that were on their way when that was last
        done do not halve it again.
        """
        if sent < self._cut:
            return
        self.most = max(1, taken, (self.most or under_way) // 2)
        self._cut, self._proven = now, taken
        pause = min(_FIRST_PAUSE * 2**self._refusals, _MAX_PAUSE)
        if retry_after is not None:
            pause = min(max(retry_after, _FIRST_PAUSE), MAX_RETRY_AFTER)
        self.closed_until = now + pause
        self._refusals = min(self._refusals + 1, 10)

    def accept(self, now: float, taken: int) -> bool:
        """The platform has taken an order, with which it holds `taken`; whether the limit grows."""
        if self.most is None or now < self.closed_until:
            return False
        if taken > self._proven:
            self._refusals = 0
        if taken < self.most:
            return False
        self.most = taken + 1
        return True
