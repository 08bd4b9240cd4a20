"""Reads the amounts in a platform's words about a price: `$0.0600/s(720P), $0.0900/s(1080P)`."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from ..base.types import Json
from ..settings.units import WORDS, unit_of

# (unit of counting, its words, how many of it the words name)
_COUNTED = (
    ("1k_tokens", r"(?:1\s*k|1,?000|\u5343)\s*tokens?", 1.0),
    ("1k_tokens", r"(?:1\s*m|1,?000,?000|\u767e\u4e07|\u5146)\s*tokens?", 1000.0),
    ("second", r"seconds?|secs?|s\b|\u79d2", 1.0),
    ("picture", r"images?|pictures?|\u5f20", 1.0),
    ("call", r"calls?|times?|requests?|videos?|\u6b21|\u4e2a|\u6761", 1.0),
)
_RESOLUTION = re.compile(r"\d{3,4}p|[1248]k", re.IGNORECASE)
_AMOUNT = r"\d+(?:\.\d+)?"
_POINTS = ("point", "points", "\u70b9", "\u70b9\u6570")  # the credits of a platform's own words
_SIGNS = sorted(chain(_POINTS, *WORDS.values()), key=len, reverse=True)
_MONEY = "|".join(map(re.escape, _SIGNS))
_PRICE = re.compile(
    rf"(?P<before>{_MONEY})?\s*(?P<amount>{_AMOUNT})\s*(?P<after>{_MONEY})?"
    rf"\s*(?:/|per\s|\u6bcf)\s*(?P<counted>{'|'.join(words for _, words, _ in _COUNTED)})"
    r"(?:\s*[(\uff08](?P<when>[^)\uff09]*)[)\uff09])?",
    re.IGNORECASE,
)
_ANY_MONEY = re.compile(rf"(?:{_MONEY})\s*{_AMOUNT}|{_AMOUNT}\s*(?:{_MONEY})", re.IGNORECASE)


def read_prices(text: str) -> list[dict[str, Any]]:
    """Every price in `text` as {"per", "amount", "unit", "when"}.

    Empty where one of its amounts or conditions cannot be read: then the text is for people only.
    """
    found = list(_PRICE.finditer(text))
    prices = [_price(match) for match in found]
    readable = [price for price in prices if price is not None]
    amounts = len(_ANY_MONEY.findall(text))
    conditions = [tuple(price["when"].items()) for price in readable]
    if len(readable) < len(prices) or amounts != len(prices) or _repeated(conditions):
        return []
    return readable


def _repeated(conditions: list[tuple[tuple[str, Json], ...]]) -> bool:
    """Two amounts for the same case, such as one for what goes in and one for what comes out."""
    return len(set(conditions)) < len(conditions)


def _price(match: re.Match[str]) -> dict[str, Any] | None:
    units = {_unit(sign) for sign in (match["before"], match["after"]) if sign}
    when = (match["when"] or "").strip()
    if len(units) != 1 or (when and not _RESOLUTION.fullmatch(when)):
        return None
    per, of = next(
        (per, of) for per, words, of in _COUNTED if re.fullmatch(words, match["counted"], re.I)
    )
    return {
        "per": per,
        "amount": float(match["amount"]) / of,
        "unit": units.pop(),
        "when": {"resolution": when} if when else {},
    }


def _unit(sign: str) -> str:
    return "credits" if sign.casefold() in _POINTS else unit_of(sign)
