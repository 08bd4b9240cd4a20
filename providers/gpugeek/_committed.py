"""Foreign URLs committed to GPUGeek: each only once while its commit is valid."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from threading import Lock
from urllib.parse import urlsplit

from ...engine.base.lifetime import Lifetime
from ...engine.base.types import ReusedUrl


class Committed:
    """The platform's own URLs by foreign URL, per base URL. Safe to use from any thread."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._wall = wall
        self._own_roots: set[tuple[str, str]] = set()
        self._committed: dict[tuple[str, str], tuple[str, Lifetime]] = {}
        self._locks: defaultdict[tuple[str, str], Lock] = defaultdict(Lock)

    def add_own(self, base_url: str, url: str) -> None:
        """Note that `url` is the platform's own: others in its bucket need no commit."""
        self._own_roots.add((base_url, _bucket_root(url)))

    def own_url(
        self, base_url: str, url: str, commit: Callable[[str], str], lifetime: float
    ) -> str:
        """The platform's own URL for `url`; calls `commit` where there is none yet.

        One that was committed for an earlier request is a ReusedUrl.
        """
        if (base_url, _bucket_root(url)) in self._own_roots:
            return url
        key = base_url, url
        with self._locks[key]:
            entry = self._committed.get(key)
            if entry is not None and not entry[1].is_over:
                return ReusedUrl(entry[0], lambda: self._forget(key, entry))
            own_url = commit(url)
            self._committed[key] = (own_url, Lifetime(lifetime, self._wall, self._now))
            return own_url

    def _forget(self, key: tuple[str, str], entry: tuple[str, Lifetime]) -> None:
        """Drop `entry`, unless another request has done so: then the URL is committed anew."""
        with self._locks[key]:
            if self._committed.get(key) is entry:
                del self._committed[key]


def _bucket_root(url: str) -> str:
    """Scheme, host and first path segment: buckets may share a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}"


COMMITTED = Committed()
