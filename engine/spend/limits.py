"""The limits that the settings name, as the ledger takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..ledger.budget import Limit, Period
from ..platforms import registry
from ..settings import settings
from ..settings.caps import PERSON, Cap

_PERIODS = {
    "limit_tasks_per_queue": Period.QUEUE,
    "limit_tasks_per_day": Period.DAY,
    "limit_cost_per_day": Period.DAY,
    "limit_cost_per_month": Period.MONTH,
}
_of_command: list[Limit] = []


@contextmanager
def also(more: Iterable[Limit]) -> Iterator[None]:
    """In here these limits are in force too: those that a command was given."""
    added = [replace(limit, free=free_platforms()) for limit in more]
    _of_command.extend(added)
    try:
        yield
    finally:
        for limit in added:
            _of_command.remove(limit)


def current() -> list[Limit]:
    """Every limit in force now. Raises InvalidInput where a setting is wrong."""
    loaded = settings.load()
    free = free_platforms()
    return [
        _limit(name, period, cap, free)
        for name, period in _PERIODS.items()
        for cap in getattr(loaded, name)
    ] + _of_command


def _limit(name: str, period: Period, cap: Cap, free: frozenset[str]) -> Limit:
    person = cap.platform == PERSON
    platform = "" if person else cap.platform
    return Limit(name, period, cap.most, name.split("_")[1], platform, cap.unit, free, person)


def free_platforms() -> frozenset[str]:
    """Those that charge nothing: servers of one's own."""
    return frozenset(name for name in registry.names() if registry.provider_class(name).is_free)
