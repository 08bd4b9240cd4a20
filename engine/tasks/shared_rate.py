"""This process's share of the calls a second that a platform allows all who use one ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..ledger.ledger import Ledger
from .polling import RateLimiter

_RENEWAL = 5.0  # seconds between two looks at how many share it
_IDLE = 3  # renewals without a call between them
_LEAST = 0.01  # calls a second
_UNKNOWN = 1.0  # calls a second until the ledger has answered once


class SharedRate:
    """A RateLimiter whose rate is this process's share. Runs on the engine's loop.

    Only the first call waits for the ledger; while that is away, the share stays what it was. It is
    given back once there was no call for a while.

    in_thread  awaits a blocking call of the ledger
    scope      names in the ledger what is shared
    """

    def __init__(
        self, ledger: Ledger, in_thread: Callable[..., Any], scope: str, allowed: float
    ) -> None:
        self._ledger, self._in_thread = ledger, in_thread
        self._scope, self._allowed = scope, allowed
        self._limiter = RateLimiter(_UNKNOWN)
        self._waiting = 0
        self._idle = 0
        self._is_known = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

    async def wait(self, *, ahead: bool = False) -> None:
        self._idle = 0
        self._waiting += 1
        try:
            if self._renewing is None:
                self._renewing = asyncio.ensure_future(self._renew())
            await self._is_known.wait()
            await self._limiter.wait(ahead=ahead)
        finally:
            self._waiting -= 1

    async def _renew(self) -> None:
        try:
            while self._is_in_use():
                while self._is_in_use():
                    self._idle += 1
                    await self._take()
                    await asyncio.sleep(_RENEWAL)
                self._is_known.clear()  # who comes now waits for a new share
                await self._in_thread(lambda: self._ledger.give_back_share(self._scope))
        finally:
            self._renewing = None

    def _is_in_use(self) -> bool:
        return self._waiting > 0 or self._idle < _IDLE

    async def _take(self) -> None:
        try:
            share = await self._in_thread(
                lambda: self._ledger.take_share(self._scope, self._allowed)
            )
            if share is not None:
                self._limiter.rate = max(share, _LEAST)
        finally:
            self._is_known.set()
