"""The way of one task: host its media, submit once, poll until it ends, bring the results home.

Knows no platform and no ComfyUI. Runner's private half runs on the engine's loop, and its clock is that loop's.
"""

from __future__ import annotations

import asyncio
import re
import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from . import _settings
from ._download import Download, keep, link_expired
from ._engine import Engine
from ._errors import (
    ApiError,
    BadResult,
    NotFound,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
)
from ._hosted import Hosted
from ._http import retrying
from ._job import Job, Moved
from ._ledger import Ledger, MemoryLedger, fingerprint
from ._pace import POLLS_A_SECOND, Forecast, Gate, Pace, Slots
from ._payload import files_in, urls_in, with_files
from ._provider import Provider, Report, silent
from ._types import (
    Kind,
    MediaFile,
    Output,
    Request,
    Result,
    ResultFile,
    Status,
    Task,
    TaskState,
)
from ._words import say

T = TypeVar("T")

_UNKNOWN_WORDS = 10  # polls answered with a status word of no document before we give up


class Runner:
    """Starts jobs and remembers which are under way. One for the life of the process."""

    def __init__(self, engine: Engine, ledger: Ledger | None = None) -> None:
        self.engine = engine
        self.ledger: Ledger = ledger or MemoryLedger()
        self._hosted = Hosted()
        self._jobs: dict[str, Job] = {}
        self._gates: dict[str, Gate] = {}
        self._slots: dict[str, Slots] = {}
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=20))

    # -- for other threads ------------------------------------------------------------------

    def start(self, provider: Provider, request: Request, into: Path) -> Job:
        """Begin `request`, or join the equal one under way. Results go below `into`."""
        return self.engine.run(self.begin(provider, request, into))

    def leave(self, job: Job, *, stop: bool) -> None:
        """The caller waits no longer. With `stop`, the last one to leave has the task stopped."""
        self.engine.loop.call_soon_threadsafe(self._leave, job, stop)

    def delivered(self, job: Job) -> None:
        """The caller has the result in hand."""
        self.ledger.delivered(job.mark)

    def spoiled(self, job: Job) -> None:
        """The caller cannot read the result's files: the next start fetches them again."""
        self.ledger.spoiled(job.mark)

    # -- on the engine's loop ---------------------------------------------------------------

    async def begin(self, provider: Provider, request: Request, into: Path) -> Job:
        """`start`, for callers on the engine's loop."""
        mark = fingerprint(request, provider.http.base_url)
        while (job := self._jobs.get(mark)) and job.ending:
            await asyncio.wait({asyncio.wrap_future(job.future)})
        if job is None:
            job = self._jobs[mark] = Job(provider, request, mark)
            job.carrier = asyncio.ensure_future(self._carry(job, into))
        job.stop.clear()
        job.watchers += 1
        return job

    def _leave(self, job: Job, stop: bool) -> None:
        job.watchers -= 1
        if stop and job.watchers <= 0:
            job.stop.set()

    async def _carry(self, job: Job, into: Path) -> None:
        try:
            result = await self.run_task(job, into)
        except asyncio.CancelledError:
            self._settle(job).set_exception(TaskCancelled(say("The work was cancelled.")))
        except BaseException as error:
            self._settle(job).set_exception(error)
        else:
            self._settle(job).set_result(result)

    def _settle(self, job: Job) -> Any:
        """Forget the job before its watchers wake: whoever asks next starts anew from the ledger."""
        self._jobs.pop(job.mark, None)
        return job.future

    async def run_task(self, job: Job, into: Path) -> Result:
        """Carry `job` to its results. Raises a SkyportError; what was paid for stays in the ledger."""
        slots = self._slots_of(job.provider.name)
        await job.unless_stopped(slots.enter())
        try:
            row = self.ledger.find(job.mark)
            if row and row.delivered and not _settings.load().reuse_results:
                row = None
            if row and row.result and all(file.path.exists() for file in row.result.files):
                return replace(row.result, reused=True)
            task = row.task if row and row.task else await self._submit(job)
            job.enter("running", task_id=task.id, attached=row is not None)
            result = await self._results(job, task, into)
            self.ledger.finished(job.mark, result)
            job.enter("done")
            return result
        finally:
            slots.leave()

    # -- submit -----------------------------------------------------------------------------

    async def _submit(self, job: Job) -> Task:
        job.enter("preparing")
        request = await job.unless_stopped(
            self._read(lambda: job.provider.prepare(job.request))
        )
        request = await self._host_media(job, request)
        if job.stop.is_set():
            raise job.stopped()
        job.enter("submitting")
        self.ledger.intend(job.mark, job.request)
        task = await self._send_once(job, request)
        self.ledger.accepted(job.mark, task)
        return task

    async def _host_media(self, job: Job, request: Request) -> Request:
        """The request with every file uploaded, side by side, and its URL in its place."""
        files = files_in(request.payload)
        if not files or job.provider.sends_files_inside(request):
            return request
        job.enter("uploading")
        moved = Moved(job, sum(file.size for file in files))
        urls = await job.unless_stopped(self.host(job.provider, request, files, moved.part))
        hosted = dict(zip(files, urls, strict=True))
        return request.with_payload(with_files(request.payload, hosted.__getitem__))

    async def host(
        self,
        provider: Provider,
        request: Request,
        files: Sequence[MediaFile],
        part: Callable[[], Report] = lambda: silent,
    ) -> list[str]:
        """Where each file is for a request like `request`; the same file goes up once while its URL lives."""
        return await _all([self._upload(provider, request, file, part()) for file in files])

    async def _upload(
        self, provider: Provider, request: Request, file: MediaFile, report: Report
    ) -> str:
        async def upload() -> tuple[str, float]:
            url = await retrying(
                lambda: provider.upload(file, request, report), run_blocking=self.engine.transfer
            )
            return url, provider.lives(url, request)

        place = f"{provider.http.base_url} {request.endpoint} {file.sha256}"
        return await self._hosted.url(place, upload)

    async def _send_once(self, job: Job, request: Request) -> Task:
        """Not stoppable: once it is sent, the answer must be kept, whoever still waits for it."""
        report = Moved(job).part()
        try:
            task_id = await retrying(
                lambda: job.provider.submit(request, report),
                submit=True,
                run_blocking=self.engine.transfer,
            )
        except BaseException as error:
            self.ledger.ended(job.mark, error)
            raise
        return Task(request.platform, request.endpoint, task_id, urls_in(request.payload))

    # -- wait -------------------------------------------------------------------------------

    async def _results(self, job: Job, task: Task, into: Path) -> Result:
        try:
            return await self._awaited(job, task, into)
        except SkyportError as error:
            error.task_id = task.id
            if isinstance(error, (TaskFailed, TaskCancelled, NotFound)) or _is_final(error):
                self.ledger.ended(job.mark, error)
                raise
            raise _lives_on(error) from None

    async def _awaited(self, job: Job, task: Task, into: Path) -> Result:
        started = _now()
        state = await self._wait(job, task)
        if not job.sight.attached:
            self._took[_sort(job.request)].append(_now() - started)
        job.enter("downloading", state=state)
        try:
            return await self._collect(job, task, state, into)
        except ApiError as error:
            if not link_expired(error):
                raise
            # A result's URL lives for a while only: the platform is asked once more for it.
            return await self._collect(job, task, await self._poll(job, task), into)

    async def _wait(self, job: Job, task: Task) -> TaskState:
        """Poll until the task has ended well. Raises TaskFailed, TaskCancelled, TaskTimeout, BadResult."""
        started, usual = _now(), self._usual(job.request)
        limit = _settings.load().time_limit_s
        deadline = None if limit is None else started + limit
        pace, forecast = Pace(started), Forecast(started, usual)
        job.show(usual=usual)
        strange = 0
        while True:
            await self._pause(job, task, pace.next_poll(forecast.end()), deadline)
            state = await self._poll(job, task, pace)
            forecast.saw(_now(), state.progress)
            job.show(state=state)
            strange = 0 if state.known else strange + 1
            if strange >= _UNKNOWN_WORDS:
                raise _strange_word(job, task, state)
            if state.status.terminal:
                return _judged(job, task, state)

    async def _pause(self, job: Job, task: Task, due: float, deadline: float | None) -> None:
        """Wait until `due`, shorter when the job is stopped or its time is up."""
        until = due if deadline is None else min(due, deadline)
        try:
            await asyncio.wait_for(job.stop.wait(), max(0.0, until - _now()))
        except asyncio.TimeoutError:
            if deadline is not None and _now() >= deadline:
                raise _too_long(job, task) from None
        if job.stop.is_set():
            await self._cancel(job, task)

    async def _cancel(self, job: Job, task: Task) -> None:
        """Stop the task where the platform can; else it runs on, and the next queue attaches to it."""
        job.ending = True
        try:
            cancelled = await self._read(lambda: job.provider.cancel(task))
        finally:
            job.ending = False
        if cancelled:
            raise job.stopped(task)
        job.stop.clear()

    async def _poll(self, job: Job, task: Task, pace: Pace | None = None) -> TaskState:
        async def before() -> None:
            await self._gate_of(job.provider.name).passed()
            if pace is not None:
                pace.polled(_now())

        return await retrying(
            lambda: job.provider.poll(task), run_blocking=self.engine.blocking, before=before
        )

    # -- results ----------------------------------------------------------------------------

    async def _collect(self, job: Job, task: Task, state: TaskState, into: Path) -> Result:
        """Download every output, side by side."""
        moved = Moved(job)
        folder = into / task.platform / date.today().isoformat()
        made = [output for output in state.outputs if output.url or output.data]
        stem = f"{_file_name(job.request.title)}_{_file_name(task.id)}"
        files = await _all(
            [
                self._fetch(job, output, folder / f"{stem}_{number}", moved)
                for number, output in enumerate(made, 1)
            ]
        )
        texts = [file.path.read_text("utf-8", "replace") for file in files if _is_text(file)]
        return Result(
            task_id=task.id,
            files=tuple(file for file in files if not _is_text(file)),
            texts=(*(output.text for output in state.outputs if output.text), *texts),
            warnings=state.warnings,
            cost=state.cost,
        )

    async def _fetch(self, job: Job, output: Output, target: Path, moved: Moved) -> ResultFile:
        if output.data:
            file = await self.engine.blocking(lambda: keep(output.data, target))
        else:
            cap = _settings.load().max_result_mb * 1024 * 1024
            download = Download(
                job.provider.http, output.url, target, cap, moved.part(), text=True
            )
            try:
                file = await retrying(download.attempt, run_blocking=self.engine.transfer)
            except SkyportError:
                download.discard()
                raise
        return replace(file, url=output.url, node_id=output.node_id, title=output.title)

    # -- shared by the jobs of a platform ---------------------------------------------------

    async def _read(self, call: Callable[[], T]) -> T:
        return await retrying(call, run_blocking=self.engine.blocking)

    def _gate_of(self, platform: str) -> Gate:
        return self._gates.setdefault(platform, Gate(POLLS_A_SECOND))

    def _slots_of(self, platform: str) -> Slots:
        return self._slots.setdefault(platform, Slots(lambda: _settings.load().max_parallel))

    def _usual(self, request: Request) -> float | None:
        took = self._took.get(_sort(request))
        return statistics.median(took) if took else None


