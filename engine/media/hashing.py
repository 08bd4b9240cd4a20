"""A SHA-256 computed on a thread of its own while the file is being written."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_BLOCK = 1024 * 1024  # bytes submitted at a time: smaller blocks cost more than their hashing
_MAX_PENDING = 4  # blocks that may wait


class BackgroundSha256:
    """Hashes bytes in order. Call `close`: it holds a thread once there is work for one."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0  # of the block
        self._block: list[bytes] = []
        self._pending: deque[Future[None]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def update(self, chunk: bytes) -> None:
        self._block.append(chunk)
        self._size += len(chunk)
        if self._size >= _BLOCK:
            self._submit()

    def hexdigest(self) -> str:
        """The hash of everything so far. Waits until it is complete."""
        while self._pending:
            self._pending.popleft().result()
        self._add(self._block)
        self._block, self._size = [], 0
        return self._hash.hexdigest()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _submit(self) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="skyport-sum")
        if len(self._pending) >= _MAX_PENDING:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._add, self._block))
        self._block, self._size = [], 0

    def _add(self, block: list[bytes]) -> None:
        for chunk in block:
            self._hash.update(chunk)
