"""Runs each item on the first of several platforms that takes it, and goes on only at no charge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ...engine.base.errors import InvalidInput, LimitReached, SkyportError
from ...engine.base.types import Request, Result
from ...engine.base.words import tr
from ...engine.platforms.provider import Provider
from ...engine.tasks.job import Job
from ...engine.tasks.outcome import is_uncharged
from . import begun_ahead, run_task

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """One platform that an item can be sent to.

    is_ordered  whether it has the order already: a limit that holds no new one is no matter to it
    """

    provider: Provider
    request: Request
    is_ordered: bool = False


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
    call = begun_ahead.current_call(node_id)
    while asked := [item for item in items if item.may_go_on()]:
        await _round(call, asked)
    jobs = [item.job for item in items if item.job]
    errors = {n: item.error() for n, item in enumerate(items, 1) if item.error()}
    if errors:
        raise await run_task.error_of(jobs, errors, len(items))
    deliver = run_task.noting_change(call, deliver)
    return await run_task.finish(node_id, jobs, deliver, plan.note)


class _Item:
    """One item on its way through its choices."""

    def __init__(self, choices: list[Choice], refusals: list[str]) -> None:
        self._choices = choices
        self._refusals = refusals
        self._refused: SkyportError | None = None  # by the choice that was asked last
        self._limits: set[tuple[str, str]] = set()  # that have refused it, by what they say
        self._are_limits = not refusals  # whether nothing else has refused it
        self.job: Job | None = None

    def may_go_on(self) -> bool:
        is_new = self.job is None and self._refused is None
        return bool(self._choices) and (is_new or self._refused is not None)

    def next_choice(self) -> Choice:
        """The next choice; its result says which platforms did not take the item, and why."""
        self._refused, self.job = None, None
        choice = self._choices.pop(0)
        warnings = [
            tr("Not taken, and nothing was charged there: {refusal}", refusal=one)
            for one in self._refusals
        ]
        request = replace(choice.request, warnings=(*choice.request.warnings, *warnings))
        return replace(choice, request=request)

    def refuse(self, error: SkyportError) -> None:
        self._refused = error
        self._refusals.append(str(error))
        self._limits.add((error.what, error.do))
        self._are_limits = self._are_limits and isinstance(error, LimitReached)

    def error(self) -> BaseException | None:
        """Why the item has no result; None if it has one."""
        if self._refused is None:
            return self.job.future.exception() if self.job else None
        if self._are_limits and len(self._limits) == 1:  # one that holds for all platforms
            return LimitReached(self._refused.what, do=self._refused.do)
        return all_refused(self._refusals) if len(self._refusals) > 1 else self._refused


async def _round(call: begun_ahead.Call, items: Sequence[_Item]) -> None:
    """Asks the next platform of each item, and waits until all have ended."""
    choices = [(item, item.next_choice()) for item in items]

    async def begin(jobs: list[Job]) -> None:
        for provider, group in _by_provider(choices):
            before, requests = len(jobs), [choice.request for _, choice in group]
            try:
                await run_task.begin_orders(call, provider, requests, jobs)
            except LimitReached as error:
                for item, _ in group:
                    item.refuse(error)
                continue
            for (item, _), job in zip(group, jobs[before:], strict=call.rank is None):
                item.job = job

    await run_task.only_begin_ahead(call, begin)
    await run_task.wait_for_jobs(call.source.node_id, begin)
    for item, _ in choices:
        error = item.job.future.exception() if item.job else None
        if isinstance(error, SkyportError) and is_uncharged(error):
            item.refuse(error)


Asked = tuple[_Item, Choice]


def _by_provider(choices: Sequence[Asked]) -> list[tuple[Provider, list[Asked]]]:
    """The new orders of each platform together: a limit holds all of them, or none.

    What it has already is apart: it does not go on where a limit refuses the new ones.
    """
    groups: dict[tuple[str, bool], tuple[Provider, list[Asked]]] = {}
    for item, choice in choices:
        key = choice.provider.name, choice.is_ordered
        groups.setdefault(key, (choice.provider, []))[1].append((item, choice))
    return list(groups.values())


def all_refused(reasons: Sequence[str]) -> SkyportError:
    """The error for an order that no platform took."""
    return InvalidInput(
        tr("No platform took it, and nothing was charged. {reasons}", reasons=" | ".join(reasons)),
        do=tr("Mend one of them, or choose another model family."),
    )
