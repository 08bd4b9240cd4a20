"""What was spent, by day and by kind, and what the limits leave of it: for people to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.types import Json
from ..ledger.budget import MICRO, Limit, Period, Standing, standings
from ..ledger.charges import start_of
from ..ledger.ledger import Spending
from ..ledger.queries import Queries
from . import limits

_DAY = 86400.0
KINDS: dict[str, Callable[[Spending], str]] = {
    "platform": lambda spending: spending.platform,
    "model": lambda spending: spending.title,
    "graph": lambda spending: spending.prompt,
}


@dataclass(frozen=True)
class Sum:
    """What some orders add up to in one unit.

    name      the day, platform, model or prompt that they have in common; "" for all of them
    local     whether they went to this machine, as those of the sandbox do
    charged   what the platform reported
    expected  what those are expected to cost whose cost it has not reported
    unknown   how many of the tasks are of unknown price
    """

    name: str
    local: bool
    unit: str
    tasks: int
    charged: float
    expected: float
    unknown: int


@dataclass(frozen=True)
class Report:
    """Sums of today, this month and the latest days; what each limit of a period leaves."""

    today: list[Sum]
    month: list[Sum]
    days: list[Sum]
    kinds: list[Sum]
    limits: list[dict[str, Json]]


def report(store: Queries, by: str, days: int, now: float) -> Report:
    """`by` is a key of KINDS; `days` are counted back from today. Raises sqlite3.Error."""
    today = start_of(Period.DAY, now)
    first = start_of(Period.DAY, today - (days - 1) * _DAY + _DAY / 2)  # noon: no change of clocks
    latest = store.spending(first)
    return Report(
        today=_sums(store.spending(today), lambda _: ""),
        month=_sums(store.spending(start_of(Period.MONTH, now)), lambda _: ""),
        days=_sums(latest, lambda spending: spending.day),
        kinds=_sums(latest, KINDS[by]),
        limits=[view for limit in limits.current() for view in _limit_views(store, limit)],
    )


def _sums(spendings: Iterable[Spending], name: Callable[[Spending], str]) -> list[Sum]:
    """One for each name and unit, in the order in which they come."""
    groups: dict[tuple[str, bool, str], list[Spending]] = {}
    for one in spendings:
        groups.setdefault((name(one), one.local, one.unit), []).append(one)
    free = limits.free_platforms()
    return [_sum(*key, group, free) for key, group in groups.items()]


def _sum(name: str, local: bool, unit: str, group: Sequence[Spending], free: Container[str]) -> Sum:
    return Sum(
        name,
        local,
        unit,
        tasks=sum(one.tasks for one in group),
        charged=round(sum(one.charged for one in group), 6),
        expected=round(sum(one.expected for one in group), 6),
        unknown=sum(one.unknown for one in group if one.platform not in free),
    )


def _limit_views(store: Queries, limit: Limit) -> list[dict[str, Json]]:
    """One for each unit; those of this machine only where something is used."""
    if limit.period is Period.QUEUE:
        return [_view(limit, None, local=False)]
    views = [_view(limit, one, local=False) for one in _standings(store, limit, local=False)]
    here = [one for one in _standings(store, limit, local=True) if one.used or one.used_unknown]
    views = views or [_view(limit, Standing(limit, limit.unit, 0, 0, 0, 0), local=False)]
    return [*views, *(_view(limit, one, local=True) for one in here)]


def _standings(store: Queries, limit: Limit, *, local: bool) -> list[Standing]:
    return list(standings(limit, store.used(limit, local)))


def _view(limit: Limit, standing: Standing | None, *, local: bool) -> dict[str, Json]:
    """`used` and `left` are None for a limit that holds for each queue by itself."""
    scale = 1 if limit.counts == "tasks" else MICRO
    used = standing.used / scale if standing else None
    return {
        "setting": limit.setting,
        "period": limit.period.value,
        "counts": limit.counts,
        "platform": limit.platform,
        "person": limit.person,
        "unit": standing.unit if standing else limit.unit,
        "local": local,
        "most": limit.most,
        "used": used,
        "left": None if used is None else round(max(0.0, limit.most - used), 6),
        "unknown": standing.used_unknown if standing else 0,
    }


def report_to_json(found: Report, by: str) -> dict[str, Any]:
    """`found` as a JSON object."""
    parts = ("today", "month", "days", "kinds")
    sums = {part: [vars(one) for one in getattr(found, part)] for part in parts}
    return {"by": by, **sums, "limits": found.limits, "at": time.strftime("%Y-%m-%d")}
