"""Addresses of services that send notices. They hold tokens, so they are kept as keys are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from . import keys

VARIABLE = "SKYPORT_NOTIFY_URLS"
_NAME = "notify_urls"  # in keys.json
_LONG = 8  # characters from which on a part of an address may be a token


def from_environment() -> list[str]:
    """Those that the environment names, between spaces."""
    return os.environ.get(VARIABLE, "").split()


def stored() -> list[str]:
    """Those in keys.json. Raises InvalidInput where that file is broken."""
    return keys.stored_list(_NAME)


@contextmanager
def updating() -> Iterator[list[str]]:
    """The stored ones, which are written back as they are left. Raises InvalidInput."""
    with keys.updating_list(_NAME) as urls:
        yield urls


def secrets() -> list[str]:
    """What no text may show of any of them."""
    return [part for url in (*from_environment(), *stored()) for part in secrets_in(url)]


def secrets_in(url: str) -> list[str]:
    """The address, and all of its parts that may be tokens, the longest first."""
    _, _, rest = url.partition("://")
    head, *_ = re.split(r"[/?#]", rest, maxsplit=1)
    user, at, host = head.rpartition("@")
    is_host = bool(at) or "." in host or ":" in host  # else a token may stand in its place
    inside = rest.replace(host, "/", 1) if is_host else rest
    parts = [part for part in re.split(r"[/?&=:@#,+]", inside) if len(part) >= _LONG]
    passwords = [part for part in user.split(":")[1:] if part]
    return sorted({url, rest, *parts, *passwords} - {""}, key=len, reverse=True)
