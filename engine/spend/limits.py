"""The limits that the settings name, as the ledger takes them."""

from __future__ import annotations

from ..ledger.budget import Limit, Period
from ..platforms import registry
from ..settings import settings

_PERIODS = {
    "limit_tasks_per_queue": Period.QUEUE,
    "limit_tasks_per_day": Period.DAY,
    "limit_cost_per_day": Period.DAY,
    "limit_cost_per_month": Period.MONTH,
}


def current() -> list[Limit]:
    """Every limit in force now. Raises InvalidInput where a setting is wrong."""
    loaded = settings.load()
    free = _free_platforms()
    return [
        Limit(name, period, cap.most, name.split("_")[1], cap.platform, cap.unit, free)
        for name, period in _PERIODS.items()
        for cap in getattr(loaded, name)
    ]


def _free_platforms() -> frozenset[str]:
    """Those that charge nothing: servers of one's own."""
    return frozenset(name for name in registry.names() if registry.provider_class(name).is_free)
