"""A SHA-256 that is taken beside the writing, on a thread of its own."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_PIECE = 1024 * 1024  # bytes handed over at a time: smaller ones cost more than their hashing
_AHEAD = 4  # pieces that may wait


class BackgroundSha256:
    """Takes bytes in order. `close` it: it holds a thread once it has work for one."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._piece = bytearray()
        self._under_way: deque[Future[None]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def update(self, chunk: bytes) -> None:
        self._piece += chunk
        if len(self._piece) >= _PIECE:
            self._hand_over()

    def hexdigest(self) -> str:
        """The sum of everything so far. Waits until it is taken."""
        while self._under_way:
            self._under_way.popleft().result()
        self._hash.update(self._piece)
        self._piece = bytearray()
        return self._hash.hexdigest()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _hand_over(self) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="skyport-sum")
        if len(self._under_way) >= _AHEAD:
            self._under_way.popleft().result()
        self._under_way.append(self._pool.submit(self._hash.update, self._piece))
        self._piece = bytearray()
