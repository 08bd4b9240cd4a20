"""The person's own prices: prices.json in the data folder.

{"happyhorse": {"wan2.7-t2v": {"per": "second", "amount": 0.5, "unit": "CNY",
                               "when": {"resolution": "1080p"}}}}

A model may have a list of such entries; "*" stands for every other model, and for workflows and
apps, which else go by their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr
from ..platforms import registry
from ..settings import folders, json_file
from .drivers import PriceKey
from .price import Origin, Price
from .tariff import InvalidTariff, Tariff, price_of, read_tariff

FILE = "prices.json"
_ANY = "*"
_Book = dict[tuple[str, str], tuple[Tariff, ...]]
_parsed: tuple[Mapping[str, Json], _Book] | None = None


def own_price(key: PriceKey, unit: Callable[[str], str] = lambda platform: "") -> Price | None:
    """The price that the person has set; None where there is none for such an order.

    unit  of the costs that a platform tells, for an entry without one
    Raises InvalidInput, naming the entry, where the file cannot be used.
    """
    book = _load(unit)
    for name in dict.fromkeys((key.model, key.model.rpartition("/")[2], _ANY)):
        price = price_of(book.get((key.platform, name), ()), key, Origin.OWN)
        if price is not None:
            return price
    return None


def _load(unit: Callable[[str], str]) -> _Book:
    global _parsed
    path = folders.home() / FILE
    tree = json_file.read(path)
    if _parsed is None or _parsed[0] is not tree:
        _parsed = (tree, _read(path, tree, unit))
    return _parsed[1]


def _read(path: Path, tree: Mapping[str, Json], unit: Callable[[str], str]) -> _Book:
    book: _Book = {}
    for platform, models in tree.items():
        if platform not in registry.names():
            names = ", ".join(registry.names())
            raise _wrong(path, platform, tr("one of: {names}", names=names))
        if not isinstance(models, Mapping):
            raise _wrong(path, platform, tr("an object of models and their prices"))
        for model, entries in models.items():
            where = f"{platform}.{model}"
            book[platform, model] = _tariffs(path, where, entries, unit(platform))
    return book


def _tariffs(path: Path, where: str, entries: Json, unit: str) -> tuple[Tariff, ...]:
    listed = entries if isinstance(entries, list) else [entries]
    tariffs = []
    for number, entry in enumerate(listed, 1):
        try:
            tariffs.append(read_tariff(entry, unit))
        except InvalidTariff as invalid:
            name = f"{where}[{number}]" if isinstance(entries, list) else where
            raise _wrong(path, name, str(invalid)) from None
    return tuple(tariffs)


def _wrong(path: Path, entry: str, wanted: str) -> InvalidInput:
    return InvalidInput(
        tr("{path}: {entry} must be {wanted}.", path=path, entry=entry, wanted=wanted),
        do=tr("Correct it, or remove it. Nothing was sent."),
    )
