"""What the ledger holds about an order, and what follows from it before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ..base.background import LEDGER, Engine, workers
from ..base.errors import SkyportError
from ..base.json_tree import urls_in
from ..base.types import Result, Task, TaskState
from ..base.words import tr
from ..ledger.ledger import Ledger, Row, State, is_new_order
from ..media.files import is_intact
from ..platforms.provider import Accepted
from ..settings import settings
from .job import Job, Stopped
from .look_up import look_up, never_arrived_error, number, request_in, still_unknown_error
from .outcome import end_state, scrub_state, sender_died_error, unanswered_warning
from .results import part_on_disk

T = TypeVar("T")

_CHECK_INTERVAL = 0.5  # seconds between checks of an order that another process is submitting


class ResumeCheck:
    """Decides whether an order must be sent or can be resumed. Runs on the engine's loop."""

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self._ledger = ledger
        self._blocking = engine.blocking

    async def row_to_resume(self, job: Job) -> Row | None:
        """The row to resume, with a result or a task to attach to; None to send the order.

        Waits while another process is submitting the same order. Raises OutcomeUnknown for an
        order of unknown outcome: only a person who was told may resend what may have been charged.
        Where the platform can be asked, it is.
        """
        waited = False
        while True:
            row = await self.in_thread(lambda: self._ledger.find(job.fingerprint))
            if row is None or row.state in (State.FAILED, State.CANCELLED):
                return None
            if row.can_be_looked_up and job.provider.can_look_up():
                await self._look_up(job, row)
                continue
            if row.state is State.UNKNOWN and (waited or not row.told):
                raise sender_died_error(job, row)
            if row.state is State.UNKNOWN:
                return None
            if row.state is State.DELIVERED and _is_sent_again(row, job):
                return None
            if row.state is not State.INTENT:
                return await self._without_lost_result(row)
            if self._ledger.is_own(row):
                # This process is not sending it any more, or we had joined that job: its end could
                # not be written.
                await self.in_thread(
                    lambda: self._ledger.record_end(job.fingerprint, State.UNKNOWN, "")
                )
                continue
            await self.in_thread(self._ledger.recover)
            waited = True
            try:
                await job.unless_stopped(asyncio.sleep(_CHECK_INTERVAL))
            except Stopped:
                raise job.stop_error() from None

    async def _look_up(self, job: Job, row: Row) -> None:
        """Record what became of the order. Raises OutcomeUnknown where the platform cannot say."""
        request, provider = request_in(row), job.provider
        find = partial(provider.look_up, request)
        looking: Coroutine[Any, Any, Accepted | None] = look_up(provider, find, self._blocking)
        try:
            found = await job.unless_stopped(looking)
        except Stopped:
            job.open.clear()  # new watchers must not join a job that is ending
            stopped = SkyportError(tr("Stopped while the platform did not answer."))
            raise still_unknown_error(row, provider.label, stopped) from None
        except SkyportError as silence:
            raise still_unknown_error(row, provider.label, silence) from None
        if found is None:
            number(job, request.order_id)  # what may still be on its way is the same order
            error = never_arrived_error(provider.label)
            await self.in_thread(lambda: self._ledger.record_never_arrived(row.record, str(error)))
            return
        success = scrub_state(found) if isinstance(found, TaskState) else None
        task_id = found if isinstance(found, str) else found.task_id
        sent = frozenset(urls_in(request.payload))
        task = Task(request.platform, request.endpoint, task_id or job.fingerprint[:12], sent)
        await self.in_thread(lambda: self._ledger.record_found(row.record, task, success))

    async def warnings(self, job: Job) -> list[str]:
        """Warnings for the result: an earlier attempt may have been charged too."""
        unanswered = await self.in_thread(lambda: self._ledger.latest_unknown(job.fingerprint))
        return [] if unanswered is None else [unanswered_warning(unanswered)]

    async def part_on_disk(self, job: Job, reason: str) -> Result | None:
        """What the job has brought so far and is intact on this disk; None if it is nothing.

        reason  why the rest cannot be fetched now
        """
        row = await self.in_thread(lambda: self._ledger.find(job.fingerprint))
        result = (row.result or row.kept) if row else None
        return await self._blocking(lambda: part_on_disk(result, reason))

    async def _without_lost_result(self, row: Row) -> Row:
        """`row`, without its result if files of it are missing, or changed on this disk."""
        result = row.result
        if result is None:
            return row
        if not result.missing and await self._blocking(lambda: all(map(is_intact, result.files))):
            return row
        await self.in_thread(lambda: self._ledger.mark_files_lost(row.record.fingerprint))
        return replace(row, result=None, kept=result)

    async def record_end(self, job: Job, error: BaseException) -> None:
        """Record that the order ended with `error` and will bring no result."""
        await self.in_thread(
            lambda: self._ledger.record_end(
                job.fingerprint, end_state(error), str(error), getattr(error, "task_id", "")
            )
        )

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Await a ledger call in a thread: the caller goes on once its write is on disk."""
        with workers(LEDGER):
            return await self._blocking(call)


def _is_sent_again(row: Row, job: Job) -> bool:
    return is_new_order(row, settings.load().reuse_results, job.record.source.prompt_id)
