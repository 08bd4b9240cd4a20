"""Whether a queue must be confirmed: the setting `confirm_above`."""

from __future__ import annotations

from ..settings.settings import amounts_in
from .estimate import Estimate

_EVERY = ""  # the unit of an amount that holds for all units


def must_confirm(estimate: Estimate, confirm_above: str) -> bool:
    """Whether the estimate is above one of the amounts of the setting, "" is never.

    0 asks for every task to be paid for, whatever is known of its price.
    """
    limits = amounts_in(confirm_above) if confirm_above else {}
    if limits.get(_EVERY) == 0:
        return estimate.tasks > 0
    for total in estimate.sums():
        limit = limits.get(total.unit.lower(), limits.get(_EVERY))
        if limit is not None and total.highest > limit:
            return True
    return False
