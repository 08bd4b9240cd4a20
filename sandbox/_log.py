"""The request log of the sandbox: one `Seen` per request, in order of arrival."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class LoggedRequest:
    """One request. The key itself is never stored, only whether one was sent.

    path     raw, with the platform's prefix and without the query
    status   the HTTP status of the answer; 0 before it, and where the connection was cut instead
    fields   the parsed JSON, or a form's parts by name: text, or a file's name, type and size
    size     bytes of the body that were read
    time     seconds on the monotonic clock
    """

    method: str
    path: str
    query: str = ""
    status: int = 0
    content_type: str = ""
    keyed: bool = False
    fields: Any = None
    size: int = 0
    time: float = field(default_factory=time.monotonic)


class Log:
    """A list that many threads write to; reading takes a copy.

    most  requests that are kept, the newest ones; None keeps all
    """

    def __init__(self, most: int | None = None) -> None:
        self._seen: deque[LoggedRequest] = deque(maxlen=most)
        self._lock = threading.Lock()

    def add(self, seen: LoggedRequest) -> LoggedRequest:
        with self._lock:
            self._seen.append(seen)
        return seen

    def all(self) -> list[LoggedRequest]:
        with self._lock:
            return list(self._seen)

    def of(self, method: str, ending: str) -> list[LoggedRequest]:
        """Requests by method whose path ends with `ending`."""
        return [s for s in self.all() if s.method == method and s.path.endswith(ending)]

    def clear(self) -> None:
        with self._lock:
            self._seen.clear()

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.all())

    def __getitem__(self, index: int) -> LoggedRequest:
        return self.all()[index]
