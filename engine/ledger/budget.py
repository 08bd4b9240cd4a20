"""Limits of what may be ordered: what counts against each, and when one is reached. No I/O."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..base.errors import LimitReached
from ..base.words import tr

MICRO = 1_000_000  # sums are whole millionths of a unit: floats would not hold a limit to the cent
MOST = 1e9  # of a unit for one order; whatever is more than that counts as that


class Period(str, enum.Enum):
    """For what a limit holds: one queued prompt, one day or one month of local time."""

    QUEUE = "queue"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class Limit:
    """At most so much may be ordered within a period.

    setting   the setting that it comes from, or the option of the command
    most      tasks, or the amount in a unit
    counts    "tasks" or "cost"
    platform  "" for all of them together, but those that are `free`
    unit      of a cost; "" holds for every unit by itself, as units are never added up
    person    whether it holds for each of those who share the ledger by themselves
    """

    setting: str
    period: Period
    most: float
    counts: str
    platform: str = ""
    unit: str = ""
    free: frozenset[str] = frozenset()
    person: bool = False

    def concerns(self, use: Use) -> bool:
        """A limit that names a platform holds for it although nothing is charged there."""
        return self.platform == use.platform or not (self.platform or use.platform in self.free)

    @property
    def ceiling(self) -> int:
        """`most` as it is compared: whole tasks, or millionths of the unit."""
        return int(self.most) if self.counts == "tasks" else micros(self.most)


@dataclass(frozen=True)
class Use:
    """What some orders of one platform add up to, as far as it is in one unit.

    micros   millionths of the unit
    unknown  how many of the tasks are of unknown price
    """

    platform: str
    unit: str
    tasks: int
    micros: int
    unknown: int


Used = Callable[[Limit], Sequence[Use]]  # what counts against a limit so far


@dataclass(frozen=True)
class Standing:
    """How much of a limit is used and asked for: tasks, or millionths of `unit`.

    asked_tasks  the tasks that a cost is asked for
    """

    limit: Limit
    unit: str
    used: int
    asked: int
    used_unknown: int
    asked_unknown: int
    asked_tasks: int = 0

    @property
    def is_exceeded(self) -> bool:
        if self.asked > 0:
            return self.used + self.asked > self.limit.ceiling
        # Where nothing may be spent, what may cost something may not be ordered.
        return self.limit.ceiling == 0 and self.asked_unknown > 0


def micros(value: float) -> int:
    return round(min(max(0.0, value), MOST) * MICRO)


def check(limits: Iterable[Limit], used: Used, asked: Sequence[Use]) -> None:
    """Raises LimitReached for the first limit that the orders asked for do not fit in."""
    for limit in limits:
        if not any(map(limit.concerns, asked)):
            continue
        for standing in standings(limit, used(limit), asked):
            if standing.is_exceeded:
                raise _refusal(standing)


def standings(limit: Limit, used: Sequence[Use], asked: Sequence[Use] = ()) -> Iterator[Standing]:
    """Of a limit of tasks one, of a limit of cost one for each unit that is used or asked for."""
    before = [use for use in used if limit.concerns(use)]
    now = [use for use in asked if limit.concerns(use)]
    unknown = sum(use.unknown for use in before)
    if limit.counts == "tasks":
        spent, wanted = (sum(use.tasks for use in uses) for uses in (before, now))
        yield Standing(limit, "", spent, wanted, unknown, sum(use.unknown for use in now))
        return
    spent_by_unit, wanted_by_unit = _sums(before), _sums(now)
    for unit in _units(limit, [*before, *now]):
        key = unit.casefold()
        in_unit = [use for use in now if "" in (limit.unit, use.unit) or use.unit.casefold() == key]
        yield Standing(
            limit,
            unit,
            spent_by_unit[key],
            wanted_by_unit[key],
            unknown,
            sum(use.unknown for use in in_unit),
            sum(use.tasks for use in now),
        )


def _units(limit: Limit, uses: Sequence[Use]) -> list[str]:
    if limit.unit:
        return [limit.unit]
    return list({use.unit.casefold(): use.unit for use in uses}.values())


def _sums(uses: Iterable[Use]) -> defaultdict[str, int]:
    sums: defaultdict[str, int] = defaultdict(int)
    for use in uses:
        sums[use.unit.casefold()] += use.micros
    return sums


# -- what a person reads ------------------------------------------------------------------------


def amount_text(limit: Limit, unit: str, number: float) -> str:
    """`5 tasks`, `0.3 CNY`; `number` is in tasks or in millionths."""
    if limit.counts == "tasks":
        return _tasks_text(int(number))
    return f"{number / MICRO:.6f}".rstrip("0").rstrip(".") + (f" {unit}" if unit else "")


def _tasks_text(count: int) -> str:
    return tr("1 task") if count == 1 else tr("{count} tasks", count=count)


def _refusal(standing: Standing) -> LimitReached:
    limit = standing.limit
    most, spent, asked = (
        amount_text(limit, standing.unit, number)
        for number in (limit.ceiling, standing.used, standing.asked)
    )
    if limit.counts == "cost":
        tasks = _tasks_text(standing.asked_tasks)
        asked = tr("{amount} for {tasks}", amount=asked, tasks=tasks)
    if limit.platform:
        most = tr("{amount} on {platform}", amount=most, platform=limit.platform)
    if limit.person:
        most = tr("{amount} for each person", amount=most)
    text = _REACHED[limit.period](most=most, spent=spent, asked=asked)
    return LimitReached(f"{text} {_unknown_text(standing)}".strip(), do=_advice(limit))


_REACHED: dict[Period, Callable[..., str]] = {
    Period.QUEUE: lambda **values: tr(
        "The limit for one queue is {most}. This queue has {spent} so far, and this asks for "
        "{asked} more. Nothing was sent, and nothing was charged.",
        **values,
    ),
    Period.DAY: lambda **values: tr(
        "The limit for a day is {most}. Today has {spent} so far, and this asks for {asked} more. "
        "Nothing was sent, and nothing was charged.",
        **values,
    ),
    Period.MONTH: lambda **values: tr(
        "The limit for a month is {most}. This month has {spent} so far, and this asks for {asked} "
        "more. Nothing was sent, and nothing was charged.",
        **values,
    ),
}


def _unknown_text(standing: Standing) -> str:
    if standing.limit.counts == "tasks" or not (standing.used_unknown or standing.asked_unknown):
        return ""
    return tr(
        "Not in these amounts, as their price is unknown: {spent} tasks so far, {asked} now.",
        spent=standing.used_unknown,
        asked=standing.asked_unknown,
    )


def _advice(limit: Limit) -> str:
    if limit.setting.startswith("--"):
        return tr("Raise {option} to go on.", option=limit.setting)
    wait = {
        Period.QUEUE: lambda: tr("Queue less at once, or raise the limit:"),
        Period.DAY: lambda: tr("Wait until tomorrow, or raise the limit:"),
        Period.MONTH: lambda: tr("Wait until next month, or raise the limit:"),
    }[limit.period]()
    where = tr(
        "in the settings under Skyport, as {setting} in settings.json, or as {variable}.",
        setting=limit.setting,
        variable=f"SKYPORT_{limit.setting.upper()}",
    )
    return f"{wait} {where}"
