"""Prices learnt from the ledger: what equal orders were charged before."""

from __future__ import annotations

import hashlib
import json
import statistics
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..base.types import Amount, Model
from ..ledger.ledger import Charge
from ..ledger.resilient import ResilientLedger
from .drivers import COUNT, DURATION, PriceKey, key_of_request, with_defaults
from .price import Origin, Price
from .price_list import is_same_address

_NEWEST = 200  # tasks of a platform that are looked at
_MAX_KEYS = 2000  # of requests that were read before
_SAMPLES = 9  # newest equal ones from which a price is learnt
_SPREAD = 1.02  # costs per second or picture that differ by less are the same


@dataclass(frozen=True)
class _Sample:
    key: PriceKey
    base_url: str
    cost: float
    unit: str


class LearntPrices:
    """Reads a platform's newest charges anew only when the ledger has changed."""

    def __init__(self, ledger: ResilientLedger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._samples: dict[str, tuple[object, list[_Sample]]] = {}
        self._keys: dict[bytes, PriceKey] = {}

    def price(
        self, key: PriceKey, base_url: str, unit: str, models: Sequence[Model]
    ) -> Price | None:
        """The median of the newest equal orders at that address, in the unit of the newest.

        unit  the platform's, for orders whose unit was not kept
        """
        known = [
            replace(sample, key=with_defaults(sample.key, models))
            for sample in self._of(key.platform)
            if sample.key.model == key.model and is_same_address(sample.base_url, base_url)
        ]
        if not known or None in key.drivers.values():
            return None
        units = [sample.unit or unit for sample in known]
        alike = [one for one, its_unit in zip(known, units, strict=True) if its_unit == units[0]]
        equal = [sample.cost for sample in alike if sample.key.drivers == key.drivers]
        costs = equal or list(_scaled(alike, key))
        return _price(costs[:_SAMPLES], units[0])

    def _of(self, platform: str) -> list[_Sample]:
        with self._lock:
            stamp = self._ledger.changes()
            cached = self._samples.get(platform)
            if cached is None or cached[0] != stamp:
                charges = self._ledger.charges(platform, _NEWEST)
                cached = self._samples[platform] = (stamp, list(map(self._sample, charges)))
            return cached[1]

    def _sample(self, charge: Charge) -> _Sample:
        """Workflows are long: each is parsed once, though the ledger changes all the time."""
        digest = hashlib.blake2b(charge.request.encode("utf-8", "replace"), digest_size=16).digest()
        if digest not in self._keys:
            if len(self._keys) >= _MAX_KEYS:
                self._keys.clear()
            payload = json.loads(charge.request)
            payload = payload if isinstance(payload, dict) else {}
            self._keys[digest] = key_of_request(charge.platform, payload)
        return _Sample(self._keys[digest], charge.base_url, charge.cost, charge.unit)


def _scaled(samples: Sequence[_Sample], key: PriceKey) -> Iterator[float]:
    """Costs scaled to the order's length and number, where other orders show a constant rate."""
    wanted = _quantity(key)
    alike = [one for one in samples if _rest(one.key) == _rest(key)]
    rates = [(quantity, one.cost / quantity) for one in alike if (quantity := _quantity(one.key))]
    if wanted is None or len({quantity for quantity, _ in rates}) < 2:
        return
    lowest, highest = min(rate for _, rate in rates), max(rate for _, rate in rates)
    if highest <= lowest * _SPREAD:
        yield from (round(rate * wanted, 6) for _, rate in rates)


def _quantity(key: PriceKey) -> float | None:
    """Seconds times results; results alone where there is no length."""
    if DURATION not in key.drivers or key.count is None:
        return key.count
    return None if key.seconds is None else key.seconds * key.count


def _rest(key: PriceKey) -> dict[str, str | None]:
    return {n: value for n, value in key.drivers.items() if n not in (DURATION, COUNT)} | {
        "": str(DURATION in key.drivers)
    }


def _price(costs: Sequence[float], unit: str) -> Price | None:
    if not costs:
        return None
    amount = Amount(statistics.median(costs), unit)
    return Price(amount, Origin.LEARNT, min(costs), max(costs), tasks=len(costs))
