"""What the ledger knows of an order, and what follows from it before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ..base.background import Engine
from ..ledger.ledger import Ledger, Row, State
from ..media.files import is_intact
from ..settings import settings
from .job import Job, Stopped
from .outcome import may_be_charged, sender_died, state_of

T = TypeVar("T")

_ELSEWHERE = 0.5  # seconds between looks at an order that another process is submitting


class ResumeCheck:
    """Asks the ledger in a thread: its writes wait for the disk. Runs on the engine's loop."""

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self._ledger = ledger
        self._blocking = engine.blocking

    async def known(self, job: Job) -> Row | None:
        """The row to go on with: its result to hand over, or its task to attach to; else None.

        Waits while another process is submitting the same order. Raises OutcomeUnknown if that one
        dies meanwhile: only a person may send again what may have been charged.
        """
        waited = False
        while True:
            row = await self.kept(lambda: self._ledger.find(job.fingerprint))
            if row is None or row.state in (State.FAILED, State.CANCELLED):
                return None
            if row.state is State.UNKNOWN and waited:
                raise sender_died(job, row)
            if row.state is State.UNKNOWN:
                return None
            if row.state is State.DELIVERED and not settings.load().reuse_results:
                return None
            if row.state is not State.INTENT:
                return await self._sound(row)
            if self._ledger.is_own(row):
                # Nobody here is sending it, or it would be joined: its end could not be written.
                await self.kept(lambda: self._ledger.record_end(job.fingerprint, State.UNKNOWN, ""))
                continue
            await self.kept(self._ledger.recover)
            waited = True
            try:
                await job.unless_stopped(asyncio.sleep(_ELSEWHERE))
            except Stopped:
                raise job.stopped() from None

    async def notices(self, job: Job) -> list[str]:
        """What to tell with the result: a try before it was never answered."""
        unanswered = await self.kept(lambda: self._ledger.latest_unknown(job.fingerprint))
        return [] if unanswered is None else [may_be_charged(unanswered)]

    async def _sound(self, row: Row) -> Row:
        """`row` without its result when the files are not on this disk any more as they were."""
        result = row.result
        if result is None or await self._blocking(lambda: all(map(is_intact, result.files))):
            return row
        await self.kept(lambda: self._ledger.mark_files_lost(row.record.fingerprint))
        return replace(row, result=None)

    async def record_end(self, job: Job, error: BaseException) -> None:
        """The order will bring no result, and why."""
        await self.kept(
            lambda: self._ledger.record_end(job.fingerprint, state_of(error), str(error))
        )

    async def kept(self, write: Callable[[], T]) -> T:
        """Done before anything else is: what the ledger says must be on disk first."""
        return await self._blocking(write)
