"""Foreign addresses that GPUGeek has been told of: each is committed once while that holds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from threading import Lock
from urllib.parse import urlsplit


class Committed:
    """Safe to use from many threads. `place` is the platform's base URL."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._own: set[tuple[str, str]] = set()
        self._known: dict[tuple[str, str], tuple[str, float]] = {}
        self._turns: defaultdict[tuple[str, str], Lock] = defaultdict(Lock)

    def knows(self, place: str, url: str) -> None:
        """`url` is one of the platform's own: what lies beside it needs no commit."""
        self._own.add((place, _shelf(url)))

    def address(self, place: str, url: str, commit: Callable[[str], str], lives: float) -> str:
        """The platform's own address of `url`; `commit` is called where it is not known yet."""
        if (place, _shelf(url)) in self._own:
            return url
        with self._turns[place, url]:
            kept, until = self._known.get((place, url), ("", 0.0))
            if self._now() >= until:
                kept = commit(url)
                self._known[place, url] = (kept, self._now() + lives)
            return kept


def _shelf(url: str) -> str:
    """Scheme, host and the path's first part: buckets may share a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}"


COMMITTED = Committed()
