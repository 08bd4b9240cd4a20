"""What became of a task, and how it is told: pure decisions, no I/O."""

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


def scrubbed(state: TaskState) -> TaskState:
    """`state` without the query of any URL in its words: they are shown and kept."""
    return replace(
        state,
        word=scrub(state.word),
        message=scrub(state.message),
        warnings=tuple(map(scrub, state.warnings)),
    )


def raise_unless_succeeded(job: Job, task: Task, state: TaskState) -> TaskState:
    """`state` if the task ended well and made something; else raises what became of it."""
    if state.status is not Status.SUCCEEDED:
        reason = state.message or tr('it ended as "{word}" and gave no reason', word=state.word)
        raise TaskFailed(
            tr("The task failed: {reason}", reason=reason),
            do=tr("Change the input or the seed and queue again."),
            **_about(job, task),
        )
    if not state.outputs:
        reason = state.message or tr("no output in its answer")
        nothing = BadResult(
            tr("The task ended well and brought nothing: {reason}", reason=reason),
            do=tr("Look at the task on the platform's own page, or queue again for a new one."),
            **_about(job, task),
        )
        nothing.final = True
        raise nothing
    return state


def unknown_status(job: Job, task: Task, state: TaskState) -> BadResult:
    return BadResult(
        tr('The task reports "{word}", which is no status we know.', word=state.word),
        do=tr("Update Skyport if there is a newer one."),
        **_about(job, task),
    )


def too_long(job: Job, task: Task) -> TaskTimeout:
    return TaskTimeout(tr("The time limit set in the settings is over."), **_about(job, task))


def is_final(job: Job, error: SkyportError) -> bool:
    """Whether the task will never bring a result, so that the next equal request is a new one."""
    if isinstance(error, NotFound):
        # While it runs the platform knows no such task. A result that is not found may come yet.
        return job.snapshot.stage == "running"
    final = isinstance(error, BadResult) and error.final
    return final or isinstance(error, (TaskFailed, TaskCancelled))


def state_of(error: BaseException) -> State:
    """How the ledger keeps an order that ended with `error`."""
    if isinstance(error, OutcomeUnknown):
        return State.UNKNOWN
    return State.CANCELLED if isinstance(error, TaskCancelled) else State.FAILED


def may_be_charged(row: Row) -> str:
    """What to tell with the result of an order whose earlier try was never answered."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created))
    return tr(
        "The same request was sent at {when} and never answered: it may have been charged too. "
        "Look at your tasks at the platform.",
        when=when,
    )


def sender_died(job: Job, row: Row) -> OutcomeUnknown:
    """The error for an order whose sender died while we waited for it."""
    return OutcomeUnknown(
        may_be_charged(row),
        do=tr("Queue again only if it is not there."),
        platform=job.provider.label,
    )


def with_resume_hint(error: SkyportError) -> SkyportError:
    """`error` with the news that nothing paid for is lost by it."""
    promise = tr("The task lives on: queue again to go on with it, at no further charge.")
    error.do = f"{error.do} {promise}".strip()
    return error


def _about(job: Job, task: Task) -> dict[str, Any]:
    return {"platform": job.provider.label, "task_id": task.id}
