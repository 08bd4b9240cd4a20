"""Runs each item on the first of several platforms that takes it, and goes on only at no charge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ... import providers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.types import Request, Result
from ...engine.base.words import tr
from ...engine.platforms.provider import Provider
from ...engine.tasks.job import Job
from ...engine.tasks.outcome import is_uncharged
from . import run_task

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """One platform that an item can be sent to."""

    provider: Provider
    request: Request


@dataclass(frozen=True)
class Plan:
    """For each item the platforms to ask, the preferred first.

    note      says what prefers them
    refusals  of platforms that cannot take any item
    """

    items: Sequence[Sequence[Choice]]
    note: str = ""
    refusals: Sequence[str] = ()


async def run(
    node_id: str, make_plan: Callable[[], Plan], deliver: Callable[[list[Result]], T]
) -> T:
    """Passes the results of all items, in order, to `deliver`, as `run_task.run` does.

    An item goes on to its next platform only where the one before has certainly not accepted it.
    Both callbacks run in threads.
    """
    plan = await run_task.in_thread(make_plan)
    items = [_Item(list(choices), list(plan.refusals)) for choices in plan.items]
    while asked := [item for item in items if item.may_go_on()]:
        jobs = await _round(node_id, [item.next_choice() for item in asked])
        for item, job in zip(asked, jobs, strict=True):
            item.end(job)
    errors = {
        n: all_refused(item.refusals)
        for n, item in enumerate(items)
        if item.is_refused() and len(item.refusals) > 1
    }
    jobs = [item.job for item in items if item.job]
    return await run_task.finish(node_id, jobs, deliver, plan.note, errors)


class _Item:
    """One item on its way through its choices."""

    def __init__(self, choices: list[Choice], refusals: list[str]) -> None:
        self._choices = choices
        self.refusals = refusals
        self.job: Job | None = None

    def may_go_on(self) -> bool:
        return bool(self._choices) and (self.job is None or self.is_refused())

    def is_refused(self) -> bool:
        return self.job is not None and is_uncharged(self.job.future.exception())

    def next_choice(self) -> Choice:
        """The next choice; its result says which platforms did not take the item, and why."""
        choice = self._choices.pop(0)
        warnings = [
            tr("Not taken, and nothing was charged there: {refusal}", refusal=one)
            for one in self.refusals
        ]
        request = replace(choice.request, warnings=(*choice.request.warnings, *warnings))
        return replace(choice, request=request)

    def end(self, job: Job) -> None:
        self.job = job
        if self.is_refused():
            self.refusals.append(str(job.future.exception()))


async def _round(node_id: str, choices: Sequence[Choice]) -> list[Job]:
    """The jobs of these choices, once all have ended."""
    runner, into, source = providers.runner(), providers.results(), run_task.source_of(node_id)

    async def begin(jobs: list[Job]) -> None:
        for choice in choices:
            jobs.append(await runner.begin(choice.provider, choice.request, into, source))

    return await run_task.wait_for_jobs(node_id, begin)


def all_refused(reasons: Sequence[str]) -> SkyportError:
    """The error for an order that no platform took."""
    return InvalidInput(
        tr("No platform took it, and nothing was charged. {reasons}", reasons=" | ".join(reasons)),
        do=tr("Mend one of them, or choose another model family."),
    )