def _is_final(error: SkyportError) -> bool:
    return isinstance(error, BadResult) and error.final


def _judged(job: Job, task: Task, state: TaskState) -> TaskState:
    """`state` if the task ended well and made something; else raises what became of it."""
    about: dict[str, Any] = {"platform": job.provider.label, "task_id": task.id}
    if state.status is not Status.SUCCEEDED:
        reason = state.message or say('it ended as "{word}" and gave no reason', word=state.word)
        raise TaskFailed(
            say("The task failed: {reason}", reason=reason),
            do=say("Change the input or the seed and queue again."),
            **about,
        )
    if not state.outputs:
        reason = state.message or say("no output in its answer")
        nothing = BadResult(
            say("The task ended well and brought nothing: {reason}", reason=reason),
            do=say("Look at the task on the platform's own page, or queue again for a new one."),
            **about,
        )
        nothing.final = True
        raise nothing
    return state


def _strange_word(job: Job, task: Task, state: TaskState) -> BadResult:
    return BadResult(
        say('The task reports "{word}", which is no status we know.', word=state.word),
        do=say("Update Skyport if there is a newer one."),
        platform=job.provider.label,
        task_id=task.id,
    )


def _too_long(job: Job, task: Task) -> TaskTimeout:
    return TaskTimeout(
        say("The time limit set in the settings is over."),
        platform=job.provider.label,
        task_id=task.id,
    )


def _lives_on(error: SkyportError) -> SkyportError:
    """`error` with the news that nothing paid for is lost by it."""
    promise = say("The task lives on: queue again to go on with it, at no further charge.")
    error.do = f"{error.do} {promise}".strip()
    return error


async def _all(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Every outcome in order. Raises the first error only when all have settled: nothing goes on unseen."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return list(outcomes)  # type: ignore[arg-type]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _sort(request: Request) -> str:
    """Requests of one sort take about as long as each other."""
    return f"{request.platform} {request.endpoint} {request.title}"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "task"


def _is_text(file: ResultFile) -> bool:
    return file.kind is Kind.TEXT
