"""The outbox: what a person is to be notified of, kept in the ledger until that has been done.

A trigger of the database writes a notice in the transaction that changes an order's state, so none
is lost or made twice. One process at a time claims it; a claim ends with its process, at the latest
after CLAIM seconds. What was sent is recorded after it was: a process that is killed in between
makes one notice come again, which is better than never.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .ledger import UNDER_WAY, State
from .ownership import Ownership
from .sql import in_states

CLAIM = 300.0  # seconds
LIMIT = "limit"  # the event of a queue that a limit has refused; all others are states of an order
EXPIRING = "expiring"  # the event of a result that will soon be looked for no longer
_KEPT = 30 * 86400.0  # seconds for which a settled notice keeps its event from making another

Key = tuple[str, float, str]  # fingerprint, when the order was made, event


@dataclass(frozen=True)
class Notice:
    """One event. Times are seconds since the epoch.

    ordered    when its order was made; 0 where it is about no order
    event      the state that the order has reached, LIMIT or EXPIRING
    text       what to say of it where it is about no order
    queue      of its order: a prompt of ComfyUI, or a run of a command
    sent       the channels that have it already
    is_waiting whether other orders of its queue are still under way
    """

    fingerprint: str
    ordered: float
    event: str
    text: str
    queue: str
    owner: str
    created: float
    sent: tuple[str, ...]
    is_waiting: bool = False

    @property
    def key(self) -> Key:
        return self.fingerprint, self.ordered, self.event


class Outbox:
    """The notices in the store's database. Each call is part of a transaction."""

    def __init__(self, db: sqlite3.Connection, owner: Ownership, now: Callable[[], float]) -> None:
        self._db = db
        self._owner = owner
        self._now = now

    def add_limit(self, queue: str, text: str) -> None:
        """A limit has refused orders of `queue`: one notice for each queue."""
        self._db.execute(
            "INSERT INTO notices (mark, ordered, event, text, queue, owner, created) "
            "VALUES (?, 0, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (queue, LIMIT, text, queue, self._owner.id, self._now()),
        )

    def add_expiring(self, age: float) -> None:
        """Orders without their result, or without a part of it, for `age` seconds and no day."""
        now = self._now()
        self._db.execute(
            "INSERT INTO notices (mark, ordered, event, queue, owner, created) "
            "SELECT mark, created, ?, queue, owner, ? FROM tasks "
            "WHERE ended BETWEEN ? AND ? AND (state = 'unresolved' "
            "OR (state IN ('succeeded', 'delivered') AND success LIKE '%\"missing\":%')) "
            "ON CONFLICT DO NOTHING",
            (EXPIRING, now, now - 86400, now - age),
        )

    def pending(self) -> list[Notice]:
        """What this process is to send: what is its own or of a dead process, oldest first."""
        rows = self._db.execute(
            "SELECT mark, ordered, event, text, queue, owner, created, sent, claimed "
            "FROM notices WHERE settled = 0 ORDER BY created"
        ).fetchall()
        alive = {owner: self._owner.is_alive(owner) for owner in {row["owner"] for row in rows}}
        now = self._now()
        return [
            self._notice(row)
            for row in rows
            if row["owner"] == self._owner.id or not alive[row["owner"]] or 0 < row["claimed"] < now
        ]

    def holds(self, notice: Notice) -> bool:
        """Whether it is one of this store, and still to be sent."""
        sql = "SELECT 1 FROM notices WHERE mark = ? AND ordered = ? AND event = ? AND settled = 0"
        return self._db.execute(sql, notice.key).fetchone() is not None

    def claim(self, notices: Iterable[Notice]) -> list[Notice]:
        """Those of `notices` that nobody was faster to claim; they are this process' own now."""
        until = self._now() + CLAIM
        return [
            one
            for one in notices
            if self._db.execute(
                "UPDATE notices SET owner = ?, claimed = ? WHERE mark = ? AND ordered = ? "
                "AND event = ? AND owner = ? AND settled = 0",
                (self._owner.id, until, *one.key, one.owner),
            ).rowcount
        ]

    def record_sent(self, notices: Sequence[Notice], channel: str) -> None:
        """Record that `channel` has them."""
        for one in notices:
            found = self._db.execute(
                "SELECT sent FROM notices WHERE mark = ? AND ordered = ? AND event = ?", one.key
            ).fetchone()
            sent = sorted({*json.loads(found[0] if found else "[]"), channel})
            self._db.execute(
                "UPDATE notices SET sent = ? WHERE mark = ? AND ordered = ? AND event = ?",
                (json.dumps(sent), *one.key),
            )

    def settle(self, notices: Sequence[Notice]) -> None:
        """Nothing more is to be done about them."""
        self._db.executemany(
            "UPDATE notices SET settled = 1 WHERE mark = ? AND ordered = ? AND event = ?",
            [one.key for one in notices],
        )
        self._db.execute(
            "DELETE FROM notices WHERE settled = 1 AND created < ?", (self._now() - _KEPT,)
        )

    def forget(self, notice: Notice) -> None:
        """Its order has gone on: what becomes of it next is another event."""
        self._db.execute(
            "DELETE FROM notices WHERE mark = ? AND ordered = ? AND event = ?", notice.key
        )

    def order_of(self, notice: Notice) -> tuple[int, float] | None:
        """The id of its order's row, and when the first order of its queue was made."""
        found = self._db.execute(
            "SELECT id, (SELECT min(created) FROM tasks AS first WHERE first.queue = tasks.queue "
            "AND tasks.queue != '') FROM tasks WHERE mark = ? AND created = ?",
            (notice.fingerprint, notice.ordered),
        ).fetchone()
        return None if found is None else (int(found[0]), found[1] or notice.ordered)

    def replace(self, fingerprint: str, ordered: float, notices: Sequence[sqlite3.Row]) -> None:
        """Keep `notices`, rows of another store, as all that there are of the order."""
        self._db.execute(
            "DELETE FROM notices WHERE mark = ? AND ordered = ?", (fingerprint, ordered)
        )
        self._db.executemany(
            f"INSERT INTO notices VALUES ({', '.join('?' * 10)})", map(tuple, notices)
        )

    def of(self, fingerprint: str, ordered: float) -> list[sqlite3.Row]:
        """The rows of an order's notices, to be handed to another store."""
        return self._db.execute(
            "SELECT * FROM notices WHERE mark = ? AND ordered = ?", (fingerprint, ordered)
        ).fetchall()

    def _notice(self, row: sqlite3.Row) -> Notice:
        names = ("ordered", "event", "text", "queue", "owner", "created")
        return Notice(
            row["mark"],
            **{name: row[name] for name in names},
            sent=tuple(json.loads(row["sent"])),
            is_waiting=self._is_waiting(row["queue"]),
        )

    def _is_waiting(self, queue: str) -> bool:
        under_way = in_states((State.INTENT, *UNDER_WAY))
        found = self._db.execute(
            f"SELECT EXISTS (SELECT 1 FROM tasks WHERE queue = ? AND state {under_way}) "
            "OR EXISTS (SELECT 1 FROM reservations WHERE queue = ?)",
            (queue, queue),
        ).fetchone()
        return bool(queue) and bool(found[0])
