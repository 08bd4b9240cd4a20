"""The ledger on disk: SQLite in the data folder, shared by every process that uses that folder."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..base import forks
from ..base.types import Json, Result, Task, TaskState
from .budget import Limit, Use
from .charges import Charges, Others, charge_columns, no_others
from .connection import connect, enable_wal
from .ledger import (
    ATTACHABLE,
    EVERYTHING,
    OPEN,
    OVER,
    Charge,
    Query,
    Row,
    Spending,
    Spent,
    State,
    TaskRecord,
)
from .migrations import VERSION, migrate, version_of
from .process_lock import Owner
from .retention import cutoff
from .rows import FIRST_TEXT, file_values, row_values, storable, success_text, to_row, with_missing
from .sql import HAVE_RESULT, IS_PARTIAL, in_states, states_before, where_clause

_SCANNED_ROWS = 2000  # newest rows that are searched for past durations
_MAX_ID = 2**63 - 1  # what SQLite can hold
_MAX_DURATIONS = 20  # durations returned at most
_LOOKED_FOR = 2 * 86400.0  # seconds from then on when results were found to be missing
_LAST_USE = "max(created, ended, delivered)"  # of a row, in seconds since the epoch
# The most that a task was expected to cost, or was told to so far: it may still become less.
_CHARGE_SO_FAR = (
    "CASE WHEN charge IS NULL THEN ? WHEN charge_unit = unit "
    "THEN max(charge, coalesce(?, charge)) ELSE charge END"
)


class Store:
    """A Ledger in the SQLite file at `path`, or in memory if `path` is None.

    Any thread may call it. Raises sqlite3.Error if the disk or the file fails, and NewerSchema,
    leaving the file unchanged, if a newer Skyport wrote it.
    """

    def __init__(
        self, path: Path | None, owner: Owner, now: Callable[[], float] = time.time
    ) -> None:
        self._owner = owner
        self._now = now
        self._is_to_open = False
        self._path = path
        self._lock = threading.RLock()
        self._connect()
        try:
            self._prepare_database(path)
            self.recover()
        except BaseException:
            self._closing()
            raise
        forks.watch(self)

    def _connect(self) -> None:
        self._db = connect(self._path)
        self._charges = Charges(self._db, self._owner, self._now)
        # Not at exit: our threads may still be writing then, and SQLite needs no clean close.
        self._closing = weakref.finalize(self, self._db.close)
        self._closing.atexit = False

    def close(self) -> None:
        with self._lock:
            self._closing()

    def before_fork(self) -> None:
        """Closes the connection: SQLite's locks do not survive a fork, and fail in both."""
        self._lock.acquire()
        if self._path is not None and self._closing.alive:
            with suppress(sqlite3.Error):
                self._closing()
            self._is_to_open = True

    def after_fork(self, in_child: bool) -> None:
        if self._is_to_open:
            self._is_to_open = False
            with suppress(sqlite3.Error):  # told by the next call
                self._connect()
        self._lock.release()

    # -- the life of an order -----------------------------------------------------------------

    def find(self, fingerprint: str) -> Row | None:
        return self._fetch_one(
            "SELECT * FROM tasks WHERE mark = ? ORDER BY id DESC LIMIT 1", fingerprint
        )

    def latest_unknown(self, fingerprint: str) -> Row | None:
        return self._fetch_one(
            "SELECT * FROM tasks WHERE mark = ? AND state = 'unknown' AND id > (SELECT coalesce("
            "max(id), 0) FROM tasks WHERE mark = ? AND state = 'delivered') "
            "ORDER BY id DESC LIMIT 1",
            fingerprint,
            fingerprint,
        )

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        # Only the newest rows: a ledger grows large, and the speed of a model changes.
        with self._lock:
            found = self._db.execute(
                "SELECT ended - submitted FROM (SELECT * FROM tasks ORDER BY id DESC LIMIT ?) "
                "WHERE platform = ? AND ? IN ('', endpoint) AND title = ? AND submitted > 0 "
                f"AND state {in_states((State.SUCCEEDED, State.DELIVERED))} LIMIT ?",
                (_SCANNED_ROWS, platform, endpoint, title, _MAX_DURATIONS),
            ).fetchall()
        return [seconds for (seconds,) in found]

    def reserve(
        self,
        records: Sequence[TaskRecord],
        limits: Sequence[Limit],
        reuse: bool,
        others: Others = no_others,
    ) -> list[str]:
        self._drop_dead_reservations()
        with self._transaction():
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
        with self._transaction():
            existing = self._fetch_one(
                f"SELECT * FROM tasks WHERE mark = ? AND state {in_states(OPEN)}",
                record.fingerprint,
            )
            if existing is not None:
                return existing
            self._charges.claim(record, limits, others)
            self._insert(record)
        return None

    def record_accepted(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        with self._transaction():
            if not self._open_row_id(record.fingerprint):
                self._charges.settle(record)
                self._insert(record)
            self._update_open_row(
                record.fingerprint,
                state=State.SUBMITTED.value,
                task_id=task.id,
                sent=json.dumps(sorted(task.sent)),
                submitted=self._now(),
                success=success_text(success, with_files=True) if success else "",
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
                "UPDATE tasks SET told = 1 WHERE mark = ? AND state = 'unknown'", (fingerprint,)
            )

    def set_apart(self, row_id: int) -> bool:
        with self._transaction():
            cursor = self._db.execute(
                "UPDATE tasks SET mark = mark || '#' || id WHERE id = ? AND state = 'unresolved'",
                (row_id,),
            )
            return cursor.rowcount == 1

    def has_accepted(self, base_url: str) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM tasks WHERE place = ? AND task_id != '')"
        with self._lock:
            return bool(self._db.execute(sql, (base_url,)).fetchone()[0])

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
                # What is missing is looked for from the moment on when it was first.
                ended=row.ended if result.missing and row.ended else self._now(),
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

    # -- listings -----------------------------------------------------------------------------

    def get(self, row_id: int) -> Row | None:
        if not 0 < row_id <= _MAX_ID:
            return None
        return self._fetch_one("SELECT * FROM tasks WHERE id = ?", row_id)

    def rows(self, query: Query) -> list[Row]:
        """The rows that match `query`, newest first."""
        where, values = where_clause(query)
        sql = f"SELECT * FROM tasks {where} ORDER BY id DESC LIMIT ? OFFSET ?"
        return self._fetch_all(sql, *values, query.limit, query.offset)

    def count(self, query: Query) -> int:
        where, values = where_clause(query)
        with self._lock:
            return int(
                self._db.execute(f"SELECT count(*) FROM tasks {where}", values).fetchone()[0]
            )

    def abandoned(self) -> list[Row]:
        """Tasks that lack results and belong to this process or to a dead one, oldest first."""
        newest = f"id > (SELECT coalesce(max(id), 0) - {_SCANNED_ROWS} FROM tasks)"
        rows = self._fetch_all(
            f"SELECT * FROM tasks WHERE state {in_states(ATTACHABLE)} "
            f"OR ({newest} AND ended > ? AND {IS_PARTIAL}) ORDER BY id",
            self._now() - _LOOKED_FOR,
        )
        return [row for row in rows if self.is_own(row) or not self._owner.is_alive(row.owner)]

    def adopt(self, row: Row) -> bool:
        """Take over an abandoned row, to fetch what it lacks.

        False if another process was faster or the task has ended.
        """
        with self._transaction():
            cursor = self._db.execute(
                f"UPDATE tasks SET owner = ?, state = CASE WHEN state {in_states(HAVE_RESULT)} "
                "THEN 'detached' ELSE state END WHERE id = ? AND owner = ? "
                f"AND (state {in_states(ATTACHABLE)} OR ({IS_PARTIAL}))",
                (self._owner.id, row.id, row.owner),
            )
            return cursor.rowcount == 1

    def spent(self, query: Query = EVERYTHING) -> list[Spent]:
        """Cost per day and platform of the rows that match `query`, newest day first."""
        where, values = where_clause(query, "cost IS NOT NULL")
        with self._lock:
            found = self._db.execute(
                "SELECT date(submitted, 'unixepoch', 'localtime') AS day, platform, count(*), "
                f"sum(cost), unit FROM tasks {where} GROUP BY day, platform, unit "
                "ORDER BY day DESC, platform, unit",
                values,
            ).fetchall()
        return [Spent(*row) for row in found]

    def reserved(self) -> list[str]:
        """The orders that something is reserved for, by their fingerprints."""
        with self._lock:
            return self._charges.reserved()

    def spending(self, since: float) -> list[Spending]:
        """What orders made since then count for, newest day first."""
        with self._lock:
            return self._charges.since(since)

    def used(
        self, limit: Limit, local: bool, queue: str = "", asked: frozenset[str] = frozenset()
    ) -> Sequence[Use]:
        """What counts against `limit` now, other than reservations of the orders `asked` for."""
        with self._transaction("DEFERRED"):  # rows and reservations of one moment
            return self._charges.used(limit, local, queue, asked)

    def charges(self, platform: str, newest: int) -> list[Charge]:
        """What the platform's newest tasks with a result and a known cost were charged."""
        with self._lock:
            found = self._db.execute(
                "SELECT platform, place, request, cost, unit FROM tasks WHERE platform = ? "
                "AND cost IS NOT NULL AND state IN ('succeeded', 'delivered') "
                "ORDER BY id DESC LIMIT ?",
                (platform, newest),
            ).fetchall()
        return [Charge(*row) for row in found]

    def changes(self) -> tuple[int, int]:
        """Differs after each write, by this process or by another."""
        with self._lock:
            by_others = self._db.execute("PRAGMA data_version").fetchone()[0]
            return int(by_others), self._db.total_changes

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
            return self._db.execute(f"DELETE FROM tasks WHERE {old}", (last_use,)).rowcount

    def recover(self) -> None:
        self._drop_dead_reservations()
        rows = self._fetch_all("SELECT * FROM tasks WHERE state = 'intent'")
        for row in (row for row in rows if not self._owner.is_alive(row.owner)):
            with self._transaction():
                self._db.execute(
                    "UPDATE tasks SET state = 'unknown', ended = ? "
                    "WHERE id = ? AND state = 'intent'",
                    (self._now(), row.id),
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
            self._db.execute(
                f"DELETE FROM tasks WHERE mark = ? AND (state {in_states(OPEN)} OR task_id = ? "
                "OR (task_id = '' AND created = ?))",
                (row.record.fingerprint, task_id, row.created),
            )
            values = row_values(row)
            self._charges.settle(row.record)
            row_id = self._insert(row.record)
            assignments = ", ".join(f"{name} = ?" for name in values)
            self._db.execute(
                f"UPDATE tasks SET {assignments} WHERE id = ?", (*values.values(), row_id)
            )
            result = row.result or row.kept
            if result is not None:
                self._write_result(row_id, result)
            if row.success is not None:
                self._db.execute(
                    "UPDATE tasks SET success = ? WHERE id = ?", (values["success"], row_id)
                )

    def copy_to(self, other: Store) -> None:
        """Make `other` a copy of this one."""
        with self._lock, other._lock:
            self._db.backup(other._db)

    def delete(self, row: Row) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM tasks WHERE id = ?", (row.id,))

    # -- database -------------------------------------------------------------------------------

    def _prepare_database(self, path: Path | None) -> None:
        version = version_of(self._db)
        if path is not None:
            os.chmod(path, 0o600)
        enable_wal(self._db)
        if version < VERSION:
            with self._transaction():
                migrate(self._db)

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """One transaction. IMMEDIATE, so that nobody writes between its reads and its writes."""
        with self._lock:
            self._db.execute(f"BEGIN {kind}")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def is_own(self, row: Row) -> bool:
        return row.owner == self._owner.id

    def _insert(self, record: TaskRecord) -> int | None:
        cursor = self._db.execute(
            "INSERT INTO tasks (mark, state, platform, place, endpoint, title, request, node_id, "
            "prompt_id, owner, created, queue, unit, charge, charge_unit) "
            f"VALUES (?, 'intent', {', '.join('?' * 13)})",
            storable(
                record.fingerprint,
                record.platform,
                record.base_url,
                record.endpoint,
                record.title,
                json.dumps(record.request, ensure_ascii=False),
                record.source.node_id,
                record.source.prompt_id,
                self._owner.id,
                self._now(),
                self._charges.queue_of(record),
                record.unit,
                *charge_columns(record),
            ),
        )
        return cursor.lastrowid

    def _write_result(self, task: int | None, result: Result) -> None:
        self._db.execute("DELETE FROM files WHERE task = ?", (task,))
        self._db.executemany(
            f"INSERT INTO files VALUES ({', '.join('?' * 10)})",
            [
                storable(task, number, *file_values(file))
                for files, first in ((result.files, 0), (result.text_files, FIRST_TEXT))
                for number, file in enumerate(files, first)
            ],
        )
        found = self._db.execute("SELECT success FROM tasks WHERE id = ?", (task,)).fetchone()
        success = with_missing(found[0], result.missing) if result.missing else ""
        texts, warnings, details = (
            json.dumps(value, ensure_ascii=False)
            for value in (result.texts, result.warnings, result.details)
        )
        self._db.execute(
            "UPDATE tasks SET texts = ?, warnings = ?, details = ?, success = ? WHERE id = ?",
            storable(texts, warnings, details, success, task),
        )
        self._write_cost(task, result.cost)

    def _write_cost(self, row_id: int | None, cost: float | None) -> None:
        """What the task cost in the end, if the platform has told it."""
        if cost is not None:
            self._db.execute(
                "UPDATE tasks SET cost = ?, charge = ?, charge_unit = unit WHERE id = ?",
                (cost, cost, row_id),
            )

    def _open_row_id(self, fingerprint: str, task_id: str | None = None) -> int | None:
        """The id of the order's open row; with `task_id`, only if that is its task."""
        found = self._db.execute(
            f"SELECT id FROM tasks WHERE mark = ? AND state {in_states(OPEN)} "
            "AND coalesce(?, task_id) = task_id",
            (fingerprint, task_id),
        ).fetchone()
        return None if found is None else int(found[0])

    def _update_open_row(self, fingerprint: str, of_task: str = "", **values: Json) -> None:
        """Set `values` in the order's open row; with `of_task`, only if that is its task."""
        assignments = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(
            f"UPDATE tasks SET {assignments} WHERE mark = ? AND state {in_states(OPEN)} "
            "AND ? IN ('', task_id)",
            storable(*values.values(), fingerprint, of_task),
        )

    def _fetch_one(self, sql: str, *values: Json) -> Row | None:
        return next(iter(self._fetch_all(sql, *values)), None)

    def _fetch_all(self, sql: str, *values: Json) -> list[Row]:
        with self._lock:
            rows = self._db.execute(sql, values).fetchall()
            return [to_row(row, self._file_rows(row)) for row in rows]

    def _file_rows(self, row: sqlite3.Row) -> Sequence[sqlite3.Row]:
        if State(row["state"]) not in (*ATTACHABLE, *HAVE_RESULT):
            return ()
        sql = "SELECT * FROM files WHERE task = ? ORDER BY number"
        return self._db.execute(sql, (row["id"],)).fetchall()
