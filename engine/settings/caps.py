"""How a limit of tasks or of cost is written in a setting: over all platforms and for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.types import Json
from ..base.words import tr
from .invalid import InvalidSetting
from .units import has_thousands, unit_of

ALL = "all"  # in place of a platform's name
PERSON = "person"  # the same, for each of those who share a ledger
_MOST = 1e9
# A unit that nothing has would be no limit at all: 1e3, 5k, 5_000, 5'000, 5%, 5-10, 5 CNY/day.
_UNIT = r"(?![A-Za-z][+-]?\d*$)[^\d\s=:.,;'_%/*+-][^\s=:/]*"
_ENTRY = re.compile(rf"(?:([^\s=:]+)\s*[=:]\s*)?(\d+(?:\.\d+)?)\s*({_UNIT})?")


@dataclass(frozen=True)
class Cap:
    """At most so many tasks, or so much cost.

    platform  "" for all of them together, PERSON for all that one person orders
    unit      of a cost; "" holds for every unit by itself
    """

    most: float
    platform: str = ""
    unit: str = ""

    def __str__(self) -> str:
        amount = f"{self.most:.6f}".rstrip("0").rstrip(".")
        text = f"{amount} {self.unit}".strip()
        return f"{self.platform}={text}" if self.platform else text


class Caps(tuple[Cap, ...]):
    """Every cap of one setting; its text is what a person would write."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self))


def tasks(value: Any, platforms: Sequence[str]) -> Caps:
    """Caps of whole numbers: 20, "20, gpugeek=5", {"all": 20, "gpugeek": 5}."""
    caps = _caps(value, platforms)
    if any(cap.unit or cap.most != int(cap.most) for cap in caps):
        example = _example(platforms)
        raise InvalidSetting(tr('whole numbers such as "20, {platform}=5"', platform=example))
    return caps


def costs(value: Any, platforms: Sequence[str]) -> Caps:
    """Caps of amounts: 20, "20, happyhorse=3 USD", {"all": "20 CNY", "gpugeek": 5}."""
    return _caps(value, platforms)


def _caps(value: Any, platforms: Sequence[str]) -> Caps:
    try:
        caps = Caps(_entries(value))
    except ValueError:
        raise InvalidSetting(_amounts(platforms)) from None
    keys = [(cap.platform, cap.unit.casefold()) for cap in caps]
    unknown = {cap.platform for cap in caps} - {
        *("", PERSON),
        *(platforms or (name for name, _ in keys)),
    }
    if unknown:
        names = ", ".join((ALL, PERSON, *platforms))
        raise InvalidSetting(tr("one of: {names}", names=names), inside=f" {min(unknown)}")
    if not caps or len(set(keys)) < len(keys) or any(cap.most > _MOST for cap in caps):
        raise InvalidSetting(_amounts(platforms))
    return caps


def _entries(value: Json) -> Iterator[Cap]:
    """Raises ValueError where `value` is no limit."""
    if isinstance(value, str):
        if has_thousands(value):
            raise ValueError
        for text in re.split(r"[,;\uff0c\uff1b\n]", value):
            yield _entry(text)
    elif isinstance(value, dict):
        for name, each in value.items():
            for one in each if isinstance(each, list) else [each]:
                yield _entry(f"{name}={_text(one)}")
    else:
        yield _entry(_text(value))


def _text(value: Json) -> str:
    """A number as digits, without an exponent; a text as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    return f"{value:f}" if isinstance(value, float) else str(value)


def _entry(text: str) -> Cap:
    found = _ENTRY.fullmatch(text.strip())
    if found is None:
        raise ValueError
    platform, most, unit = found.groups(default="")
    platform = platform.lower()
    return Cap(float(most), "" if platform == ALL else platform, unit_of(unit))


def _amounts(platforms: Sequence[str]) -> str:
    return tr('amounts such as "20, {platform}=5"', platform=_example(platforms))


def _example(platforms: Sequence[str]) -> str:
    return next(iter(platforms), "gpugeek")
