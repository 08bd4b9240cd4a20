"""What a platform tells of a task between two polls."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..base.errors import SkyportError
from ..base.types import Task
from ..platforms.provider import Provider
from .job import unless
from .polling import RateLimiter
from .shared_rate import SharedRate


class News:
    """The news of one task. Runs on the engine's loop."""

    def __init__(self, provider: Provider, task: Task) -> None:
        self._come = asyncio.Event()
        self._may_come = type(provider).on_end is not Provider.on_end
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._come.set)

        with suppress(SkyportError):
            provider.on_end(task, wake)

    async def wait(self, due: float) -> None:
        """Wait until a poll is due, or until there are news."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._come.wait(), max(0.0, due - _now()))

    async def take_turn(self, limiter: RateLimiter | SharedRate) -> None:
        """Wait for a slot, ahead of the others as soon as there are news."""
        try:
            await self._wait_in_line(limiter)
        except _NewsCame:
            await limiter.wait(ahead=True)
        self._come.clear()

    async def _wait_in_line(self, limiter: RateLimiter | SharedRate) -> None:
        if self._come.is_set():
            raise _NewsCame
        if self._may_come:
            await unless(self._come, limiter.wait(), _NewsCame())
        else:
            await limiter.wait()


class _NewsCame(Exception):
    pass


def _now() -> float:
    return asyncio.get_running_loop().time()
