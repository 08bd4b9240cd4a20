"""The ledger in SQL: in an SQLite file, shared by every process that uses its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..base.errors import LimitReached
from ..base.types import Json, Result, Task, TaskState
from ..base.words import tr
from .budget import Limit
from .charges import Others, no_others
from .graphs import Graphs
from .ledger import ATTACHABLE, OPEN, OVER, Row, State, TaskRecord
from .ownership import Ownership
from .reader import Reader
from .retention import cutoff
from .rows import (
    row_values,
    storable,
    success_text,
    task_values,
    with_missing,
)
from .sql import CAN_BE_LOOKED_UP, HAVE_RESULT, IS_PARTIAL, assigned, in_states, states_before
from .statements import Statements

_LAST_USE = "max(created, ended, delivered)"  # of a row, in seconds since the epoch
# The most that a task was expected to cost, or was reported to so far: it may still become less.
_CHARGE_SO_FAR = (
    "CASE WHEN charge IS NULL THEN ? WHEN lower(charge_unit) = lower(unit) "
    "THEN max(charge, coalesce(?, charge)) ELSE charge END"
)


class Store(Statements):
    """A Ledger in the SQLite file at `path`, or in memory if `path` is None.

    Any thread may call it. Raises sqlite3.Error if the disk or the file fails, and NewerSchema,
    leaving the file unchanged, if a newer Skyport wrote it.
    """

    _reader: Graphs | None = None

    def __init__(
        self, path: Path | None, owner: Ownership, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(path, owner, now)
        try:
            self.recover()
            self._reader = Reader(path, owner, now) if self._has_wal else None
        except BaseException:
            self.close()
            raise

    @property
    def view(self) -> Graphs:
        """The same rows for those who only read, and wait for no write where the disk allows it."""
        return self._reader or self

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        super().close()

    # -- the life of an order -----------------------------------------------------------------

    def reserve(
        self,
        records: Sequence[TaskRecord],
        limits: Sequence[Limit],
        reuse: bool,
        others: Others = no_others,
    ) -> list[str]:
        self._drop_dead_reservations()
        with self._ordering(records):
            return self._charges.reserve(records, limits, reuse, others)

    def release(self, fingerprints: Sequence[str]) -> None:
        with self._transaction():
            self._charges.release(fingerprints)

    def record_intent(
        self,
        record: TaskRecord,
        *limits: Limit,
        others: Others = no_others,
    ) -> Row | None:
        with self._ordering([record]):
            existing = self._open_row(record.fingerprint)
            if existing is not None:
                return existing
            self._charges.claim(record, limits, others)
            self._insert(record)
        return None

    @contextmanager
    def _ordering(self, records: Sequence[TaskRecord]) -> Iterator[None]:
        """One transaction; that a limit has refused it is a notice of its own."""
        try:
            with self._transaction():
                yield
        except LimitReached as refusal:
            with self.outbox() as outbox:
                outbox.add_limit(self._charges.queue_of(records[0]), str(refusal))
            raise

    def record_intent_again(self, record: TaskRecord, lost: str = "") -> bool:
        # Of a lost task, nothing is kept but that it was one attempt.
        values = {
            "state": State.INTENT.value,
            "owner": self._owner.id,
            "order_id": record.order_id,
            "sent_to": record.sent_to,
            "title": record.title,
            "sent": "[]",
            **dict.fromkeys(("submitted", "ended"), 0.0),
            **dict.fromkeys(("task_id", "success", "error", "answer"), ""),
        }
        with self._transaction():
            cursor = self._db.execute(
                f"UPDATE tasks SET {assigned(values)}, attempt = attempt "
                "+ CASE WHEN task_id != '' THEN 1 ELSE 0 END "
                f"WHERE mark = ? AND state {in_states((State.INTENT, *ATTACHABLE))} "
                "AND task_id = ? AND (task_id != '' OR owner = ?)",
                storable(*values.values(), record.fingerprint, lost, self._owner.id),
            )
            return cursor.rowcount == 1

    def confirm_intent(self, fingerprint: str) -> bool:
        with self._transaction():
            row = self._open_row(fingerprint)
            if row is None or row.state is not State.INTENT or not self.is_own(row):
                return False
            self._set_refused(fingerprint, 0)
            return True

    def record_refused(self, fingerprint: str) -> None:
        with self._transaction():
            self._set_refused(fingerprint, 1)

    def _set_refused(self, fingerprint: str, refused: int) -> None:
        self._db.execute(
            "UPDATE tasks SET refused = ? "
            "WHERE mark = ? AND state = 'intent' AND owner = ? AND refused != ?",
            (refused, fingerprint, self._owner.id, refused),
        )

    def record_room(self, scope: str, most: int) -> None:
        with self._transaction():
            self._db.execute(
                "INSERT INTO rooms VALUES (?, ?, ?) ON CONFLICT (scope) "
                "DO UPDATE SET most = excluded.most, changed = excluded.changed",
                (scope, most, self._now()),
            )

    @property
    def is_shared(self) -> bool:
        return False

    def take_share(self, scope: str, allowed: float) -> float | None:
        return allowed

    def give_back_share(self, scope: str) -> None:
        pass

    def record_accepted(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        with self._transaction():
            record = self._beside_others(record, task.id)
            if not self._open_row_id(record.fingerprint):
                self._charges.settle(record)
                self._insert(record)
            self._update_open_row(
                record.fingerprint,
                state=State.SUBMITTED.value,
                submitted=self._now(),
                **task_values(record, task, success),
            )

    def record_found(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        values = {
            "state": State.SUBMITTED.value,
            "owner": self._owner.id,
            "ended": 0.0,
            "error": "",
            **task_values(record, task, success),
        }
        self._end_look_up(record, f"submitted = created, {assigned(values)}", *values.values())

    def record_never_arrived(self, record: TaskRecord, error: str) -> None:
        assignments = "state = ?, ended = ?, error = ?"
        self._end_look_up(record, assignments, State.FAILED.value, self._now(), error)

    def _end_look_up(self, record: TaskRecord, assignments: str, *values: Json) -> None:
        """Unless another process was faster."""
        with self._transaction():
            self._db.execute(
                f"UPDATE tasks SET {assignments} "
                f"WHERE mark = ? AND order_id = ? AND {CAN_BE_LOOKED_UP}",
                storable(*values, record.fingerprint, record.order_id),
            )

    def record_progress(self, fingerprint: str, state: State, cost: float | None = None) -> None:
        with self._transaction():
            self._db.execute(
                f"UPDATE tasks SET charge = {_CHARGE_SO_FAR}, state = ?, owner = ?, "
                "cost = coalesce(?, cost) "
                f"WHERE mark = ? AND state {in_states(states_before(state))}",
                # Its owner is who handles the task: another process may have adopted it.
                (cost, cost, state.value, self._owner.id, cost, fingerprint),
            )

    def record_cost(self, fingerprint: str, task_id: str, cost: float) -> None:
        with self._transaction():
            self._write_cost(self._open_row_id(fingerprint, task_id), cost)

    def record_success(self, fingerprint: str, task_id: str, state: TaskState) -> None:
        with self._transaction():
            row = self.find(fingerprint)
            before = (row.result or row.kept) if row else None
            text = with_missing(success_text(state), before.missing if before else ())
            self._update_open_row(fingerprint, task_id, success=text)
            self._write_cost(self._open_row_id(fingerprint, task_id), state.cost)

    def record_unresolved(self, fingerprint: str, task_id: str, error: str, answer: str) -> None:
        with self._transaction():
            row = self.find(fingerprint)
            if row is None or row.state not in ATTACHABLE:
                return  # it has got its result, or has been ordered anew
            since = row.ended if row.state is State.UNRESOLVED else self._now()
            self._update_open_row(
                fingerprint,
                task_id,
                state=State.UNRESOLVED.value,
                owner=self._owner.id,
                ended=since,
                error=error,
                answer=answer or row.answer,
            )

    def record_told(self, fingerprint: str) -> None:
        with self._transaction():
            self._db.execute(
                "UPDATE tasks SET told = 1 WHERE mark = ? AND state = 'unknown' AND order_id = ''",
                (fingerprint,),
            )

    def set_apart(self, row_id: int) -> bool:
        with self._transaction():
            cursor = self._db.execute(
                "UPDATE tasks SET mark = mark || '#' || id WHERE id = ? "
                f"AND (state = 'unresolved' OR ({CAN_BE_LOOKED_UP}))",
                (row_id,),
            )
            return cursor.rowcount == 1

    def record_result(self, fingerprint: str, result: Result) -> None:
        with self._transaction():
            row_id = self._open_row_id(fingerprint, result.task_id)
            row = self.get(row_id) if row_id is not None else None
            if row is None:
                return
            self._write_result(row.id, result)
            self._update_open_row(
                fingerprint,
                state=State.SUCCEEDED.value,
                # What is missing is looked for from the moment on when it was first; a result that
                # is fetched again has ended when it was.
                ended=row.ended if row.ended and (result.missing or row.delivered) else self._now(),
                error="",
                answer="",
            )

    def record_missing(self, fingerprint: str, result: Result) -> None:
        with self._transaction():
            row = self.find(fingerprint)
            if row and row.result and row.result.task_id == result.task_id:
                self._write_result(row.id, result)

    def record_delivered(self, fingerprint: str) -> None:
        with self._transaction():
            row = self.find(fingerprint)
            if row is not None and row.result is not None:
                self._db.execute(
                    "UPDATE tasks SET state = ?, delivered = ? WHERE id = ?",
                    (State.DELIVERED.value, self._now(), row.id),
                )

    def mark_files_lost(self, fingerprint: str) -> None:
        with self._transaction():
            row = self.find(fingerprint)
            if row is not None and row.result is not None:
                self._db.execute(
                    "UPDATE tasks SET state = ? WHERE id = ?", (State.DETACHED.value, row.id)
                )

    def record_end(self, fingerprint: str, state: State, error: str, task_id: str = "") -> None:
        ended = {"state": state.value, "ended": self._now(), "error": error}
        with self._transaction():
            self._update_open_row(fingerprint, task_id, **ended)

    # -- rows that are over or left behind ------------------------------------------------------

    def adopt(self, row: Row) -> bool:
        """Take over an abandoned row, to fetch what it lacks.

        False if another process was faster or the task has ended.
        """
        with self._transaction():
            cursor = self._db.execute(
                f"UPDATE tasks SET owner = ?, state = CASE WHEN state {in_states(HAVE_RESULT)} "
                "THEN 'detached' ELSE state END WHERE id = ? AND owner = ? "
                f"AND (state {in_states(ATTACHABLE)} OR ({IS_PARTIAL}) OR ({CAN_BE_LOOKED_UP}))",
                (self._owner.id, row.id, row.owner),
            )
            return cursor.rowcount == 1

    def prune(self, older_than_s: float) -> int:
        """Delete ended rows unused for so long, never an undelivered result; returns how many.

        Their age is that of `retention.cutoff`: no clock that ran ahead makes them old.
        """
        with self._transaction():
            times = self._db.execute(
                f"SELECT {_LAST_USE} FROM tasks WHERE {_LAST_USE} <= ? ORDER BY 1 DESC",
                (self._now(),),
            )
            last_use = cutoff((moment for (moment,) in times), older_than_s)
            old = f"state {in_states(OVER)} AND {_LAST_USE} <= ?"
            self._charges.keep_pruned(old, last_use)
            forgotten = self._db.execute(f"DELETE FROM tasks WHERE {old}", (last_use,)).rowcount
            self._prune_graphs(last_use)
            return forgotten

    def recover(self) -> None:
        self._drop_dead_reservations()
        rows = self._fetch_all("SELECT * FROM tasks WHERE state = 'intent'")
        for row in (row for row in rows if not self._owner.is_alive(row.owner)):
            with self._transaction():
                self._db.execute(
                    "UPDATE tasks "
                    "SET state = CASE refused WHEN 0 THEN 'unknown' ELSE 'failed' END, "
                    "error = CASE refused WHEN 0 THEN error ELSE ? END, ended = ? "
                    "WHERE id = ? AND state = 'intent'",
                    (_refused_error(), self._now(), row.id),
                )

    def _drop_dead_reservations(self) -> None:
        with self._lock:
            owners = self._charges.owners()
        for owner in owners:
            if not self._owner.is_alive(owner):
                with self._transaction():
                    self._charges.release_all(owner)

    # -- between two stores ---------------------------------------------------------------------

    def import_row(self, row: Row) -> None:
        """Store a row of another store, replacing what this one holds of the same task."""
        with self._transaction():
            task_id = row.task.id if row.task else None
            if task_id is not None:
                row = replace(row, record=self._beside_others(row.record, task_id))
            self._db.execute(
                f"DELETE FROM tasks WHERE mark = ? AND (state {in_states(OPEN)} OR task_id = ? "
                "OR (task_id = '' AND created = ?))",
                (row.record.fingerprint, task_id, row.created),
            )
            values = row_values(row)
            self._charges.settle(row.record)
            row_id = self._insert(row.record)
            self._db.execute(
                f"UPDATE tasks SET {assigned(values)} WHERE id = ?", (*values.values(), row_id)
            )
            result = row.result or row.kept
            if result is not None:
                self._write_result(row_id, result)
            if row.success is not None:
                self._db.execute(
                    "UPDATE tasks SET success = ? WHERE id = ?", (values["success"], row_id)
                )

    def number_on(self) -> None:
        """Number new rows after those that were copied in. A part of a transaction."""

    def copy_to(self, other: Store) -> None:
        """Make `other` a copy of this one."""
        with self._lock, other._lock:
            self._db.backup(other._db)

    def hand_notices(self, row: Row, other: Store) -> None:
        """Let `other`, which has imported `row`, know what was notified of it, and nothing else."""
        key = row.record.fingerprint, row.created
        with self.outbox() as outbox:
            notices = outbox.of(*key)
        with other.outbox() as outbox:
            outbox.replace(*key, notices)

    def delete(self, row: Row) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM tasks WHERE id = ?", (row.id,))


def _refused_error() -> str:
    return tr(
        "The platform had too many orders and did not take this one; the program that waited to "
        "send it again has ended. Nothing was charged: queue it again."
    )
