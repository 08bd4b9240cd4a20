"""What a platform tells of a task between two polls."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..base.errors import SkyportError
from ..base.types import Status, Task, TaskState
from ..platforms.provider import LiveState, Provider
from .job import Job, unless
from .polling import EARLY, RateLimiter
from .shared_rate import SharedRate

_LOOK = 1.5  # seconds between two looks at a task whose end the platform will tell
_SELDOM = 15.0  # seconds between polls meanwhile, as what it tells may be lost on the way
_QUEUED = 5.0  # the same while the task waits in a queue, as only polls bring its position


class News:
    """The news of one task. Runs on the engine's loop."""

    def __init__(self, job: Job, task: Task) -> None:
        self._job = job
        self._come = asyncio.Event()
        self._may_come = type(job.provider).on_end is not Provider.on_end
        self._live_state: LiveState = lambda state: None
        self._polled = 0.0
        self._state: TaskState | None = None  # at the last poll, if the task was alive then
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._come.set)

        with suppress(SkyportError):
            self._live_state = job.provider.on_end(task, wake) or self._live_state

    async def wait(self, due: float) -> None:
        """Wait until a poll is due, or until there are news.

        No poll is due for long while the platform is known to tell the end; the progress that it
        tells is shown.
        """
        while not await self._have_come_by(due):
            live = self._live_state(self._state) if self._state else None
            if live is None or _now() >= self._latest(live) - EARLY:
                return
            if live != self._job.snapshot.state:
                self._job.show(state=live)
            due = min(_now() + _LOOK, self._latest(live))

    def _latest(self, state: TaskState) -> float:
        return self._polled + (_QUEUED if state.status is Status.QUEUED else _SELDOM)

    async def _have_come_by(self, due: float) -> bool:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._come.wait(), max(0.0, due - _now()))
        return self._come.is_set()

    async def take_turn(self, limiter: RateLimiter | SharedRate) -> bool:
        """Wait for a slot, ahead of the others as soon as there are news; whether there were."""
        try:
            await self._wait_in_line(limiter)
        except _NewsCame:
            await limiter.wait(ahead=True)
        have_come = self._come.is_set()
        self._come.clear()
        self._state, self._polled = None, _now()
        return have_come

    async def _wait_in_line(self, limiter: RateLimiter | SharedRate) -> None:
        if self._come.is_set():
            raise _NewsCame
        if self._may_come:
            await unless(self._come, limiter.wait(), _NewsCame())
        else:
            await limiter.wait()

    def record_answer(self, state: TaskState) -> None:
        """Record what the poll has brought."""
        self._state = state if state.known and not state.status.terminal else None


class _NewsCame(Exception):
    pass


def _now() -> float:
    return asyncio.get_running_loop().time()
