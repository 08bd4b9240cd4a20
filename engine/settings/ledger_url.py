"""The address of a team's ledger, and the password that may stand in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from ..base.words import tr
from .invalid import InvalidSetting

_SCHEMES = ("postgresql", "postgres")
_PASSWORDS = ("password", "sslpassword")  # as options behind a question mark


def without_password(value: Any) -> str:
    """`value` as it may be shown. Raises InvalidSetting, without the value."""
    url = _split(value)
    if url is None:
        raise InvalidSetting(tr("a URL such as postgresql://user@host/database"))
    name, at, host = url.netloc.rpartition("@")
    options = [pair for pair in parse_qsl(url.query) if pair[0] not in _PASSWORDS]
    netloc = name.partition(":")[0] + at + host
    return url._replace(netloc=netloc, query=urlencode(options)).geturl()


def password_in(value: Any) -> str:
    """The password in the URL, "" where there is none."""
    url = _split(value)
    if url is None:
        return ""
    inside = url.netloc.rpartition("@")[0].partition(":")[2]
    return unquote(inside) or dict(parse_qsl(url.query)).get("password", "")


def _split(value: Any) -> SplitResult | None:
    try:
        url = urlsplit(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    return url if url and url.scheme in _SCHEMES and (url.netloc or url.path) else None
