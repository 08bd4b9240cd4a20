"""The price of one order: how much, in which unit, and who says so."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..base.types import Amount


class Origin(str, enum.Enum):
    """Who says what an order costs."""

    LIST = "told"  # the platform, by its price list
    LEARNT = "learnt"  # the ledger: what equal orders were charged before
    OWN = "own"  # the person, in prices.json


@dataclass(frozen=True)
class Price:
    """What an order is expected to cost.

    highest  the most that is expected; limits reserve it
    lowest   the least
    tasks    the number of tasks it was learnt from
    text     the platform's own words for it, "" if there are none
    """

    amount: Amount
    origin: Origin
    lowest: float
    highest: float
    tasks: int = 0
    text: str = ""

    @property
    def reserved(self) -> Amount:
        """What a limit sets aside for the order."""
        return Amount(self.highest, self.amount.unit)
