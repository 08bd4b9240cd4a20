"""What limits set aside for orders that are about to be sent: all of a fan-out, or nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from ..base.errors import LimitReached, SkyportError
from ..base.types import Amount, Request
from ..ledger.budget import Limit
from ..ledger.ledger import Ledger, is_new_order
from ..settings import settings
from ..spend import limits
from ..spend.price import Price
from .job import Job
from .resume import ResumeCheck

PriceOf = Callable[[Request, str], Price | None]  # of a request to a base URL; None is unknown


class Reservations:
    """Reserves for jobs before they begin, and gives back what was not used.

    Runs on the engine's loop. Equal jobs share one reservation, until the last has ended.
    """

    def __init__(self, ledger: Ledger, resume: ResumeCheck, price: PriceOf | None) -> None:
        self._ledger = ledger
        self._resume = resume
        self._price = price
        self._holders: Counter[str] = Counter()
        self._unused: set[str] = set()  # of a job that never began, while an equal one goes on
        self._writes: set[asyncio.Future[None]] = set()  # the loop holds tasks weakly

    @asynccontextmanager
    async def held(self, jobs: Sequence[Job], new: Sequence[Job]) -> AsyncIterator[None]:
        """The price of each job is in its record, and a limit that they would exceed is raised.

        Those that have not begun in here give back what was reserved for them.

        new  those for which something is reserved: no equal one is in progress
        """
        in_force = limits.current()
        if not jobs or (self._price is None and not in_force):
            yield
            return
        reserving = asyncio.ensure_future(self._reserve(jobs, new, in_force))
        try:
            await asyncio.shield(reserving)
            yield
        finally:
            await self._completed(self._give_back_unused(reserving, jobs))

    async def give_back(self, jobs: Iterable[Job]) -> None:
        """The jobs have ended, or will not begin: nothing stays reserved for them."""
        released = []
        for job in (job for job in jobs if job.has_share):
            job.has_share = False
            self._holders[job.fingerprint] -= 1
            if job.is_reserved:
                self._unused.add(job.fingerprint)
            if self._holders[job.fingerprint] <= 0:
                del self._holders[job.fingerprint]
                if job.fingerprint in self._unused:
                    self._unused.remove(job.fingerprint)
                    released.append(job.fingerprint)
        if released:
            await self._completed(self._resume.in_thread(lambda: self._ledger.release(released)))

    async def _reserve(
        self, jobs: Sequence[Job], new: Sequence[Job], in_force: Sequence[Limit]
    ) -> None:
        try:
            reserved = await self._resume.in_thread(
                lambda: self._price_and_reserve(jobs, new, in_force)
            )
        except LimitReached as error:
            error.platform = jobs[0].provider.label
            raise
        for job in (job for job in new if job.fingerprint in reserved):
            job.is_reserved = job.has_share = True
            self._holders[job.fingerprint] += 1

    def _price_and_reserve(
        self, jobs: Sequence[Job], new: Sequence[Job], in_force: Sequence[Limit]
    ) -> Sequence[str]:
        reuse = settings.load().reuse_results
        limits_cost = any(limit.counts == "cost" for limit in in_force)
        for job in jobs:
            is_asked = limits_cost and job in new
            job.record = replace(job.record, price=self._amount(job, is_asked, reuse))
        records = [job.record for job in new]
        return self._ledger.reserve(records, in_force, reuse) if in_force and records else ()

    def _is_new_order(self, job: Job, reuse: bool) -> bool:
        row = self._ledger.find(job.fingerprint)
        return is_new_order(row, reuse, job.record.source.prompt_id)

    def _amount(self, job: Job, is_asked: bool, reuse: bool) -> Amount | None:
        """The most that the job is expected to cost.

        Raises what is wrong with a price list only where a limit asks, and the order is a new one.
        """
        if self._price is None:
            return None
        try:
            price = self._price(job.request, job.record.base_url)
        except SkyportError:
            if is_asked and self._is_new_order(job, reuse):
                raise
            return None
        return price.reserved if price else None

    async def _give_back_unused(self, reserving: asyncio.Future[None], jobs: Sequence[Job]) -> None:
        """Also after a cancel while they were being reserved: that goes on in its thread."""
        await asyncio.wait({reserving})
        if not reserving.cancelled():
            reserving.exception()  # it has been raised, or nobody waits for it
        await self.give_back(job for job in jobs if job.asyncio_task is None)

    async def _completed(self, work: Coroutine[Any, Any, None]) -> None:
        """Awaits `work`, which a cancel of the caller does not stop."""
        writing = asyncio.ensure_future(work)
        self._writes.add(writing)
        writing.add_done_callback(self._writes.discard)
        await asyncio.shield(writing)
