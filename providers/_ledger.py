"""What is known of tasks that were paid for: the one seam between the task runner and its memory.

This ledger lives as long as the process: a task whose node is gone is attached to, never submitted
again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, replace
from typing import Protocol

from ._types import Json, MediaFile, Request, Result, Task


@dataclass(frozen=True)
class Row:
    """One order: `task` once the platform has accepted it, `result` once it is on this disk."""

    task: Task | None = None
    result: Result | None = None
    delivered: bool = False


class Ledger(Protocol):
    """Every call returns after the fact is kept, and comes before the network call it is for."""

    def find(self, mark: str) -> Row | None:
        """The row of the order with this fingerprint, None where it must be submitted."""

    def intend(self, mark: str, request: Request) -> None:
        """The request is about to be sent."""

    def accepted(self, mark: str, task: Task) -> None:
        """The platform took it; written before anything else is done."""

    def finished(self, mark: str, result: Result) -> None:
        """Its results are on this disk."""

    def delivered(self, mark: str) -> None:
        """Someone has the result in hand."""

    def spoiled(self, mark: str) -> None:
        """Its files cannot be read; the task still has them."""

    def ended(self, mark: str, error: BaseException) -> None:
        """It will never bring a result: refused, failed, cancelled, or its outcome is unknown."""


class MemoryLedger:
    """A Ledger for one process. Of delivered results the latest `keep` are remembered."""

    def __init__(self, keep: int = 1000) -> None:
        self._keep = keep
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def find(self, mark: str) -> Row | None:
        with self._lock:
            return self._rows.get(mark)

    def intend(self, mark: str, request: Request) -> None:
        with self._lock:
            self._rows[mark] = Row()

    def accepted(self, mark: str, task: Task) -> None:
        with self._lock:
            self._rows[mark] = Row(task=task)

    def finished(self, mark: str, result: Result) -> None:
        with self._lock:
            self._rows[mark] = replace(self._rows.get(mark, Row()), result=result)

    def delivered(self, mark: str) -> None:
        with self._lock:
            row = self._rows.pop(mark, None)
            if row is not None:
                self._rows[mark] = replace(row, delivered=True)
            over = [key for key, row in self._rows.items() if row.delivered][: -self._keep]
            for key in over:
                del self._rows[key]

    def spoiled(self, mark: str) -> None:
        with self._lock:
            if mark in self._rows:
                self._rows[mark] = replace(self._rows[mark], result=None, delivered=False)

    def ended(self, mark: str, error: BaseException) -> None:
        with self._lock:
            self._rows.pop(mark, None)


def fingerprint(request: Request, base_url: str) -> str:
    """Two requests with one fingerprint are the same order: same place, same content, same seed and
    copy.

    Media count by their bytes, not by their URL or name: URLs change, the picture does not.
    """
    order = [
        request.platform,
        base_url,
        request.endpoint,
        _by_content(request.payload),
        request.seed,
        request.copy,
    ]
    text = json.dumps(order, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _by_content(tree: Json) -> Json:
    if isinstance(tree, MediaFile):
        return {"sha256": tree.sha256}
    if isinstance(tree, dict):
        return {str(key): _by_content(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_by_content(value) for value in tree]
    return tree
