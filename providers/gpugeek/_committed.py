"""Foreign URLs committed to GPUGeek: each only once while its commit is valid."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from threading import Lock
from urllib.parse import urlsplit


class Committed:
    """The platform's own URLs by foreign URL, per base URL. Safe to use from any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._own_roots: set[tuple[str, str]] = set()
        self._committed: dict[tuple[str, str], tuple[str, float]] = {}
        self._locks: defaultdict[tuple[str, str], Lock] = defaultdict(Lock)

    def add_own(self, base_url: str, url: str) -> None:
        """Note that `url` is the platform's own: others in its bucket need no commit."""
        self._own_roots.add((base_url, _bucket_root(url)))

    def own_url(
        self, base_url: str, url: str, commit: Callable[[str], str], lifetime: float
    ) -> str:
        """The platform's own URL for `url`; calls `commit` where there is none yet."""
        if (base_url, _bucket_root(url)) in self._own_roots:
            return url
        with self._locks[base_url, url]:
            own_url, valid_until = self._committed.get((base_url, url), ("", 0.0))
            if self._now() >= valid_until:
                own_url = commit(url)
                self._committed[base_url, url] = (own_url, self._now() + lifetime)
            return own_url


def _bucket_root(url: str) -> str:
    """Scheme, host and first path segment: buckets may share a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}"


COMMITTED = Committed()
