"""The record of tasks that were paid for: its rows and states, and the interface of every store."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..base.types import Amount, Json, MediaFile, RemoteFile, Request, Result, Task, TaskState
from .budget import Limit
from .queued_again import is_same_prompt


class State(str, enum.Enum):
    """The state of an order, which is a row of the ledger.

    intent             about to be submitted; after a crash nobody knows whether it was
    submitted          accepted by the platform, which gave it an id
    running            seen running by a poll
    detached           nobody waits for it any more; it is finished in the background
    succeeded          its results are on this disk
    delivered          its results were handed to a caller
    unresolved         accepted, and nothing proves that it failed or brings its result: looked at
                       again for a day, resent by nobody but a person
    failed, cancelled  ended without a result
    unknown            sent but never answered: may have been charged, never resent by itself; where
                       the platform can be asked what became of it, it is asked
    """

    INTENT = "intent"
    SUBMITTED = "submitted"
    RUNNING = "running"
    DETACHED = "detached"
    SUCCEEDED = "succeeded"
    DELIVERED = "delivered"
    UNRESOLVED = "unresolved"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


UNDER_WAY = (State.SUBMITTED, State.RUNNING, State.DETACHED)
ATTACHABLE = (*UNDER_WAY, State.UNRESOLVED)  # may still get a result
OPEN = (State.INTENT, *ATTACHABLE, State.SUCCEEDED)  # at most one row per order is open
OVER = (State.DELIVERED, State.FAILED, State.CANCELLED, State.UNKNOWN)


@dataclass(frozen=True)
class Source:
    """Where a request came from: a ComfyUI node and the prompt it ran in."""

    node_id: str = ""
    prompt_id: str = ""


NOBODY = Source()


@dataclass(frozen=True)
class TaskRecord:
    """A request as the ledger stores it.

    fingerprint  equal for equal requests
    base_url     of the platform it is sent to
    request      its payload, with every file replaced by its hash
    unit         in which the platform tells costs, "" where it tells none
    price        what it counts for in limits of cost: the most that it is expected to cost, until
                 the platform tells its cost; None if it is unknown
    order_id     by which the platform can be asked what became of a submit, "" where it cannot
    sent_to      the endpoint that `prepare` has chosen, "" where it is `endpoint`
    """

    fingerprint: str
    platform: str
    base_url: str
    endpoint: str
    title: str
    request: Json
    source: Source = NOBODY
    unit: str = ""
    price: Amount | None = field(default=None, compare=False)
    order_id: str = field(default="", compare=False)
    sent_to: str = field(default="", compare=False)


@dataclass(frozen=True)
class Row:
    """One order and its outcome. Times are seconds since the epoch, 0 for not yet.

    success  the answer that named the results, until all of them are on this disk
    kept     of a task whose results are fetched again: what it has brought before
    answer   the platform's last answer to an unresolved order, scrubbed
    told     whether a person was given the error of an unknown order
    attempt  how often it was sent: 2 after its server has lost its first task
    person   who ordered it, as `user@host`; "" in the ledger of one machine
    """

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
    success: TaskState | None = None
    answer: str = ""
    told: bool = False
    kept: Result | None = None
    attempt: int = 1
    person: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether some of its results are on this disk, and others are missing."""
        return self.result is not None and bool(self.result.missing)

    @property
    def can_be_looked_up(self) -> bool:
        """Whether the platform can be asked what became of its submit, which was never answered."""
        return self.state is State.UNKNOWN and bool(self.record.order_id)

    @property
    def unit(self) -> str:
        """The unit of `cost`."""
        return self.record.unit


@dataclass(frozen=True)
class Spent:
    """What a platform charged on a day (local time), as far as it reports costs, in one unit."""

    day: str
    platform: str
    tasks: int
    cost: float
    unit: str = ""


@dataclass(frozen=True)
class Spending:
    """What orders of one kind count for, on a day (local time) and in one unit.

    local     whether they went to this machine, as those of the sandbox do
    prompt    the ComfyUI prompt that they ran in, "" for those of a command
    charged   what the platform reported for them
    expected  what those are expected to cost whose cost it has not reported
    unknown   how many of the tasks are of unknown price
    """

    day: str
    local: bool
    platform: str
    title: str
    prompt: str
    unit: str
    tasks: int
    charged: float
    expected: float
    unknown: int


