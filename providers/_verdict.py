"""What became of a task, and how it is told: pure decisions, no I/O."""

from __future__ import annotations

from typing import Any

from ._errors import BadResult, NotFound, SkyportError, TaskCancelled, TaskFailed, TaskTimeout
from ._job import Job
from ._types import Status, Task, TaskState
from ._words import say


def judged(job: Job, task: Task, state: TaskState) -> TaskState:
    """`state` if the task ended well and made something; else raises what became of it."""
    if state.status is not Status.SUCCEEDED:
        reason = state.message or say('it ended as "{word}" and gave no reason', word=state.word)
        raise TaskFailed(
            say("The task failed: {reason}", reason=reason),
            do=say("Change the input or the seed and queue again."),
            **_about(job, task),
        )
    if not state.outputs:
        reason = state.message or say("no output in its answer")
        nothing = BadResult(
            say("The task ended well and brought nothing: {reason}", reason=reason),
            do=say("Look at the task on the platform's own page, or queue again for a new one."),
            **_about(job, task),
        )
        nothing.final = True
        raise nothing
    return state


def strange_word(job: Job, task: Task, state: TaskState) -> BadResult:
    return BadResult(
        say('The task reports "{word}", which is no status we know.', word=state.word),
        do=say("Update Skyport if there is a newer one."),
        **_about(job, task),
    )


def too_long(job: Job, task: Task) -> TaskTimeout:
    return TaskTimeout(say("The time limit set in the settings is over."), **_about(job, task))


def is_over(job: Job, error: SkyportError) -> bool:
    """Whether the task will never bring a result, so that the next equal request is a new one."""
    if isinstance(error, NotFound):
        # While it runs the platform knows no such task. A result that is not found may come yet.
        return job.sight.stage == "running"
    final = isinstance(error, BadResult) and error.final
    return final or isinstance(error, (TaskFailed, TaskCancelled))


def lives_on(error: SkyportError) -> SkyportError:
    """`error` with the news that nothing paid for is lost by it."""
    promise = say("The task lives on: queue again to go on with it, at no further charge.")
    error.do = f"{error.do} {promise}".strip()
    return error


def _about(job: Job, task: Task) -> dict[str, Any]:
    return {"platform": job.provider.label, "task_id": task.id}
