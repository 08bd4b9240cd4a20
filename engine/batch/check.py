"""A dry run: reads every row and says what it would order, without sending anything."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from ..base.errors import SkyportError
from ..base.types import Request
from ..ledger.ledger import Ledger, fingerprint_of, is_new_order
from ..spend.price import Price
from .run import Plan
from .table import TableRow


@dataclass
class DryRun:
    """What the rows would order.

    orders   that would be sent
    equal    rows whose order a row before them has, or the ledger: they cost nothing
    refused  rows that something is wrong with
    unknown  orders whose price nobody knows
    costs    by unit: the least and the most that the others are expected to cost
    first    the first request, for checks that one is enough for
    """

    rows: int = 0
    orders: int = 0
    equal: int = 0
    refused: int = 0
    unknown: int = 0
    costs: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(lambda: [0.0, 0.0])
    )
    first: Request | None = None


def dry_run(
    plan: Plan,
    base_url: str,
    ledger: Ledger,
    price: Callable[[Request, str], Price | None],
    reuse: bool,
    report: Callable[[TableRow, str], None],
) -> DryRun:
    """Reads all rows; `report` gets each that would be refused, and why."""
    found = DryRun()
    with closing(_Seen()) as seen:
        for row in plan.table.rows():
            found.rows += 1
            try:
                request = plan.request(row)
                mark = fingerprint_of(request, base_url)
                is_new = (plan.copies or seen.add(mark)) and is_new_order(ledger.find(mark), reuse)
                if is_new:
                    _add_price(found, price(request, base_url))
            except SkyportError as error:
                found.refused += 1
                report(row, str(error))
                continue
            found.first = found.first or request
            found.orders += is_new
            found.equal += not is_new
    return found


def _add_price(found: DryRun, price: Price | None) -> None:
    if price is None:
        found.unknown += 1
        return
    span = found.costs[price.amount.unit]
    span[0] += price.lowest
    span[1] += price.highest


class _Seen:
    """The fingerprints so far, on disk once they are many."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE seen (mark TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, mark: str) -> bool:
        """Whether it is new."""
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (mark,)).rowcount == 1

    def close(self) -> None:
        self._db.close()
