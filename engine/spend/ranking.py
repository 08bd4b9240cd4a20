"""In which order the platforms that offer the same are asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.words import tr
from .price import Price

AS_LISTED, CHEAPEST, FASTEST = ORDERS = ("as listed", "cheapest", "fastest")


def by_price(prices: Sequence[Price | None]) -> tuple[list[int], str]:
    """Indices, the cheapest first and unknown prices last; and a note on what that says.

    Amounts in different units cannot be compared: they stay as listed.
    """
    listed = list(range(len(prices)))
    units = {price.amount.unit.casefold(): price.amount.unit for price in prices if price}
    if len(units) > 1:
        return listed, tr(
            "as listed: prices in {units} cannot be compared; state your own in prices.json",
            units=", ".join(sorted(units.values())),
        )
    if not units:
        return listed, tr("as listed: no price is known")
    return _ranked([price.amount.value if price else None for price in prices]), tr(
        "cheapest known price"
    )


def by_duration(seconds: Sequence[float | None]) -> tuple[list[int], str]:
    """Indices, the fastest first and those without a finished task last; and a note."""
    if not any(one is not None for one in seconds):
        return list(range(len(seconds))), tr("as listed: no task of any has finished here yet")
    return _ranked(seconds), tr("fastest so far")


def _ranked(values: Sequence[float | None]) -> list[int]:
    def rank(index: int) -> tuple[bool, float]:
        value = values[index]
        return value is None, 0.0 if value is None else value

    return sorted(range(len(values)), key=rank)
