"""The units of amounts, however a person or a platform writes them: prices, costs and limits are
compared by them."""

from __future__ import annotations

import re

WORDS = {
    "CNY": ("cny", "rmb", "yuan", "\u00a5", "\uffe5", "\u5143", "\u4eba\u6c11\u5e01"),
    "USD": ("usd", "us$", "$", "dollar", "dollars", "\u7f8e\u5143"),
    "credits": ("credits", "credit", "\u79ef\u5206"),
}
_BY_WORD = {word: unit for unit, words in WORDS.items() for word in words}
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?!\d)")


def unit_of(text: str) -> str:
    """CNY for RMB, USD for $, credits for credit; any other unit as it is."""
    return _BY_WORD.get(text.strip().casefold(), text.strip())


def has_thousands(text: str) -> bool:
    """Whether a comma may separate thousands, as in 1,000 CNY: here it separates amounts."""
    return bool(_THOUSANDS.search(text))
