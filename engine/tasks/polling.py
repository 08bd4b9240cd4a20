"""When to poll a platform again, and how many calls may run at once. No I/O.

40 polls a minute are allowed for a task, averaged over it or over its first minute, so a steady
1.5 s between polls is best when nothing is known: half of all tasks are then noticed within 0.75 s
of their end, whenever that is. Polling faster for a while would cost a long gap later. When the end
of a task can be predicted, slightly longer intervals on the way there pay for an extra poll just
after it. When it is known how much such tasks vary, few polls are made before that and many then.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any

from ..base.errors import SkyportError

POLLS_A_MINUTE = 40
POLLS_A_SECOND = 11  # of one platform; 12 are allowed, one is spare for thread jitter
_AHEAD = 16  # polls at once of tasks whose end the platform has told itself
_INTERVAL = 1.5
_LONGER_INTERVAL = 1.55  # if the end is within _FORECAST_RANGE and _FORECAST_MARGIN away
_FORECAST_RANGE, _FORECAST_MARGIN = 75.0, 2.0  # seconds; later ends cannot be predicted well enough
_EXTRA_POLL_DELAYS = (0.12, 0.72)  # the second is for an end that comes slightly late
_MAX_EXTRA_POLLS = 2  # per task; more could exhaust its polls of the minute
_LATE = 10.0  # seconds after a poll; the next one is due much earlier
_ENOUGH = 10  # tasks that tell how much their lengths vary
_STEADY = 0.25  # share of its length by which a task may be expected to vary
_WINDOW = 1.3  # spreads before and after the expected end; four of five tasks end in it
_LEAST_SPREAD = 0.15  # seconds
_CLOSEST, _FARTHEST = 0.25, 6.0  # seconds between polls in the window, and before it
_SAVED = 8  # polls of the first minute for a task that takes longer than expected
_RATE_LOOK = 1.0  # seconds between two looks at a rate that may have changed
EARLY = 1e-6  # seconds by which a timer may go off before its time
_MIN_GAIN = 0.2  # an extra poll closer than this to a regular one is not worth it


class Pace:
    """Schedules the polls of one task. All times are seconds on one clock."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._polls: deque[float] = deque(maxlen=POLLS_A_MINUTE)
        self._extra_polls_left = _MAX_EXTRA_POLLS
        self._count = 0
        self._is_told = self._is_answered = False
        self._is_bunched = False  # whether polls have been saved up for the expected end

    def record_poll(self, now: float, is_told: bool = False) -> None:
        """Record a poll; one that brings no answer counts too.

        is_told  whether the platform has just told that the task has ended
        """
        self._is_told, self._is_answered = is_told, False
        early = self._polls and now < self._polls[-1] + _INTERVAL - _MIN_GAIN
        self._extra_polls_left -= 1 if early else 0
        self._polls.append(now)
        self._count += 1

    def record_answer(self) -> None:
        """Record that the last poll was answered."""
        self._is_answered = True

    def is_late(self, now: float) -> bool:
        """Whether the last poll has been without an answer for longer than any should take."""
        waits = bool(self._polls) and not self._is_answered
        return waits and now - self._polls[-1] > _LATE

    def earliest_poll(self) -> float:
        """The earliest time at which another poll stays within the limit."""
        if self._is_bunched:
            used = self._count + 1
            return self._started + (used * _INTERVAL if used > POLLS_A_MINUTE else 0.0)
        full = len(self._polls) == POLLS_A_MINUTE
        return self._polls[0] + 60.0 if full else self._started

    def next_poll(self, expected_end: float | None = None, spread: float | None = None) -> float:
        """When the next poll is due, given the time at which the task is expected to end.

        spread  seconds by which two of three such tasks end earlier or later at most, if known
        """
        self._is_bunched = self._is_bunched or spread is not None
        if expected_end is None or spread is None:
            return self._steady_poll(expected_end)
        last = self._polls[-1] if self._polls else self._started
        around = _WINDOW * max(spread, _LEAST_SPREAD)
        opens, closes = expected_end - around, expected_end + around
        if last >= closes:
            due = last + max(_INTERVAL, self._interval_until(self._started + 60.0, last))
        elif last >= opens - _CLOSEST:
            due = last + max(_CLOSEST, self._interval_until(closes, last, _SAVED))
        else:
            way = expected_end - self._started
            due = min(last + min(max(_INTERVAL, way / 8), _FARTHEST), opens)
        return max(due, self.earliest_poll())

    def _interval_until(self, end: float, last: float, saved: int = 0) -> float:
        """Seconds between polls that use up what is allowed until `end`; `saved` of the first
        minute are kept for later."""
        minutes = (end - self._started) / 60.0
        allowed = POLLS_A_MINUTE * minutes if minutes > 1.0 else POLLS_A_MINUTE - saved
        return (end - last) / max(1.0, allowed - self._count - 1)

    def _steady_poll(self, expected_end: float | None) -> float:
        last = self._polls[-1] if self._polls else self._started - _INTERVAL / 2
        end = math.inf if expected_end is None else expected_end
        is_soon = end <= self._started + _FORECAST_RANGE
        slower = self._is_ahead_of_pace(last) or (is_soon and end > last + _FORECAST_MARGIN)
        due = max(last + (_LONGER_INTERVAL if slower else _INTERVAL), self.earliest_poll())
        if not is_soon:
            return due
        extra = [max(end + delay, self.earliest_poll()) for delay in _EXTRA_POLL_DELAYS]
        useful = [poll for poll in extra if last + _MIN_GAIN < poll < due - _MIN_GAIN]
        return useful[0] if useful and self._extra_polls_left > 0 else due

    def _is_ahead_of_pace(self, last: float) -> bool:
        """Whether there have been more polls so far than at a steady pace."""
        return len(self._polls) * _INTERVAL > last - self._started + _INTERVAL / 2 + 0.01

    def duration(self) -> float:
        """Seconds from start to end: midway between the last two polls, if it was not told."""
        last = self._polls[-1] if self._polls else self._started
        if self._is_told:
            return last - self._started
        before = self._polls[-2] if len(self._polls) > 1 else self._started
        return (before + last) / 2 - self._started


