"""How a task ended, and the error or warning that says so: pure decisions, no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from ..base.errors import (
    ApiError,
    BadResult,
    InvalidInput,
    MissingKey,
    NotRecorded,
    OutcomeUnknown,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskTimeout,
    TaskUnresolved,
    TransportError,
)
from ..base.shown_text import scrub
from ..base.types import Status, Task, TaskState
from ..base.words import tr
from ..http.retry import (
    is_wrong_address,
    may_be_accepted,
    outcome_unknown,
    refused_on_the_way,
)
from ..ledger.ledger import Row, State
from ..platforms.provider import Provider
from .job import Job

T = TypeVar("T")


def read_answer(provider: Provider, call: Callable[[], T]) -> T:
    """The outcome of `call`. Whatever goes wrong while its answer is read, it is no answer."""
    try:
        return call()
    except SkyportError:
        raise
    except Exception as error:
        reason = type(error).__name__
    raise BadResult(
        tr("The answer could not be read: {reason}", reason=reason), platform=provider.label
    )


def scrub_state(state: TaskState) -> TaskState:
    """`state` with URL queries removed from its texts, which are shown and stored."""
    return replace(
        state,
        word=scrub(state.word),
        message=scrub(state.message),
        warnings=tuple(map(scrub, state.warnings)),
    )


def raise_unless_succeeded(job: Job, task: Task, state: TaskState) -> TaskState:
    """`state` if the task succeeded. Raises TaskFailed or TaskCancelled otherwise."""
    if state.status is Status.CANCELLED:
        raise TaskCancelled(
            job.cancel_reason or _cancelled_there(state.message),
            do=tr("Queue again for a new one."),
            **_task_fields(job, task),
        )
    if state.status is not Status.SUCCEEDED:
        reason = state.message or tr('it ended as "{word}" and gave no reason', word=state.word)
        raise TaskFailed(
            tr("The task failed: {reason}", reason=reason),
            do=tr("Change the input or the seed and queue again."),
            **_task_fields(job, task),
        )
    return state


def _cancelled_there(reason: str) -> str:
    if not reason:
        return tr("The task was cancelled on the platform, not by Skyport.")
    return tr("The task was cancelled on the platform, not by Skyport: {reason}", reason=reason)


def unresolved_error(job: Job, task: Task, reason: str) -> TaskUnresolved:
    return TaskUnresolved(
        reason,
        do=tr(
            "Whether it was charged is not known. Queue again to look again, at no charge. To "
            "order it anew, which costs again: another seed, Order anew in the list of jobs, or "
            "`skyport jobs anew`."
        ),
        **_task_fields(job, task),
    )


def lost_error(job: Job, task: Task, reason: str) -> TaskLost:
    return TaskLost(
        reason,
        do=tr(
            "Its server may have restarted. Nothing was charged: queue again to run it once more."
        ),
        **_task_fields(job, task),
    )


def look_reason(seconds: float, words: str) -> str:
    """Why a task is still unresolved after it was looked at again; `words` came last."""
    return tr(
        "It was looked at again for {seconds} seconds, and no result came; last: {words}",
        seconds=round(seconds),
        words=words,
    )


def empty_answer_error(job: Job, task: Task, state: TaskState) -> OutcomeUnknown:
    """The error for an order that was answered at once, with nothing: it cannot be asked again."""
    return OutcomeUnknown(
        tr(
            "The platform answered with nothing: {reason}",
            reason=state.message or tr("no output in its answer"),
        ),
        do=tr("It may have been charged. Queue again for a new answer, which is charged again."),
        **_task_fields(job, task),
    )


def silence_error(job: Job, task: Task, words: str, seconds: float) -> TaskTimeout:
    return TaskTimeout(
        tr(
            "The platform has not answered for {minutes} minutes; last: {words}",
            minutes=round(seconds / 60),
            words=words,
        ),
        do=tr("The task goes on, and its result is fetched in the background."),
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


def is_final(error: SkyportError) -> bool:
    """Whether it is proved that the task will never bring a result."""
    return isinstance(error, (TaskFailed, TaskCancelled))


def submit_error(job: Job, error: BaseException, *, address_known: bool) -> BaseException:
    """What the end of a submit in `error` means: OutcomeUnknown unless it was certainly refused."""
    label = job.provider.label
    if not isinstance(error, Exception) or may_be_accepted(error, address_known=address_known):
        return outcome_unknown(error, label)
    if isinstance(error, SkyportError) and refused_on_the_way(error):
        spoke = tr(
            "Not the platform itself but a proxy or gateway on the way answered so; nothing was "
            "charged."
        )
        error.do = f"{error.do} {spoke}".strip()
    elif isinstance(error, SkyportError) and is_wrong_address(error):
        error.do = tr(
            "Nothing was charged: {address} has never answered as {platform} does. Check "
            "{name}_BASE_URL.",
            address=job.provider.http.base_url,
            platform=label,
            name=label.upper(),
        )
    return error


def taken_for_dead_error() -> NotRecorded:
    """The error of an order whose intent others have given up, before it was sent."""
    return NotRecorded(
        tr(
            "This machine was paused or cut off for so long that others took it for dead. Nothing "
            "was sent."
        ),
        do=tr("Queue it again."),
    )


def end_state(error: BaseException) -> State:
    """The ledger state of an order that ended with `error`; only a known refusal is a failure."""
    if isinstance(error, TaskCancelled):
        return State.CANCELLED
    is_known = isinstance(error, SkyportError) and not isinstance(error, OutcomeUnknown)
    return State.FAILED if is_known else State.UNKNOWN


def is_uncharged(error: BaseException | None) -> bool:
    """Whether `error` proves that the order was never accepted, and so cost nothing."""
    if not isinstance(error, SkyportError) or error.task_id:
        return False
    return isinstance(error, (MissingKey, InvalidInput, ApiError, TransportError))


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
        do=tr("Queue again only if the task is not listed there: that costs again."),
        platform=job.provider.label,
    )


def with_resume_hint(error: SkyportError) -> SkyportError:
    """`error` with advice on how to resume the task, which nothing more is charged for."""
    hint = tr("The task is not lost: queue again to resume it at no further charge.")
    error.do = f"{error.do} {hint}".strip()
    return error


def _task_fields(job: Job, task: Task) -> dict[str, Any]:
    return {"platform": job.provider.label, "task_id": task.id}
