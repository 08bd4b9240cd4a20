"""Which of the ledger's notices are due, and which of them a person is to be told. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..base.words import tr
from ..ledger.ledger import Row, State
from ..ledger.notices import EXPIRING, LIMIT, Notice

PAUSE = 3.0  # seconds without another event of the queue after which it is told
_HOLD = 60.0  # seconds for which what needs the person waits for the rest of its queue
_HOLD_RESULTS = 600.0  # and results
_STALE = 86400.0  # seconds after which nobody is told any more
_LOOK_UP = 120.0  # seconds in which a platform that can be asked says what became of an order
_RESULT = (State.SUCCEEDED, State.DELIVERED)


@dataclass(frozen=True)
class Entry:
    """A notice with its order, None where there is none, and when its queue's first was made."""

    notice: Notice
    row: Row | None = None
    since: float = 0.0

    @property
    def is_result(self) -> bool:
        return self.notice.event == State.SUCCEEDED.value

    @property
    def is_refusal(self) -> bool:
        """Whether nothing was sent, or the platform has refused it: a key, credit, a limit."""
        is_refused = self.notice.event == State.FAILED.value and not (self.row and self.row.task)
        return self.notice.event == LIMIT or is_refused

    @property
    def needs_person(self) -> bool:
        return self.is_refusal or self.notice.event in (
            State.UNRESOLVED.value,
            State.UNKNOWN.value,
            EXPIRING,
        )

    @property
    def has_gone_on(self) -> bool:
        """Whether its order is in another state by now, which has or will have its own notice."""
        if self.notice.event == LIMIT:
            return False
        if self.row is None:
            return True
        if self.notice.event == EXPIRING:
            return not (self.row.state is State.UNRESOLVED or self.row.is_partial)
        if self.is_result:
            return self.row.state not in _RESULT
        return self.row.state.value != self.notice.event


def due(notices: Sequence[Notice], now: float, pause: float = PAUSE) -> list[Notice]:
    """Those of queues where nothing more is about to happen, or that have waited long enough."""
    by_queue: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        by_queue[notice.queue].append(notice)
    return [one for group in by_queue.values() if _is_due(group, now, pause) for one in group]


def _is_due(group: Sequence[Notice], now: float, pause: float) -> bool:
    times = [notice.created for notice in group]
    if 0 <= now - max(times) < pause:
        return False
    results_only = all(notice.event == State.SUCCEEDED.value for notice in group)
    hold = _HOLD_RESULTS if results_only else _HOLD
    return not (pause and group[0].is_waiting and 0 <= now - min(times) < hold)


def is_being_asked(entry: Entry, now: float) -> bool:
    """Whether the platform is being asked what became of the order: it is too soon to tell."""
    row = entry.row
    return bool(row and row.can_be_looked_up and 0 <= now - entry.notice.created < _LOOK_UP)


def worth_telling(
    entries: Iterable[Entry], now: float, after_s: float, uptime: float
) -> list[Entry]:
    """Those that took `after_s` seconds, or their queue did.

    uptime  seconds for which this process runs: what is refused at once stops a long queue, too
    """

    def is_worth(entry: Entry) -> bool:
        if now - entry.notice.created > _STALE or _is_own_cancel(entry):
            return False
        if entry.is_refusal and uptime >= after_s:
            return True
        return entry.notice.created - entry.since >= after_s and entry.notice.event != LIMIT

    return [entry for entry in entries if is_worth(entry)]


def _is_own_cancel(entry: Entry) -> bool:
    """Whether a person has cancelled it, and so knows."""
    row, words = entry.row, tr("The task was cancelled on the platform, not by Skyport.")
    is_cancel = entry.notice.event == State.CANCELLED.value
    return is_cancel and (row is None or words.rstrip(".\u3002") not in row.error)
