"""Tariffs: what a platform or the person says that a model costs per call, second or picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.json_tree import number
from ..base.types import Amount, Json
from ..ledger.budget import MOST
from ..settings.units import unit_of
from .drivers import NAMES, PriceKey, driver_name, driver_value
from .price import Origin, Price

CALL, SECOND, PICTURE, TOKENS = PER = ("call", "second", "picture", "1k_tokens")
_DIGITS = 6  # of an amount behind the point: platforms give four


@dataclass(frozen=True)
class Tariff:
    """`amount` of `unit` for each call, second, picture or 1,000 tokens.

    when  the values of drivers for which it holds
    text  the platform's own words
    """

    per: str
    amount: float
    unit: str
    when: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def fits(self, key: PriceKey) -> bool:
        return all(key.value(name) == value for name, value in self.when.items())

    def may_fit(self, key: PriceKey) -> bool:
        """Whether nothing that is known of the order speaks against it."""
        return all(key.value(name) in (None, value) for name, value in self.when.items())

    def cost(self, key: PriceKey) -> float | None:
        """What the order costs; None where what it is counted by is not known."""
        quantity = _quantity(self.per, key)
        return None if quantity is None else round(min(self.amount * quantity, MOST), _DIGITS)


class InvalidTariff(ValueError):
    """An entry that is no tariff; the text says what it must be, in words of prices.json."""


def read_tariff(entry: Json, unit: str = "") -> Tariff:
    """The tariff in `entry`: {"per", "amount", "unit", "when", "text"}. Raises InvalidTariff."""
    if not isinstance(entry, Mapping):
        raise InvalidTariff("an object")
    per, amount = entry.get("per", CALL), number(entry.get("amount"))
    named = unit_of(str(entry.get("unit") or unit))
    if per not in PER:
        raise InvalidTariff(f"per: {' | '.join(PER)}")
    if amount is None or not 0 <= amount <= MOST:
        raise InvalidTariff("amount: 0, 0.5, 12 ...")
    if not named:
        raise InvalidTariff('unit: "CNY", "USD", "credits" ...')
    return Tariff(per, amount, named, _conditions(entry.get("when")), str(entry.get("text") or ""))


def price_of(tariffs: Sequence[Tariff], key: PriceKey, origin: Origin) -> Price | None:
    """The price by the tariff that fits most closely; None where none is known to fit.

    Where it depends on what is not known of the order, it is the highest of those that may fit.
    """
    fitting = [tariff for tariff in tariffs if tariff.fits(key)]
    most = max((len(tariff.when) for tariff in fitting), default=0)
    closest = [tariff for tariff in fitting if len(tariff.when) == most][:1]
    others = [tariff for tariff in tariffs if tariff.may_fit(key) and len(tariff.when) > most]
    return _price([*closest, *others], key, origin)


def _price(tariffs: Sequence[Tariff], key: PriceKey, origin: Origin) -> Price | None:
    costs = [tariff.cost(key) for tariff in tariffs]
    known = [cost for cost in costs if cost is not None]
    units = {tariff.unit.casefold(): tariff.unit for tariff in tariffs}
    if not known or len(known) < len(costs) or len(units) > 1:
        return None
    text = next((tariff.text for tariff in tariffs if tariff.text), "")
    (unit,) = units.values()
    return Price(Amount(max(known), unit), origin, min(known), max(known), text=text)


def _quantity(per: str, key: PriceKey) -> float | None:
    if per == CALL:
        return 1.0
    if per == TOKENS:
        return key.tokens / 1000
    if per == PICTURE or key.count is None:
        return key.count
    return None if key.seconds is None else key.seconds * key.count


def _conditions(when: Json) -> dict[str, str]:
    conditions = {}
    for name, value in _pairs(when):
        driver = name if name in NAMES else driver_name(name)
        text = driver_value(driver, value)
        if not driver or text is None:
            raise InvalidTariff(f"when: {', '.join(sorted(NAMES))}")
        conditions[driver] = text
    return conditions


def _pairs(when: Json) -> Iterable[tuple[str, Json]]:
    if when in (None, ""):
        return ()
    if not isinstance(when, Mapping):
        raise InvalidTariff('when: {"resolution": "1080p"}')
    return when.items()
