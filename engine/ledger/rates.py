"""How many calls a second each process makes, of those that a platform allows all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .lease import LIVING_OWNERS
from .ownership import Ownership

_FREE = 0.1  # of what is allowed: whoever comes next has something at once


def share_of(allowed: float, others: Sequence[float], is_new: bool) -> float:
    """Calls a second for one process beside the shares of the others. Pure.

    All shares together are never more than `allowed`. A new one is at most half of what is free.
    """
    free = max(0.0, allowed - sum(others))
    fair = (1 - _FREE) * allowed / (len(others) + 1)
    return min(fair, free / 2 if is_new else free)


class RateShares:
    """The shares in the database. Call it inside a write transaction, which holds the lease."""

    def __init__(self, db: Any, owner: Ownership) -> None:
        self._db = db
        self._owner = owner

    def take(self, scope: str, allowed: float) -> float:
        """Take or renew the share of this process; those of the dead are free."""
        self._db.execute(
            f"DELETE FROM rates WHERE scope = ? AND owner NOT IN ({LIVING_OWNERS})", (scope,)
        )
        found = self._db.execute("SELECT owner, share FROM rates WHERE scope = ?", (scope,))
        shares = {row["owner"]: row["share"] for row in found.fetchall()}
        is_new = shares.pop(self._owner.id, None) is None
        share = share_of(allowed, [*shares.values()], is_new)
        self._db.execute(
            "INSERT INTO rates VALUES (?, ?, ?) ON CONFLICT (scope, owner) "
            "DO UPDATE SET share = excluded.share",
            (scope, self._owner.id, share),
        )
        return share

    def give_back(self, scope: str) -> None:
        self._db.execute("DELETE FROM rates WHERE scope = ? AND owner = ?", (scope, self._owner.id))
