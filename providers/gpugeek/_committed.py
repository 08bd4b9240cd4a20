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

    def knows(self, base_url: str, url: str) -> None:
        """`url` is one of the platform's own: what lies beside it needs no commit."""
        self._own.add((base_url, _bucket_root(url)))

    def address(
        self, base_url: str, url: str, commit: Callable[[str], str], lifetime: float
    ) -> str:
        """The platform's own address of `url`; `commit` is called where it is not known yet."""
        if (base_url, _bucket_root(url)) in self._own:
            return url
        with self._turns[base_url, url]:
            kept, until = self._known.get((base_url, url), ("", 0.0))
            if self._now() >= until:
                kept = commit(url)
                self._known[base_url, url] = (kept, self._now() + lifetime)
            return kept


def _bucket_root(url: str) -> str:
    """Scheme, host and the path's first part: buckets may share a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}"


COMMITTED = Committed()
