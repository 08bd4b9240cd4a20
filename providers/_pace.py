"""When to ask a platform again: pure decisions and one gate, no I/O.

40 polls a minute are allowed for a task, so a steady 1.5 s between polls is the best there is when nothing is
known: half of all tasks are then noticed within 0.75 s of their end. A little faster in the first minute,
where the allowance is not used up yet; and a poll is moved to where the task is expected to end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

POLLS_A_MINUTE = 40
POLLS_A_SECOND = 11  # of one platform; 12 are allowed, one is left for the jitter of threads
_FIRST = 0.8
_EARLY = 1.43  # for the first 45 s: what the first minute's allowance leaves over
_EARLY_FOR = 45.0
_STEADY = 1.5
_JUST_AFTER = 0.12
_FORESEEN = 2  # polls a task may spend on an expected end; more could use up its minute


class Pace:
    """The polls of one task. Times are seconds of one clock."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._polls: deque[float] = deque(maxlen=POLLS_A_MINUTE)
        self._foreseen = _FORESEEN

    def polled(self, now: float) -> None:
        """Note a poll, each attempt of a repeated one included."""
        self._polls.append(now)

    def next_poll(self, expected_end: float | None = None) -> float:
        """When the next poll is due; `expected_end` is the best guess of when the task will be done."""
        if not self._polls:
            return self._started + _FIRST
        last = self._polls[-1]
        interval = _EARLY if last - self._started < _EARLY_FOR else _STEADY
        due = self._allowed(last + interval)
        if expected_end is not None and self._foreseen and last + 0.2 < expected_end < due - 0.3:
            self._foreseen -= 1
            return self._allowed(expected_end + _JUST_AFTER)
        return due

    def _allowed(self, due: float) -> float:
        if len(self._polls) < POLLS_A_MINUTE:
            return due
        return max(due, self._polls[0] + 60.0)


class Forecast:
    """Guesses the end of a task from its progress, else from how long its kind has taken before."""

    def __init__(self, started: float, usual: float | None) -> None:
        self._started = started
        self._usual = usual
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None

    def saw(self, now: float, progress: float | None) -> None:
        if progress is None or not 0 < progress < 1:
            return
        self._first = self._first or (now, progress)
        self._last = (now, progress)

    def end(self) -> float | None:
        """Expected time of the end on the same clock, None where nothing is known."""
        if self._first and self._last and self._last[1] - self._first[1] >= 0.1:
            (t0, p0), (t1, p1) = self._first, self._last
            return t1 + (1 - p1) * (t1 - t0) / (p1 - p0)
        return self._started + self._usual if self._usual is not None else None


class Gate:
    """Lets `rate` callers a second pass, evenly spaced, first come first served.

    A task has one poll under way at most, so first come is also a fair share for each.
    """

    def __init__(self, rate: float) -> None:
        self._space = 1.0 / rate
        self._free = 0.0

    async def passed(self) -> None:
        now = asyncio.get_running_loop().time()
        mine = max(now, self._free)
        self._free = mine + self._space
        if mine > now:
            await asyncio.sleep(mine - now)


class Slots:
    """At most so many holders at once, first come first served; the limit is asked anew each time."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        if self._held < self._limit() and not self._waiting:
            self._held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def leave(self) -> None:
        self._held -= 1
        self._let_in()

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.leave()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _let_in(self) -> None:
        while self._waiting and self._held < self._limit():
            turn = self._waiting.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)
