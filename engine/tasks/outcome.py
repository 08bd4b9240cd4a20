"""How a task ended, and the error or warning that says so: pure decisions, no I/O."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..base.errors import (
    BadResult,
    NotFound,
    OutcomeUnknown,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
)
from ..base.shown_text import scrub
from ..base.types import Status, Task, TaskState
from ..base.words import tr
from ..ledger.ledger import Row, State
from .job import Job


def scrub_state(state: TaskState) -> TaskState:
    """`state` with URL queries removed from its texts, which are shown and stored."""
    return replace(
        state,
        word=scrub(state.word),
        message=scrub(state.message),
        warnings=tuple(map(scrub, state.warnings)),
    )


def raise_unless_succeeded(job: Job, task: Task, state: TaskState) -> TaskState:
    """`state` if the task succeeded and has outputs. Raises TaskFailed or BadResult otherwise."""
    if state.status is not Status.SUCCEEDED:
        reason = state.message or tr('it ended as "{word}" and gave no reason', word=state.word)
        raise TaskFailed(
            tr("The task failed: {reason}", reason=reason),
            do=tr("Change the input or the seed and queue again."),
            **_task_fields(job, task),
        )
    if not state.outputs:
        reason = state.message or tr("no output in its answer")
        error = BadResult(
            tr("The task succeeded but returned nothing: {reason}", reason=reason),
            do=tr("Check the task on the platform's website, or queue again for a new one."),
            **_task_fields(job, task),
        )
        error.final = True
        raise error
    return state


def unknown_status_error(job: Job, task: Task, state: TaskState) -> BadResult:
    return BadResult(
        tr('The task reports "{word}", which is not a known status.', word=state.word),
        do=tr("Update Skyport if there is a newer one."),
        **_task_fields(job, task),
    )


def time_limit_error(job: Job, task: Task) -> TaskTimeout:
    return TaskTimeout(
        tr("The time limit set in the settings has been reached."), **_task_fields(job, task)
    )


def download_stopped_error(job: Job, task: Task) -> TaskTimeout:
    return TaskTimeout(
        tr("Stopped while its result was being downloaded."), **_task_fields(job, task)
    )


def poll_stopped_error(job: Job, task: Task) -> TaskTimeout:
    return TaskTimeout(tr("Stopped while the platform did not answer."), **_task_fields(job, task))


def is_final(job: Job, error: SkyportError) -> bool:
    """Whether the task will never bring a result, so that the next equal request is a new one."""
    if isinstance(error, NotFound):
        # While it runs, the task itself. Later it is a result, which may still appear.
        return job.snapshot.stage == "running"
    final = isinstance(error, BadResult) and error.final
    return final or isinstance(error, (TaskFailed, TaskCancelled))


def end_state(error: BaseException) -> State:
    """The ledger state of an order that ended with `error`."""
    if isinstance(error, OutcomeUnknown):
        return State.UNKNOWN
    return State.CANCELLED if isinstance(error, TaskCancelled) else State.FAILED


def unanswered_warning(row: Row) -> str:
    """The warning for an order whose earlier attempt, `row`, was never answered."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created))
    return tr(
        "The same request was sent at {when} and never answered: it may have been charged too. "
        "Check your tasks on the platform.",
        when=when,
    )


def sender_died_error(job: Job, row: Row) -> OutcomeUnknown:
    """The error for an order whose sender died before its answer was stored."""
    return OutcomeUnknown(
        unanswered_warning(row),
        do=tr("Queue again only if the task is not listed there."),
        platform=job.provider.label,
    )


def with_resume_hint(error: SkyportError) -> SkyportError:
    """`error` with advice on how to resume the task, which nothing more is charged for."""
    hint = tr("The task is not lost: queue again to resume it at no further charge.")
    error.do = f"{error.do} {hint}".strip()
    return error


def _task_fields(job: Job, task: Task) -> dict[str, Any]:
    return {"platform": job.provider.label, "task_id": task.id}
