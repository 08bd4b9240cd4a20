"""What is known of tasks that were paid for: the one seam between the task runner and its memory.

A row is an order. Its states:
    intent      about to be submitted; after a crash nobody knows whether it was
    submitted   the platform took it and gave it an id
    running     a poll has seen it at work
    detached    nobody waits for it any more; it is finished in the background
    succeeded   its results are on this disk
    delivered   somebody had them in hand
    failed, cancelled   over without a result
    unknown     sent, and no answer came: perhaps charged, and never sent again by itself
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..base.types import Json, MediaFile, RemoteFile, Request, Result, Task


class State(str, enum.Enum):
    INTENT = "intent"
    SUBMITTED = "submitted"
    RUNNING = "running"
    DETACHED = "detached"
    SUCCEEDED = "succeeded"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


UNDER_WAY = (State.SUBMITTED, State.RUNNING, State.DETACHED)
OPEN = (State.INTENT, *UNDER_WAY, State.SUCCEEDED)  # at most one row of an order is open
OVER = (State.DELIVERED, State.FAILED, State.CANCELLED, State.UNKNOWN)


@dataclass(frozen=True)
class Source:
    """Who asked for it: a ComfyUI node and the prompt it ran in."""

    node_id: str = ""
    prompt_id: str = ""


NOBODY = Source()


@dataclass(frozen=True)
class TaskRecord:
    """A request as the ledger keeps it.

    fingerprint  equal for equal requests
    base_url     where it goes
    request      normalised: media by their content
    """

    fingerprint: str
    platform: str
    base_url: str
    endpoint: str
    title: str
    request: Json
    source: Source = NOBODY


@dataclass(frozen=True)
class Row:
    """One order and what became of it. Times are seconds since the epoch, 0 for not yet."""

    id: int
    state: State
    record: TaskRecord
    task: Task | None = None
    result: Result | None = None
    owner: str = ""
    created: float = 0.0
    submitted: float = 0.0
    ended: float = 0.0
    delivered: float = 0.0
    cost: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Spent:
    """What a platform charged on a day (local time), where it tells."""

    day: str
    platform: str
    tasks: int
    cost: float


@dataclass(frozen=True)
class Query:
    """Which rows to list: newest first, `limit` of them after `offset`.

    before  only rows older than the one of this number; 0 begins with the newest
    """

    states: Sequence[State] = ()
    platform: str = ""
    text: str = ""
    limit: int = 50
    offset: int = 0
    before: int = 0


EVERYTHING = Query(limit=-1)


class Ledger(Protocol):
    """Every call returns after the fact is kept, and comes before the network call it is for."""

    def find(self, fingerprint: str) -> Row | None:
        """The order's latest row, whatever became of it; None when it was never made."""

    def record_intent(self, record: TaskRecord) -> Row | None:
        """The order is about to be sent: None. Or, another process was first: its open row."""

    def record_accepted(self, record: TaskRecord, task: Task) -> None:
        """The platform took it; written before anything else is done."""

    def record_progress(self, fingerprint: str, state: State, cost: float | None = None) -> None:
        """It is running, or detached; or what it costs is known now."""

    def record_result(self, fingerprint: str, result: Result) -> None:
        """Its results are on this disk."""

    def record_delivered(self, fingerprint: str) -> None:
        """Someone has the result in hand."""

    def mark_files_lost(self, fingerprint: str) -> None:
        """Its files are gone or cannot be read; the task still has them."""

    def record_end(self, fingerprint: str, state: State, error: str) -> None:
        """It will never bring a result: failed, cancelled, or its outcome is unknown."""

    def latest_unknown(self, fingerprint: str) -> Row | None:
        """The order's latest unknown row since it was last delivered."""

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        """Seconds from submit to result of the latest tasks of that sort that came home."""

    def is_own(self, row: Row) -> bool:
        """Whether this process made the row, or took it over."""

    def recover(self) -> None:
        """Orders that a dead process was about to send become unknown."""


def record_of(request: Request, base_url: str, source: Source = NOBODY) -> TaskRecord:
    """`request` as it is kept, with its fingerprint."""
    return TaskRecord(
        fingerprint=fingerprint_of(request, base_url),
        platform=request.platform,
        base_url=base_url,
        endpoint=request.endpoint,
        title=request.title,
        request=by_content(request.payload),
        source=source,
    )


def fingerprint_of(request: Request, base_url: str) -> str:
    """Two requests with one fingerprint are the same order: same place, content, seed and copy.

    SHA-256 over the JSON list [platform, base URL, endpoint, payload, seed, copy], keys sorted.
    Media count by their bytes, not by their URL or name: URLs change, the picture does not. Titles
    of a workflow's nodes do not count: to rename a node must not cost a second task.
    """
    record = [
        request.platform,
        base_url,
        request.endpoint,
        _untitled(by_content(request.payload)),
        request.seed,
        request.copy,
    ]
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _untitled(tree: Json) -> Json:
    """`tree` without what ComfyUI keeps beside a node for its reader."""
    if isinstance(tree, dict):
        return {key: _untitled(value) for key, value in tree.items() if key != "_meta"}
    return [_untitled(value) for value in tree] if isinstance(tree, list) else tree


def by_content(tree: Json) -> Json:
    """`tree` with the hash of each file in its place."""
    if isinstance(tree, MediaFile):
        return {"sha256": tree.sha256}
    if isinstance(tree, RemoteFile):
        return tree.url
    if isinstance(tree, dict):
        return {str(key): by_content(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [by_content(value) for value in tree]
    return tree
