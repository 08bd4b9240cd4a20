"""When to ask a platform again: pure decisions and one gate, no I/O.

40 polls a minute are allowed for a task, so a steady 1.5 s between polls is the best there is when
nothing is known: half of all tasks are then noticed within 0.75 s of their end, whenever that is.
Going faster for a while would have to be paid for by a long gap later. Where an end is expected, a
little is saved on the way there, and spent on a poll just after it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from ..base.errors import SkyportError

POLLS_A_MINUTE = 40
POLLS_A_SECOND = 11  # of one platform; 12 are allowed, one is left for the jitter of threads
_STEADY = 1.5
_SAVING = 1.55  # while the end is expected within _SOON of the start, and still _AHEAD
_SOON, _AHEAD = 75.0, 2.0  # later ends are not known well enough to be worth it
_JUST_AFTER = (0.12, 0.72)  # the second look is for an end that comes a little late
_FORESEEN = 2  # polls a task may spend on an expected end; more could use up its minute
_WORTH = 0.2  # a poll less than this before the regular one, or after the last one, gains nothing


class Pace:
    """The polls of one task. Times are seconds of one clock."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._polls: deque[float] = deque(maxlen=POLLS_A_MINUTE)
        self._foreseen = _FORESEEN

    def polled(self, now: float) -> None:
        """Note a poll, each attempt of a repeated one included."""
        early = self._polls and now < self._polls[-1] + _STEADY - _WORTH
        self._foreseen -= 1 if early else 0
        self._polls.append(now)

    def allowed(self) -> float:
        """From when on another poll keeps to the allowance."""
        full = len(self._polls) == POLLS_A_MINUTE
        return self._polls[0] + 60.0 if full else self._started

    def next_poll(self, expected_end: float | None = None) -> float:
        """When the next poll is due; `expected_end` is the best guess of when the task ends."""
        last = self._polls[-1] if self._polls else self._started - _STEADY / 2
        end = math.inf if expected_end is None else expected_end
        foreseen = end <= self._started + _SOON
        slower = self._owes(last) or (foreseen and end > last + _AHEAD)
        due = max(last + (_SAVING if slower else _STEADY), self.allowed())
        if not foreseen:
            return due
        looks = [max(end + after, self.allowed()) for after in _JUST_AFTER]
        gain = [look for look in looks if last + _WORTH < look < due - _WORTH]
        return gain[0] if gain and self._foreseen > 0 else due

    def _owes(self, last: float) -> bool:
        """Whether there were more polls so far than a steady pace would have made."""
        return len(self._polls) * _STEADY > last - self._started + _STEADY / 2 + 0.01

    def took(self) -> float:
        """Seconds from start to end, as near as polls can tell: midway between the last two."""
        last = self._polls[-1] if self._polls else self._started
        before = self._polls[-2] if len(self._polls) > 1 else self._started
        return (before + last) / 2 - self._started


class Forecast:
    """Guesses the end of a task from its progress, else from how long its kind has taken before."""

    def __init__(self, started: float, usual: float | None) -> None:
        self._started = started
        self.usual = usual
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
        return self._started + self.usual if self.usual is not None else None


class RateLimiter:
    """Lets `rate` callers a second pass, evenly spaced, first come first served.

    A task has one poll under way at most, so first come is also a fair share for each.
    """

    def __init__(self, rate: float) -> None:
        self._space = 1.0 / rate
        self._free = 0.0

    async def wait(self) -> None:
        now = asyncio.get_running_loop().time()
        mine = max(now, self._free)
        self._free = mine + self._space
        if mine > now:
            await asyncio.sleep(mine - now)


class ConcurrencyLimit:
    """At most so many holders at once, first come first served; `limit` is asked each time."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a slot. Raises what asking for the limit raises, and nothing is held then."""
        most = self._limit()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._let_in(most)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def leave(self) -> None:
        self._held -= 1
        try:
            most = self._limit()
        except SkyportError:
            # Broken settings must not keep the others waiting for ever, nor cost a result.
            most = self._held + 1
        self._let_in(most)

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.leave()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _let_in(self, most: int) -> None:
        while self._waiting and self._held < most:
            turn = self._waiting.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)
