"""What a setting takes as an address."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ..base.words import tr
from .invalid import InvalidSetting

# A host as people type it, with a port or path behind it; the end of a key looks otherwise.
_BARE_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}(?::\d+)?(?:/[^?#@]*)?", re.IGNORECASE
)


def address(value: Any) -> str:
    """`value` as a base URL without its last slash. To be called through `validated`."""
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    if _is_address(text):
        return text
    raise InvalidSetting(tr("an address such as https://example.com"))


def completed(entered: Any) -> Any:
    """What a person enters: example.com is https://example.com. Anything else as it is."""
    if isinstance(entered, str) and _BARE_HOST.fullmatch(entered.strip()):
        return f"https://{entered.strip()}"
    return entered


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port != 0 else ""  # a port that is not a number raises
    except ValueError:
        return False
    is_bare = not (parts.query or parts.fragment or "@" in parts.netloc)
    is_clean = text.isascii() and text.isprintable() and " " not in text
    return parts.scheme in ("http", "https") and bool(host) and is_bare and is_clean


def addresses(value: Any) -> dict[str, str]:
    """`value` as base URLs by platform. To be called through `validated`."""
    if not isinstance(value, dict):
        raise InvalidSetting(tr("an object of platforms and their addresses"))
    return {name: _platform_address(name, url) for name, url in value.items()}


def _platform_address(name: str, url: Any) -> str:
    try:
        return address(url)
    except InvalidSetting as invalid:
        raise InvalidSetting(str(invalid), inside=f".{name}") from None
