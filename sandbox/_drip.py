"""Bytes sent one by one, as a connection that trickles."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from ._body import Cut


class Drip:
    """A byte every `seconds`.

    until  ends the trickling: what is left comes at once
    """

    def __init__(
        self, stopping: threading.Event, seconds: float, until: threading.Event | None
    ) -> None:
        self._stopping = stopping
        self._until = until or stopping
        self._seconds = seconds

    def drops(self, chunks: Iterable[bytes], endless: bytes = b"") -> Iterator[bytes]:
        """The chunks, then `endless` again and again. Raises Cut when the sandbox stops."""
        for chunk in chunks:
            for at in range(len(chunk)):
                if self._is_over():
                    yield chunk[at:]
                    break
                yield chunk[at : at + 1]
        while endless and not self._is_over():
            yield endless

    def _is_over(self) -> bool:
        over = self._until.wait(self._seconds)
        if self._stopping.is_set():
            raise Cut
        return over
