"""From a task that the platform has taken to its results on disk, recorded in the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from ..base.background import Engine
from ..base.errors import ApiError, BadResult, SkyportError, TaskLost, TaskUnresolved
from ..base.types import Result, Task, TaskState
from ..base.words import tr
from ..ledger.ledger import Ledger, Row
from ..media.download import link_expired
from ..settings import settings
from .elsewhere import can_go_elsewhere, is_silence
from .job import Job, Stopped, within
from .outcome import (
    download_stopped_error,
    empty_answer_error,
    is_final,
    lost_error,
    sender_died_error,
    time_limit_error,
    unresolved_error,
    with_resume_hint,
)
from .poller import LOOK, Poller
from .polling import Pace
from .results import Results, fetch_results
from .resume import ResumeCheck
from .submit import Submitter


class Finisher:
    """Waits for tasks and fetches their results. Runs on the engine's loop and uses its clock."""

    def __init__(
        self, engine: Engine, ledger: Ledger, resume: ResumeCheck, submitter: Submitter
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._resume = resume
        self._submitter = submitter
        self._poller = Poller(engine, ledger, resume)

    async def finish(
        self,
        job: Job,
        task: Task,
        row: Row | None,
        into: Path,
        success: TaskState | None = None,
    ) -> Result:
        """The results of the task, or those that have come, recorded.

        Raises TaskLost, and records nothing, where the task may be sent again.
        """
        try:
            limit = settings.load().time_limit_s
            result = await within(
                limit,
                self._wait_and_download(job, task, row, into, success),
                time_limit_error(job, task),
            )
        except SkyportError as error:
            failure = await self._unless_dead(job, task, error)
        else:
            return await self._save_result(job, result, row)
        part = None if job.stop.is_set() else await self._resume.part_on_disk(job, str(failure))
        if part is None:
            await self._record_failure(job, task, failure)
        return await self._save_result(job, part, row)

    async def _unless_dead(self, job: Job, task: Task, error: SkyportError) -> SkyportError:
        """`error`; TaskLost where the results are on a server that does not answer any more."""
        if not (is_silence(error) and job.may_be_sent_again):
            return error
        if not await can_go_elsewhere(self._engine, job, task.endpoint):
            return error
        return lost_error(
            job, task, tr("Its server does not answer any more: {words}", words=error.what)
        )

    async def deliver_answer(
        self, job: Job, task: Task, state: TaskState, into: Path, row: Row | None = None
    ) -> Result:
        """The result of an order that can only be answered with it: nothing can be polled.

        It is paid for: its answer was read to the end and stored, whoever still waits.
        """
        if not state.outputs:
            error = empty_answer_error(job, task, state)
            await self._resume.record_end(job, error)
            raise error
        earlier = row.kept if row else None
        results = await fetch_results(self._engine, job, task, state, into, earlier)
        return await self._save_result(job, results.whole_or_part(), row)

    async def stored_answer(self, job: Job, task: Task, row: Row, into: Path) -> Result:
        """The result of an order whose process died after the answer had come."""
        if row.success is not None:
            return await self.deliver_answer(job, task, row.success, into, row)
        error = sender_died_error(job, row)
        await self._resume.record_end(job, error)
        raise error

    async def with_warnings(self, job: Job, result: Result) -> Result:
        """`result` with the warnings of its request and of earlier attempts."""
        warnings = (*job.request.warnings, *await self._resume.warnings(job))
        return replace(result, warnings=(*warnings, *result.warnings)) if warnings else result

    async def _save_result(self, job: Job, result: Result, row: Row | None) -> Result:
        if job.attempt > 1:
            again = (tr("sent again"), tr("after its server had lost it"))
            result = replace(result, details=(*result.details, again))
        await self._resume.in_thread(lambda: self._ledger.record_result(job.fingerprint, result))
        if row and row.delivered and row.kept and result.missing and result.files == row.kept.files:
            # Nothing new has come of what a caller has received already.
            await self._resume.in_thread(lambda: self._ledger.record_delivered(job.fingerprint))
        job.enter("done")
        return await self.with_warnings(job, result)

    async def _record_failure(self, job: Job, task: Task, error: SkyportError) -> NoReturn:
        """Record how a task ended that has brought nothing, and raise that."""
        if isinstance(error, TaskLost) and job.may_be_sent_again:
            raise error
        if isinstance(error, TaskUnresolved):
            text, answer = str(error), error.answer
            await self._resume.in_thread(
                lambda: self._ledger.record_unresolved(job.fingerprint, task.id, text, answer)
            )
            raise error
        error.task_id = task.id
        if is_final(error):
            await self._submitter.forget_if_lost(job, error)
            await self._resume.record_end(job, error)
            raise error
        raise with_resume_hint(error)

    async def _wait_and_download(
        self, job: Job, task: Task, row: Row | None, into: Path, success: TaskState | None
    ) -> Result:
        """The results of the task. `success` is the answer that named them, if it is there."""
        pace, earlier = Pace(_now()), row.kept if row else None
        stored = success or (row.success if row else None)
        state = stored
        if state is None:
            state = await self._poller.wait(job, task, row, pace)
            if not job.snapshot.attached:
                self._poller.add_duration(job.request, pace.duration())
        job.enter("downloading", state=state)
        results = await self._download(job, task, state, into, earlier)
        renewable = [e for e in results.errors if link_expired(e) or (stored and _was_answered(e))]
        if not renewable:
            return results.whole_or_part()
        # A result's URL expires, or was none: the platform is asked for a new one, once.
        job.stop.clear()  # too late to cancel, and the result is paid for
        if results.has_any:
            return await self._download_rest(job, task, row, into, pace, results.result)
        state = await self._poller.wait(job, task, row, pace)
        results = await self._download(job, task, state, into, earlier)
        if not results.has_any and link_expired(results.errors[0]):
            raise unresolved_error(job, task, results.errors[0].what)
        return results.whole_or_part()

    async def _download_rest(
        self, job: Job, task: Task, row: Row | None, into: Path, pace: Pace, part: Result
    ) -> Result:
        """`part`, with what the addresses bring that are asked for anew; silence ends that soon."""
        await self._resume.in_thread(lambda: self._ledger.record_result(job.fingerprint, part))
        silent = time_limit_error(job, task)
        state = await within(LOOK, self._poller.wait(job, task, row, pace), silent)
        return (await self._download(job, task, state, into, part)).whole_or_part()

    async def _download(
        self, job: Job, task: Task, state: TaskState, into: Path, earlier: Result | None
    ) -> Results:
        """The results of `state`. A stop ends the download at once; the task keeps its results."""
        fetching = fetch_results(self._engine, job, task, state, into, earlier)
        try:
            return await job.unless_stopped(fetching)
        except Stopped:
            job.open.clear()  # new watchers must not join a job that is ending
            raise download_stopped_error(job, task) from None


def _was_answered(error: SkyportError) -> bool:
    return isinstance(error, (ApiError, BadResult))


def _now() -> float:
    return asyncio.get_running_loop().time()
