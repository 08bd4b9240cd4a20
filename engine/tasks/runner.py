"""The life of one task: resume it or host its media and submit once; `finisher` does the rest.

Knows no platform and no ComfyUI. Private methods of Runner run on the engine's loop and use its
clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ..base.background import Engine, workers
from ..base.errors import OutcomeUnknown, TaskCancelled, TaskLost
from ..base.events import notify
from ..base.types import MediaFile, Request, Result, Task, TaskState
from ..base.words import tr
from ..hosting.upload_cache import UploadCache, UploadUrlStore
from ..ledger.ledger import NOBODY, Ledger, Row, Source, State, record_of
from ..platforms.provider import Provider
from .finisher import Finisher
from .job import NODES_FIRST, Job, Stopped
from .lanes import Lanes
from .look_up import never_arrived_error, number
from .reservations import PriceOf, Reservations
from .results import check_writable, record_unreadable
from .resume import ResumeCheck
from .submit import Submitter

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Runner:
    """Starts jobs and keeps track of those in progress. One for the life of the process."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        url_store: UploadUrlStore | None = None,
        price: PriceOf | None = None,
    ) -> None:
        self.engine = engine
        self.ledger = ledger
        self._resume = ResumeCheck(ledger, engine)
        self._reservations = Reservations(ledger, self._resume, price)
        self._lanes = Lanes(ledger, self._resume)
        self._submitter = Submitter(
            engine, ledger, self._resume, UploadCache(engine, url_store), self._lanes
        )
        self._finisher = Finisher(engine, ledger, self._resume, self._submitter)
        self._jobs: dict[str, Job] = {}
        self._background_writes: set[asyncio.Future[None]] = set()  # the loop holds tasks weakly

    # -- for other threads ------------------------------------------------------------------

    def start(
        self, provider: Provider, request: Request, into: Path, source: Source = NOBODY
    ) -> Job:
        """Start `request`, or join the equal one in progress. Results go below `into`."""
        return self.engine.run(self.begin(provider, request, into, source))

    def leave(self, job: Job, *, stop: bool) -> None:
        """The caller stops waiting. With `stop`, the last caller to leave stops the task."""
        self.engine.loop.call_soon_threadsafe(self._leave, job, stop)

    def record_delivered(self, job: Job) -> None:
        """The caller has received the result."""
        self.ledger.record_delivered(job.fingerprint)

    def record_told(self, job: Job) -> None:
        """The caller is giving the job's error to a person, who may now order it anew."""
        if isinstance(job.future.exception(), OutcomeUnknown):
            self.ledger.record_told(job.fingerprint)

    def mark_files_lost(self, job: Job) -> None:
        """The caller cannot read the result's files: the next start downloads them again."""
        self.ledger.mark_files_lost(job.fingerprint)

    def record_unreadable(self, job: Job, reasons: Mapping[Path, str]) -> Result:
        """The result without the files of these paths, which cannot be decoded for these reasons.

        The next start downloads them, and only them, again.
        """
        return record_unreadable(self.ledger, job.fingerprint, job.future.result(), reasons)

    def under_way(self) -> list[Job]:
        """The jobs in progress in this process, oldest first."""
        return list(self._jobs.values())

    def stop(self, job: Job) -> None:
        """Stop `job`, whoever waits for it, if that is still possible."""
        self.engine.loop.call_soon_threadsafe(job.stop.set)

    def set_cancel_reason(self, fingerprint: str, reason: str) -> None:
        """Tell the watchers of the job, if it is in progress here, who cancels it."""
        if job := self._jobs.get(fingerprint):
            job.cancel_reason = reason

    # -- on the engine's loop ---------------------------------------------------------------

    async def begin(
        self, provider: Provider, request: Request, into: Path, source: Source = NOBODY
    ) -> Job:
        """`start`, for callers on the engine's loop."""
        return (await self.begin_all(provider, [request], into, source))[0]

    async def begin_all(
        self,
        provider: Provider,
        requests: Sequence[Request | Job],
        into: Path,
        source: Source = NOBODY,
        begun: list[Job] | None = None,
    ) -> list[Job]:
        """`begin` for a fan-out, in order. Raises LimitReached, with none begun, if not all fit.

        requests  a job among them was begun ahead: it is only watched, even if it has ended
        begun     gets each job as it begins, for a caller that may be cancelled meanwhile
        """
        jobs = [one if isinstance(one, Job) else _job_of(provider, one, source) for one in requests]
        for job in jobs:
            job.rank = NODES_FIRST
        return await self._begin(jobs, into, [] if begun is None else begun)

    async def begin_ahead(
        self,
        provider: Provider,
        requests: Sequence[Request],
        into: Path,
        source: Source,
        rank: float,
    ) -> list[Job]:
        """`begin_all` for a node that will run later; jobs of a lower rank are sent first."""
        jobs = [_job_of(provider, request, source) for request in requests]
        for job in jobs:
            job.rank, job.begun_ahead = rank, time.monotonic()
        return await self._begin(jobs, into, [])

    def withdraw(self, job: Job) -> None:
        """The caller stops waiting; the last one stops what has not been sent yet.

        To be called on the engine's loop.
        """
        self._leave(job, stop=job.is_unsent)

    async def _begin(self, jobs: Sequence[Job], into: Path, begun: list[Job]) -> list[Job]:
        fresh = [job for job in jobs if job.asyncio_task is None]
        async with self._reservations.held(fresh, self._new(fresh)):
            for job in jobs:
                begun.append(await self._join(job, into) if job in fresh else _watched(job))
        return begun

    async def attach(self, provider: Provider, row: Row, into: Path) -> Job:
        """The job of a task in the ledger whose request is not available.

        The caller only looks: it does not keep the job from being stopped, and need not leave it.
        """
        job = await self._find_or_launch(_job_from_row(provider, row), into)
        job.is_awaited = True
        return job

    async def resume(self, provider: Provider, row: Row, into: Path) -> None:
        """Finish a task that nobody waits for, unless it is already in progress here."""
        if row.record.fingerprint not in self._jobs:
            self._launch(_job_from_row(provider, row), into)

    async def host(
        self, provider: Provider, request: Request, files: Sequence[MediaFile]
    ) -> list[str]:
        """The URL of each file for requests like `request`; a file is uploaded only once."""
        with workers(provider.name):
            return await self._submitter.host(provider, request, files)

    async def _join(self, fresh: Job, into: Path) -> Job:
        """The equal job in progress, else `fresh`; with one more watcher."""
        job = await self._find_or_launch(fresh, into)
        job.stop.clear()
        job.rank = min(job.rank, fresh.rank)
        return _watched(job)

    async def _find_or_launch(self, fresh: Job, into: Path) -> Job:
        while (job := self._jobs.get(fresh.fingerprint)) and not job.open.is_set():
            await job.open.wait()
        return job or self._launch(fresh, into)

    def _new(self, jobs: Sequence[Job]) -> list[Job]:
        """Those that will join no job in progress: one that is ending makes room for a new one."""
        equal = [self._jobs.get(job.fingerprint) for job in jobs]
        return [
            job
            for job, running in zip(jobs, equal, strict=True)
            if running is None or not running.open.is_set()
        ]

    def is_running(self, fingerprint: str) -> bool:
        """Whether the order is in progress in this process."""
        return fingerprint in self._jobs

    def _launch(self, job: Job, into: Path) -> Job:
        self._jobs[job.fingerprint] = job
        notify()
        job.asyncio_task = asyncio.ensure_future(self._run_job(job, into))
        return job

    def _leave(self, job: Job, stop: bool) -> None:
        job.watchers -= 1
        if job.watchers > 0:
            return
        if stop:
            job.stop.set()
        if not job.future.done():
            job.is_left = True
            writing = asyncio.ensure_future(self._record_left(job))
            self._background_writes.add(writing)
            writing.add_done_callback(self._background_writes.discard)

    async def _record_left(self, job: Job) -> None:
        async with job.recording:
            await self._resume.in_thread(
                lambda: self.ledger.record_progress(job.fingerprint, State.DETACHED)
            )

    async def _run_job(self, job: Job, into: Path) -> None:
        try:
            with workers(job.provider.name):
                result = await self._run_and_give_back(job, into)
        except asyncio.CancelledError:
            self._finish(job).set_exception(TaskCancelled(tr("The operation was cancelled.")))
        except BaseException as error:
            if job.watchers <= 0:
                _log.warning("Skyport: %s", error)  # no watcher is left to show it
            self._finish(job).set_exception(error)
        else:
            self._finish(job).set_result(result)

    async def _run_and_give_back(self, job: Job, into: Path) -> Result:
        try:
            return await self.run_task(job, into)
        finally:
            await self._reservations.give_back([job])

    def _finish(self, job: Job) -> Any:
        """Forget the job before its watchers wake: the next equal request asks the ledger."""
        self._jobs.pop(job.fingerprint, None)
        notify()
        job.open.set()
        return job.future

    async def run_task(self, job: Job, into: Path) -> Result:
        """Run `job` to its results. After a SkyportError the ledger holds what was paid for."""
        lane = job.provider.lane(job.request)
        try:
            await job.unless_stopped(self._lanes.enter(job, lane))
        except Stopped:
            raise job.stop_error() from None
        try:
            return await self._resume_or_submit(job, into)
        finally:
            self._lanes.leave(job)

    async def _resume_or_submit(self, job: Job, into: Path) -> Result:
        while True:
            row = await self._resume.row_to_resume(job)
            job.attempt = row.attempt if row else 1
            if row is None and job.existing_task is None:
                if not job.can_be_sent:
                    raise never_arrived_error(job.provider.label)
                await check_writable(self.engine, job, into)
            if row and row.result:
                return await self._finisher.with_warnings(job, replace(row.result, reused=True))
            if row and row.task and job.provider.answers_at_once(job.request):
                return await self._finisher.stored_answer(job, row.task, row, into)
            if task := row.task if row else job.existing_task:
                if not job.can_be_sent:
                    job.open.set()  # it has been looked up: new watchers may join
                self._lanes.join(
                    job, job.provider.lane(replace(job.request, endpoint=task.endpoint))
                )
                job.enter("running", task_id=task.id, attached=True)
                return await self._finish_task(job, task, row, into)
            if (result := await self._send(job, into)) is not None:
                return result

    async def _send(self, job: Job, into: Path) -> Result | None:
        """The result of an order sent now; None if another process has sent it."""
        if job.provider.answers_at_once(job.request):
            answer = await self._submitter.answer(job)
            if answer is None:
                return None
            return await self._finisher.deliver_answer(job, *answer, into)
        sent = await self._submitter.submit(job)
        if sent is None:
            return None
        task, success = sent
        job.enter("running", task_id=task.id, attached=False)
        return await self._finish_task(job, task, None, into, success)

    async def _finish_task(
        self, job: Job, task: Task, row: Row | None, into: Path, success: TaskState | None = None
    ) -> Result:
        """The results of the task, or of the one after it where its server has lost it."""
        try:
            return await self._finisher.finish(job, task, row, into, success)
        except TaskLost:
            if not job.may_be_sent_again:
                raise
        again = await self._submitter.submit_again(job, task)
        if again is None:  # another process has sent it again
            return await self._resume_or_submit(job, into)
        task, success = again
        job.enter("running", task_id=task.id, attached=False)
        return await self._finisher.finish(job, task, None, into, success)


def _watched(job: Job) -> Job:
    job.watchers += 1
    job.is_left = False
    job.is_awaited = True
    return job


def _job_of(provider: Provider, request: Request, source: Source) -> Job:
    record = record_of(request, provider.http.base_url, source)
    job = Job(provider, request, replace(record, unit=provider.unit))
    number(job)
    return job


def _job_from_row(provider: Provider, row: Row) -> Job:
    """A job that can only attach: its request cannot be sent again."""
    request = Request(row.record.platform, row.record.endpoint, {}, title=row.record.title)
    job = Job(provider, request, row.record, row.task, can_be_sent=False)
    if row.can_be_looked_up:
        job.open.clear()  # new watchers must not join a job that may find out that it never arrived
    return job