@dataclass(frozen=True)
class Charge:
    """What a task that brought its result cost; `request` is its payload as JSON text.

    unit  of the cost, "" where the order was made before units were kept
    """

    platform: str
    base_url: str
    request: str
    cost: float
    unit: str = ""


@dataclass(frozen=True)
class Finished:
    """A task that brought its result; `request` is its payload as JSON text.

    seconds  from the submit to the result, None where that was not kept
    picture  the path and the SHA-256 of its first image or video, None where it brought neither
    """

    id: int
    platform: str
    base_url: str
    request: str
    seconds: float | None
    picture: tuple[str, str] | None


@dataclass(frozen=True)
class Query:
    """Which rows to list: newest first, `limit` of them after `offset`.

    before  only rows older than the one with this id; 0 starts with the newest
    """

    states: Sequence[State] = ()
    platform: str = ""
    text: str = ""
    limit: int = 50
    offset: int = 0
    before: int = 0


EVERYTHING = Query(limit=-1)


class Ledger(Protocol):
    """Every write is on disk when its call returns, before the network call it is for."""

    def find(self, fingerprint: str) -> Row | None:
        """The order's latest row in any state; None if there is none."""

    def reserve(
        self, records: Sequence[TaskRecord], limits: Sequence[Limit], reuse: bool
    ) -> list[str]:
        """Set aside what the orders count for that would be sent now; returns their fingerprints.

        All of them or, raising LimitReached, none. With `reuse`, stored results are delivered again
        and count nothing. Lasts until the intent is recorded, `release`, or the process' death.
        """

    def release(self, fingerprints: Sequence[str]) -> None:
        """Give up what this process has reserved for these orders and has not sent."""

    def record_intent(self, record: TaskRecord, *limits: Limit) -> Row | None:
        """Record that the order is about to be sent; or return the open row it already has.

        What was reserved for it counts in its row from now on. Raises LimitReached if nothing was
        reserved and a limit does not hold it any more.
        """

    def record_intent_again(self, record: TaskRecord, lost: str = "") -> bool:
        """Record that the order of this process is about to be sent once more, as `record` says.

        lost  the id of the task that its server has lost: its row goes on with a new one
        False if it has gone on otherwise meanwhile.
        """

    def confirm_intent(self, fingerprint: str) -> bool:
        """Whether the order's intent is still this process's: asked right before each submit.

        Not if it was paused for so long that others took it for dead.
        """

    def record_refused(self, fingerprint: str) -> None:
        """Record that the platform has refused the order as too many, and that it is sent again.

        Until `confirm_intent` is asked again, it was surely not taken.
        """

    def record_accepted(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        """Record that the platform accepted the order; written before anything else is done.

        Beside an equal order that another process has sent meanwhile, it gets a row of its own.

        success  the answer, where it already is the result: it is kept whole, with the files inside
        """

    def record_progress(self, fingerprint: str, state: State, cost: float | None = None) -> None:
        """Record that the task is running or detached, and its cost if that is known."""

    def record_cost(self, fingerprint: str, task_id: str, cost: float) -> None:
        """Record what the task cost in the end, however it ended."""

    def record_success(self, fingerprint: str, task_id: str, state: TaskState) -> None:
        """Record where the results are, before any of them is fetched."""

    def record_unresolved(self, fingerprint: str, task_id: str, error: str, answer: str) -> None:
        """Record that it is not known how the task ended, and the platform's last answer."""

    def record_found(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        """Record that a look-up has found the task of an unknown order: it was accepted."""

    def record_never_arrived(self, record: TaskRecord, error: str) -> None:
        """Record that a look-up has proved that an unknown order never arrived: it has failed."""

    def record_told(self, fingerprint: str) -> None:
        """Record that a person is being given the error of the order's newest unknown row.

        One that can be looked up is never sent again for that.
        """

    def set_apart(self, row_id: int) -> bool:
        """Make the row an order of its own: the next equal order is a new one.

        False unless it is unresolved, or unknown and can be looked up.
        """

    def record_result(self, fingerprint: str, result: Result) -> None:
        """Record that the results are on this disk, or some of them and which are missing."""

    def record_delivered(self, fingerprint: str) -> None:
        """Record that a caller has received the result."""

    def record_missing(self, fingerprint: str, result: Result) -> None:
        """Record what is left of the results after some were found to be unreadable."""

    def mark_files_lost(self, fingerprint: str) -> None:
        """Record that files are missing or unreadable; the platform still has them."""

    def record_end(self, fingerprint: str, state: State, error: str, task_id: str = "") -> None:
        """Record that the order ended without a result: failed, cancelled or unknown.

        With `task_id`, only if that is its task: a person may have ordered anew meanwhile.
        """

    def latest_unknown(self, fingerprint: str) -> Row | None:
        """The order's latest row in state unknown that is newer than its last delivery."""

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        """Seconds from submit to result of the latest such tasks that succeeded, newest first.

        Of any endpoint where that is "".
        """

    def is_own(self, row: Row) -> bool:
        """Whether this process created the row or has adopted it."""

    def has_accepted(self, base_url: str) -> bool:
        """Whether the platform at this address has ever accepted an order."""

    def is_any_under_way(self, base_url: str) -> bool:
        """Whether the platform at this address holds an order of any process."""

    def known_room(self, scope: str) -> int | None:
        """How many orders side by side were last found to be taken, None if that is not known."""

    def record_room(self, scope: str, most: int) -> None:
        """Record how many orders side by side are taken where `scope` says."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines may use it as well."""

    def take_share(self, scope: str, allowed: float) -> float | None:
        """Calls a second of this process where `scope` says, of those allowed to all processes.

        To be renewed every few seconds; held until it is given back or the process ends. None if
        nobody can say.
        """

    def give_back_share(self, scope: str) -> None:
        """Leave the share to the others."""

    def recover(self) -> None:
        """Mark orders that a dead process was about to send as unknown; drop what it reserved.

        Those that were last refused as too many have failed: they were surely not taken.
        """


def must_be_sent(state: State, told: bool, reuse: bool, *, is_partial: bool) -> bool:
    """Whether an order whose newest row is in `state` is sent when it is queued now.

    is_partial  results of it are missing: they are fetched, whether results are reused or not
    """
    if state is State.UNKNOWN:
        return told
    if state is State.DELIVERED:
        return not (reuse or is_partial)
    return state in (State.FAILED, State.CANCELLED)


def is_new_order(newest: Row | None, reuse: bool, prompt_id: str = "") -> bool:
    """Whether an order of that prompt is sent when it is queued now; `newest` is its newest row.

    What the prompt itself has brought is reused whatever `reuse` says: it may have been left when
    ComfyUI ended, and is queued again.
    """
    if newest is None:
        return True
    reuse = reuse or is_same_prompt(newest.record.source.prompt_id, prompt_id)
    return must_be_sent(newest.state, newest.told, reuse, is_partial=newest.is_partial)


def record_of(request: Request, base_url: str, source: Source = NOBODY) -> TaskRecord:
    """The record of `request`, with its fingerprint."""
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
    """Equal for requests that are the same order: same platform, content, seed and copy.

    SHA-256 over the JSON list [platform, base URL, endpoint, payload, seed, copy], keys sorted.
    Media count by their bytes, not by their URL or name: URLs change, the picture does not. Node
    titles in a workflow do not count: renaming a node must not cost a second task.
    """
    record = [
        request.platform,
        base_url,
        request.endpoint,
        _without_titles(by_content(request.payload)),
        request.seed,
        request.copy,
    ]
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _without_titles(tree: Json) -> Json:
    """`tree` without the `_meta` of ComfyUI nodes, which holds their titles."""
    if isinstance(tree, dict):
        return {key: _without_titles(value) for key, value in tree.items() if key != "_meta"}
    return [_without_titles(value) for value in tree] if isinstance(tree, list) else tree


def by_content(tree: Json) -> Json:
    """`tree` with every file replaced by its hash."""
    if isinstance(tree, MediaFile):
        return {"sha256": tree.sha256}
    if isinstance(tree, RemoteFile):
        return tree.url
    if isinstance(tree, dict):
        return {str(key): by_content(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [by_content(value) for value in tree]
    return tree
