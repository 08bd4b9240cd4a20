"""The way of one task: host its media, submit once, poll until it ends, bring the results home.

Knows no platform and no ComfyUI. Runner's private half runs on the engine's loop, and its clock is
that loop's.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ..base.background import Engine
from ..base.errors import ApiError, NotFound, SkyportError, TaskCancelled
from ..base.events import notify
from ..base.types import MediaFile, Request, Result, Task, TaskState
from ..base.words import tr
from ..hosting.upload_cache import UploadCache, UploadUrlStore
from ..http.retry import retrying
from ..ledger.ledger import NOBODY, Ledger, Row, Source, State, record_of
from ..media.download import link_expired
from ..platforms.provider import Provider
from ..settings import settings
from .job import Job, Stopped
from .outcome import (
    is_final,
    raise_unless_succeeded,
    scrubbed,
    sender_died,
    too_long,
    unknown_status,
    with_resume_hint,
)
from .polling import POLLS_A_SECOND, ConcurrencyLimit, Forecast, Pace, RateLimiter
from .results import collect
from .resume import ResumeCheck
from .submit import Submitter

T = TypeVar("T")

_log = logging.getLogger(__name__)

_LEARNT = 20  # tasks of one sort that tell how long the next will take

_ELSEWHERE = 0.5  # seconds between looks at an order that another process is submitting

_STRANGE = (
    10  # polls in a row with a status word of no document, or no such task, before we give up
)


class Runner:
    """Starts jobs and remembers which are under way. One for the life of the process."""

    def __init__(self, engine: Engine, ledger: Ledger, book: UploadUrlStore | None = None) -> None:
        self.engine = engine
        self.ledger = ledger
        self._resume = ResumeCheck(ledger, engine)
        self._submitter = Submitter(engine, ledger, self._resume, UploadCache(engine, book))
        self._jobs: dict[str, Job] = {}
        self._rate_limiters: dict[str, RateLimiter] = {}
        self._concurrency_limits: dict[str, ConcurrencyLimit] = {}
        self._notes: set[asyncio.Future[None]] = set()  # the loop holds its tasks only weakly
        self._took: dict[tuple[str, str, str], deque[float]] = {}
        self._learning = asyncio.Lock()

    # -- for other threads ------------------------------------------------------------------

    def start(
        self, provider: Provider, request: Request, into: Path, source: Source = NOBODY
    ) -> Job:
        """Begin `request`, or join the equal one under way. Results go below `into`."""
        return self.engine.run(self.begin(provider, request, into, source))

    def leave(self, job: Job, *, stop: bool) -> None:
        """The caller waits no longer. With `stop`, the last one to leave has the task stopped."""
        self.engine.loop.call_soon_threadsafe(self._leave, job, stop)

    def record_delivered(self, job: Job) -> None:
        """The caller has the result in hand."""
        self.ledger.record_delivered(job.fingerprint)

    def mark_files_lost(self, job: Job) -> None:
        """The caller cannot read the result's files: the next start fetches them again."""
        self.ledger.mark_files_lost(job.fingerprint)

    def under_way(self) -> list[Job]:
        """The jobs that this process carries, the oldest first."""
        return list(self._jobs.values())

    def stop(self, job: Job) -> None:
        """Stop `job` whoever waits for it, where that is still possible."""
        self.engine.loop.call_soon_threadsafe(job.stop.set)

    # -- on the engine's loop ---------------------------------------------------------------

    async def begin(
        self, provider: Provider, request: Request, into: Path, source: Source = NOBODY
    ) -> Job:
        """`start`, for callers on the engine's loop."""
        record = record_of(request, provider.http.base_url, source)
        return await self._join(Job(provider, request, record), into)

    async def attach(self, provider: Provider, row: Row, into: Path) -> Job:
        """`begin` for a task that the ledger knows, and whose request is not at hand."""
        return await self._join(_of_row(provider, row), into)

    async def resume(self, provider: Provider, row: Row, into: Path) -> None:
        """Carry a task that nobody waits for to its results, unless it is carried already."""
        if row.record.fingerprint not in self._jobs:
            self._launch(_of_row(provider, row), into)

    async def host(
        self, provider: Provider, request: Request, files: Sequence[MediaFile]
    ) -> list[str]:
        """Where each file is for requests like `request`; the same file goes up only once."""
        return await self._submitter.host(provider, request, files)

    async def _join(self, fresh: Job, into: Path) -> Job:
        """The equal job under way, else `fresh`; with one more watcher."""
        while (job := self._jobs.get(fresh.fingerprint)) and not job.open.is_set():
            await job.open.wait()
        if job is None:
            job = self._launch(fresh, into)
        job.stop.clear()
        job.watchers += 1
        return job

    def is_running(self, fingerprint: str) -> bool:
        """Whether the order is under way in this process."""
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
            note = self._resume.kept(
                lambda: self.ledger.record_progress(job.fingerprint, State.DETACHED)
            )
            noting = asyncio.ensure_future(note)
            self._notes.add(noting)
            noting.add_done_callback(self._notes.discard)

    async def _run_job(self, job: Job, into: Path) -> None:
        try:
            result = await self.run_task(job, into)
        except asyncio.CancelledError:
            self._finish(job).set_exception(TaskCancelled(tr("The work was cancelled.")))
        except BaseException as error:
            if job.watchers <= 0:
                _log.warning("Skyport: %s", error)  # nobody else would hear of it
            self._finish(job).set_exception(error)
        else:
            self._finish(job).set_result(result)

    def _finish(self, job: Job) -> Any:
        """Forget the job before its watchers wake: who asks next starts from the ledger."""
        self._jobs.pop(job.fingerprint, None)
        notify()
        job.open.set()
        return job.future

    async def run_task(self, job: Job, into: Path) -> Result:
        """Carry `job` to its results. After a SkyportError the ledger holds what was paid for."""
        slots = self._concurrency_limit(job.provider.name)
        try:
            await job.unless_stopped(slots.enter())
        except Stopped:
            raise job.stopped() from None
        try:
            return await self._result(job, into)
        finally:
            slots.leave()

    async def _result(self, job: Job, into: Path) -> Result:
        task: Task | None = None
        while task is None:
            row = await self._resume.known(job)
            if row and row.result:
                return await self._told(job, replace(row.result, reused=True))
            if job.provider.answers_at_once(job.request):
                if (answer := await self._answered(job, row, into)) is not None:
                    return answer
                continue
            known = row.task if row else job.found
            task = known or await self._submitter.submit(job)
        job.enter("running", task_id=task.id, attached=known is not None)
        return await self._kept(job, await self._results(job, task, into))

    async def _told(self, job: Job, result: Result) -> Result:
        """`result` with what must be said of earlier tries."""
        notices = (*job.request.warnings, *await self._resume.notices(job))
        return replace(result, warnings=(*notices, *result.warnings)) if notices else result

    async def _answered(self, job: Job, row: Row | None, into: Path) -> Result | None:
        """What a request brings whose answer is the result; None when another process has sent it.

        Once it is out it is paid for: it is heard to its end and kept, whoever still waits.
        """
        if row is not None and row.task is not None:
            lost = sender_died(job, row)  # a crash between the answer and its keeping
            await self._resume.record_end(job, lost)
            raise lost
        heard = await self._submitter.answer(job)
        if heard is None:
            return None
        task, state = heard
        try:
            ended = raise_unless_succeeded(job, task, scrubbed(state))
            result = await collect(self.engine, job, task, ended, into)
        except SkyportError as error:
            await self._resume.record_end(job, error)
            raise
        return await self._kept(job, result)

    async def _kept(self, job: Job, result: Result) -> Result:
        await self._resume.kept(lambda: self.ledger.record_result(job.fingerprint, result))
        job.enter("done")
        return await self._told(job, result)

    # -- wait -------------------------------------------------------------------------------

    async def _results(self, job: Job, task: Task, into: Path) -> Result:
        try:
            return await self._awaited(job, task, into)
        except SkyportError as error:
            error.task_id = task.id
            if is_final(job, error):
                await self._resume.record_end(job, error)
                raise
            raise with_resume_hint(error) from None

    async def _awaited(self, job: Job, task: Task, into: Path) -> Result:
        pace = Pace(_now())
        state = await self._wait(job, task, pace)
        if not job.snapshot.attached:
            self._took[_sort(job.request)].append(pace.took())
        job.enter("downloading", state=state)
        try:
            return await collect(self.engine, job, task, state, into)
        except ApiError as error:
            if not link_expired(error):
                raise
        # A result's URL lives for a while only: the platform is asked once more for it.
        job.stop.clear()  # too late to cancel, and the result is paid for
        return await collect(self.engine, job, task, await self._wait(job, task, pace), into)

    async def _wait(self, job: Job, task: Task, pace: Pace) -> TaskState:
        """Poll until the task has ended well.

        Raises TaskFailed, TaskCancelled, TaskTimeout, NotFound, or BadResult for a strange word.
        """
        forecast = Forecast(_now(), await self._usual(job.request))
        limit = settings.load().time_limit_s
        deadline = None if limit is None else _now() + limit
        job.show(usual=forecast.usual)
        strange = 0
        while True:
            try:
                state = await self._look(job, task, pace, forecast.end(), deadline)
            except NotFound:
                # Not everywhere at once may a platform know what it has just accepted.
                strange += 1
                if strange >= _STRANGE:
                    raise
                continue
            forecast.saw(_now(), state.progress)
            await self._note(job, state)
            strange = 0 if state.known else strange + 1
            if strange >= _STRANGE:
                raise unknown_status(job, task, state)
            if state.status.terminal:
                return raise_unless_succeeded(job, task, state)

    async def _note(self, job: Job, state: TaskState) -> None:
        """What a poll told: seen at once, and kept where it is news."""
        before = job.snapshot.state
        job.show(state=state)
        is_news = before is None or (before.status, before.cost) != (state.status, state.cost)
        if is_news and not state.status.terminal:
            await self._resume.kept(
                lambda: self.ledger.record_progress(job.fingerprint, State.RUNNING, state.cost)
            )

    async def _look(
        self, job: Job, task: Task, pace: Pace, expected_end: float | None, deadline: float | None
    ) -> TaskState:
        """The next answer, when it is due. A stop or the time limit breaks into all of it."""
        while deadline is None or _now() < deadline:
            look = job.unless_stopped(self._poll(job, task, pace, pace.next_poll(expected_end)))
            try:
                return await asyncio.wait_for(look, None if deadline is None else deadline - _now())
            except Stopped:
                await self._cancel(job, task)
            except asyncio.TimeoutError:
                break
        raise too_long(job, task)

    async def _cancel(self, job: Job, task: Task) -> None:
        """Stop the task where the platform can; else it runs on, and the next queue attaches."""
        job.open.clear()
        cancelled = False
        try:
            cancelled = await self._read(lambda: job.provider.cancel(task))
        finally:
            if not cancelled:  # else it stays shut until the job is settled
                job.open.set()
        if cancelled:
            raise job.stopped(task)
        job.stop.clear()

    async def _poll(self, job: Job, task: Task, pace: Pace, due: float) -> TaskState:
        async def before() -> None:
            await asyncio.sleep(max(due, pace.allowed()) - _now())
            await self._rate_limiter(job.provider.name).wait()
            pace.polled(_now())

        return await retrying(
            lambda: scrubbed(job.provider.poll(task)),
            run_blocking=self.engine.blocking,
            before=before,
        )

    # -- shared by the jobs of a platform ---------------------------------------------------

    async def _read(self, call: Callable[[], T]) -> T:
        return await retrying(call, run_blocking=self.engine.blocking)

    def _rate_limiter(self, platform: str) -> RateLimiter:
        return self._rate_limiters.setdefault(platform, RateLimiter(POLLS_A_SECOND))

    def _concurrency_limit(self, platform: str) -> ConcurrencyLimit:
        return self._concurrency_limits.setdefault(
            platform, ConcurrencyLimit(lambda: settings.load().max_parallel)
        )

    async def _usual(self, request: Request) -> float | None:
        """Seconds that its sort takes: what the ledger tells once, then what is seen here."""
        sort = _sort(request)
        async with self._learning:  # or each of a large batch would ask the ledger
            if sort not in self._took:
                told = await self._resume.kept(lambda: self.ledger.past_durations(*sort))
                self._took[sort] = deque(reversed(told), maxlen=_LEARNT)
        took = self._took[sort]
        return statistics.median(took) if took else None


def _of_row(provider: Provider, row: Row) -> Job:
    """A job that only ever attaches: its request cannot be sent again."""
    assert row.task is not None
    request = Request(row.record.platform, row.record.endpoint, {}, title=row.record.title)
    return Job(provider, request, row.record, row.task)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _sort(request: Request) -> tuple[str, str, str]:
    """Requests of one sort take about as long as each other."""
    return request.platform, request.endpoint, request.title