class Forecast:
    """Predicts the end of a task from its progress, else from the duration of earlier tasks.

    spread  seconds by which two of three such tasks end earlier or later at most, None where they
            vary too much, or too few are known; with it, they tell more than the progress
    """

    def __init__(self, started: float, durations: Sequence[float] = ()) -> None:
        self._started = started
        self.usual = median(durations) if durations else None
        self.spread = _spread(durations)
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None

    def observe(self, now: float, progress: float | None) -> None:
        if progress is None or not 0 < progress < 1:
            return
        self._first = self._first or (now, progress)
        self._last = (now, progress)

    def expected_end(self) -> float | None:
        """When the task is expected to end, on the same clock; None if unknown."""
        if (
            self.spread is None
            and self._first
            and self._last
            and self._last[1] - self._first[1] >= 0.1
        ):
            (t0, p0), (t1, p1) = self._first, self._last
            return t1 + (1 - p1) * (t1 - t0) / (p1 - p0)
        return self._started + self.usual if self.usual is not None else None


def _spread(durations: Sequence[float]) -> float | None:
    if len(durations) < _ENOUGH:
        return None
    cuts = quantiles(durations, n=6)  # two of three lie between the first and the last
    spread = (cuts[-1] - cuts[0]) / 2
    return spread if spread < _STEADY * median(durations) else None


class RateLimiter:
    """Lets `rate` callers through per second, evenly spaced, first come first served.

    A task has at most one poll in progress, so this also gives each task a fair share.

    rate  above 0; may change at any time
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._last_slot = -math.inf
        self._owed = 0  # slots after it that those ahead have taken
        self._next_ahead = -math.inf
        self._turn = asyncio.Lock()

    async def wait(self, *, ahead: bool = False) -> None:
        """Wait for a slot; with `ahead`, take one that others go without, up to _AHEAD at once.

        A slot is taken only when its time has come: who stops waiting leaves it to the next.
        """
        if ahead:
            await self._go_ahead()
            return
        now = asyncio.get_running_loop().time
        async with self._turn:
            due = max(now(), self._next_slot())
            while (pause := due - now()) > EARLY:
                await asyncio.sleep(min(pause, _RATE_LOOK))
                due = max(min(due, now()), self._next_slot())
            self._last_slot, self._owed = due, 0

    async def _go_ahead(self) -> None:
        now = asyncio.get_running_loop().time()
        slot = max(now, self._next_slot())
        if slot > now:
            self._owed += 1
        else:
            self._last_slot, self._owed = now, 0
        slot = min(slot, max(now, self._next_ahead - (_AHEAD - 1) / self.rate))
        self._next_ahead = max(now, self._next_ahead) + 1.0 / self.rate
        if slot > now:
            await asyncio.sleep(slot - now)

    def _next_slot(self) -> float:
        return self._last_slot + (1 + self._owed) / self.rate


class ConcurrencyLimit:
    """At most `limit()` holders at once: the lowest rank first, among equals first come first."""

    def __init__(self, limit: Callable[[], float]) -> None:
        self._limit = limit
        self.held = 0
        self._waiting: dict[asyncio.Future[None], Callable[[], Any]] = {}  # by when it came

    @property
    def count(self) -> int:
        """How many hold a slot or wait for one."""
        return self.held + len(self._waiting)

    async def acquire(self, rank: Callable[[], Any] = lambda: 0) -> None:
        """Wait for a slot. Raises what `limit` raises, without taking a slot.

        rank  asked whenever a slot is free
        """
        limit = self._limit()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = rank
        self._admit(limit)
        try:
            await turn
        except asyncio.CancelledError:
            self._cancel_turn(turn)
            raise

    def take(self) -> None:
        """Hold a slot now, if need be beyond the limit."""
        self.held += 1

    def release(self) -> None:
        self.held -= 1
        self.admit()

    def admit(self) -> None:
        """Let in whom the limit of now has room for."""
        try:
            limit = self._limit()
        except SkyportError:
            # Broken settings must neither block the other waiters forever nor cost a result.
            limit = self.held + 1
        self._admit(limit)

    def _cancel_turn(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.release()
        else:
            self._waiting.pop(turn, None)

    def _admit(self, limit: float) -> None:
        while self._waiting and self.held < limit:
            turn = min(self._waiting, key=lambda one: self._waiting[one]())
            del self._waiting[turn]
            if not turn.done():
                self.held += 1
                turn.set_result(None)
