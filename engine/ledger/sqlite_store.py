"""The ledger on disk: SQLite in the data folder, shared by every process that uses that folder."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..base.types import Json, Result, Task
from .ledger import EVERYTHING, OPEN, OVER, UNDER_WAY, Query, Row, Spent, State, TaskRecord
from .migrations import VERSION, migrate, version_of
from .process_lock import Owner
from .rows import file_values, row_of, row_values

_BUSY = 10.0  # seconds to wait for another process that is writing
_LOOKED_AT = 2000  # rows in which tasks of one sort are looked for,
_ENOUGH = 20  # and how many of them tell how long the next will take


class Store:
    """A Ledger in the SQLite file at `path`; in memory where `path` is None.

    Any thread may call it. Raises sqlite3.Error where the disk or the file does not let it; Newer,
    and leaves the file as it is, where a newer Skyport wrote it.
    """

    def __init__(
        self, path: Path | None, owner: Owner, now: Callable[[], float] = time.time
    ) -> None:
        self._owner = owner
        self._now = now
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            path or ":memory:", timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        # Not at exit: threads of ours may still be writing then, and SQLite needs no farewell.
        self._closing = weakref.finalize(self, self._db.close)
        self._closing.atexit = False
        try:
            self._prepare(path)
            self.recover()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._closing()

    # -- the way of an order ------------------------------------------------------------------

    def find(self, fingerprint: str) -> Row | None:
        return self._one("SELECT * FROM tasks WHERE mark = ? ORDER BY id DESC LIMIT 1", fingerprint)

    def latest_unknown(self, fingerprint: str) -> Row | None:
        return self._one(
            "SELECT * FROM tasks WHERE mark = ? AND state = 'unknown' AND id > (SELECT coalesce("
            "max(id), 0) FROM tasks WHERE mark = ? AND state = 'delivered') "
            "ORDER BY id DESC LIMIT 1",
            fingerprint,
            fingerprint,
        )

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        # Of the newest rows: a ledger grows long, and a model's speed does not stay the same.
        with self._lock:
            found = self._db.execute(
                "SELECT ended - submitted FROM (SELECT * FROM tasks ORDER BY id DESC LIMIT ?) "
                "WHERE platform = ? AND endpoint = ? AND title = ? AND submitted > 0 "
                f"AND state {_in((State.SUCCEEDED, State.DELIVERED))} LIMIT ?",
                (_LOOKED_AT, platform, endpoint, title, _ENOUGH),
            ).fetchall()
        return [seconds for (seconds,) in found]

    def record_intent(self, record: TaskRecord) -> Row | None:
        with self._writing():
            taken = self._one(
                f"SELECT * FROM tasks WHERE mark = ? AND state {_in(OPEN)}", record.fingerprint
            )
            if taken is not None:
                return taken
            self._insert(record)
        return None

    def record_accepted(self, record: TaskRecord, task: Task) -> None:
        with self._writing():
            if not self._open_id(record.fingerprint):
                self._insert(record)
            self._set(
                record.fingerprint,
                state=State.SUBMITTED.value,
                task_id=task.id,
                sent=json.dumps(sorted(task.sent)),
                submitted=self._now(),
            )

    def record_progress(self, fingerprint: str, state: State, cost: float | None = None) -> None:
        with self._writing():
            self._db.execute(
                "UPDATE tasks SET state = ?, owner = ?, cost = coalesce(?, cost) "
                f"WHERE mark = ? AND state {_in(UNDER_WAY)}",
                # Who looks after the task owns it: another process may have taken it up from us.
                (state.value, self._owner.id, cost, fingerprint),
            )

    def record_result(self, fingerprint: str, result: Result) -> None:
        with self._writing():
            task = self._open_id(fingerprint, result.task_id)
            if task is None:
                return
            self._put_result(task, result)
            self._set(fingerprint, state=State.SUCCEEDED.value, ended=self._now(), error="")

    def record_delivered(self, fingerprint: str) -> None:
        with self._writing():
            row = self.find(fingerprint)
            if row is not None and row.result is not None:
                self._db.execute(
                    "UPDATE tasks SET state = ?, delivered = ? WHERE id = ?",
                    (State.DELIVERED.value, self._now(), row.id),
                )

    def mark_files_lost(self, fingerprint: str) -> None:
        with self._writing():
            row = self.find(fingerprint)
            if row is not None and row.result is not None:
                self._db.execute(
                    "UPDATE tasks SET state = ? WHERE id = ?", (State.DETACHED.value, row.id)
                )

    def record_end(self, fingerprint: str, state: State, error: str) -> None:
        with self._writing():
            self._set(fingerprint, state=state.value, ended=self._now(), error=error)

    # -- for people ---------------------------------------------------------------------------

    def get(self, row_id: int) -> Row | None:
        return self._one("SELECT * FROM tasks WHERE id = ?", row_id)

    def rows(self, query: Query) -> list[Row]:
        """The rows that `query` asks for, newest first."""
        where, values = _where(query)
        sql = f"SELECT * FROM tasks {where} ORDER BY id DESC LIMIT ? OFFSET ?"
        return self._all(sql, *values, query.limit, query.offset)

    def count(self, query: Query) -> int:
        where, values = _where(query)
        with self._lock:
            return int(
                self._db.execute(f"SELECT count(*) FROM tasks {where}", values).fetchone()[0]
            )

    def abandoned(self) -> list[Row]:
        """Tasks under way that are ours or of a process that is gone, oldest first."""
        rows = self._all(f"SELECT * FROM tasks WHERE state {_in(UNDER_WAY)} ORDER BY id")
        return [row for row in rows if self.is_own(row) or not self._owner.is_alive(row.owner)]

    def adopt(self, row: Row) -> bool:
        """Make an abandoned row ours; False when another process was faster, or it is over."""
        with self._writing():
            done = self._db.execute(
                f"UPDATE tasks SET owner = ? WHERE id = ? AND owner = ? AND state {_in(UNDER_WAY)}",
                (self._owner.id, row.id, row.owner),
            )
            return done.rowcount == 1

    def spent(self, query: Query = EVERYTHING) -> list[Spent]:
        """Cost a day and platform of all that `query` means, newest day first."""
        where, values = _where(query, "cost IS NOT NULL")
        with self._lock:
            found = self._db.execute(
                "SELECT date(submitted, 'unixepoch', 'localtime') AS day, platform, count(*), "
                f"sum(cost) FROM tasks {where} GROUP BY day, platform ORDER BY day DESC, platform",
                values,
            ).fetchall()
        return [Spent(*row) for row in found]

    def costs(self, newest: int) -> list[tuple[str, str, str, float]]:
        """(platform, place, title, cost) of the newest rows whose cost is known, newest first."""
        with self._lock:
            found = self._db.execute(
                "SELECT platform, place, title, cost FROM tasks WHERE cost IS NOT NULL "
                "ORDER BY id DESC LIMIT ?",
                (newest,),
            ).fetchall()
        return [tuple(row) for row in found]

    def prune(self, older_than_s: float) -> int:
        """Forget what was over or last used so long ago; never an undelivered result. How many."""
        with self._writing():
            gone = self._db.execute(
                f"DELETE FROM tasks WHERE state {_in(OVER)} AND max(created, ended, delivered) < ?",
                (self._now() - older_than_s,),
            )
            return gone.rowcount

    def recover(self) -> None:
        rows = self._all("SELECT * FROM tasks WHERE state = 'intent'")
        for row in (row for row in rows if not self._owner.is_alive(row.owner)):
            with self._writing():
                self._db.execute(
                    "UPDATE tasks SET state = 'unknown', ended = ? "
                    "WHERE id = ? AND state = 'intent'",
                    (self._now(), row.id),
                )

    # -- between two stores ---------------------------------------------------------------------

    def take(self, row: Row) -> None:
        """Keep a row of another store, in the place of what is kept here of the same task."""
        with self._writing():
            task_id = row.task.id if row.task else None
            self._db.execute(
                f"DELETE FROM tasks WHERE mark = ? AND (state {_in(OPEN)} OR task_id = ?)",
                (row.record.fingerprint, task_id),
            )
            values = row_values(row)
            here = self._insert(row.record)
            names = ", ".join(f"{name} = ?" for name in values)
            self._db.execute(f"UPDATE tasks SET {names} WHERE id = ?", (*values.values(), here))
            if row.result is not None:
                self._put_result(here, row.result)

    def copy_to(self, other: Store) -> None:
        """Make `other` a copy of this one."""
        with self._lock, other._lock:
            self._db.backup(other._db)

    def forget(self, row: Row) -> None:
        with self._writing():
            self._db.execute("DELETE FROM tasks WHERE id = ?", (row.id,))

    # -- inside ---------------------------------------------------------------------------------

    def _prepare(self, path: Path | None) -> None:
        found = version_of(self._db)
        if path is not None:
            os.chmod(path, 0o600)
        self._to_wal()
        # An order must survive a power cut, not only a crash: money is at stake.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        if found < VERSION:
            with self._writing():
                migrate(self._db)

    def _to_wal(self) -> None:
        """Unlike all else, this does not wait by itself while another process has the file."""
        deadline = time.monotonic() + _BUSY
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction. IMMEDIATE: what is read in it stays true until it is written."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
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
        done = self._db.execute(
            "INSERT INTO tasks (mark, state, platform, place, endpoint, title, request, node_id, "
            "prompt_id, owner, created) VALUES (?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
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
            ),
        )
        return done.lastrowid

    def _put_result(self, task: int | None, result: Result) -> None:
        self._db.execute("DELETE FROM files WHERE task = ?", (task,))
        self._db.executemany(
            f"INSERT INTO files VALUES ({', '.join('?' * 10)})",
            [(task, number, *file_values(f)) for number, f in enumerate(result.files)],
        )
        texts, warnings = (
            json.dumps(told, ensure_ascii=False) for told in (result.texts, result.warnings)
        )
        self._db.execute(
            "UPDATE tasks SET texts = ?, warnings = ?, cost = coalesce(?, cost) WHERE id = ?",
            (texts, warnings, result.cost, task),
        )

    def _open_id(self, fingerprint: str, task_id: str | None = None) -> int | None:
        """The order's open row; with `task_id`, only if that is its task."""
        found = self._db.execute(
            f"SELECT id FROM tasks WHERE mark = ? AND state {_in(OPEN)} "
            "AND coalesce(?, task_id) = task_id",
            (fingerprint, task_id),
        ).fetchone()
        return None if found is None else int(found[0])

    def _set(self, fingerprint: str, **values: Json) -> None:
        """Change the order's open row."""
        names = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(
            f"UPDATE tasks SET {names} WHERE mark = ? AND state {_in(OPEN)}",
            (*values.values(), fingerprint),
        )

    def _one(self, sql: str, *values: Json) -> Row | None:
        return next(iter(self._all(sql, *values)), None)

    def _all(self, sql: str, *values: Json) -> list[Row]:
        with self._lock:
            found = self._db.execute(sql, values).fetchall()
            return [row_of(one, self._files(one)) for one in found]

    def _files(self, row: sqlite3.Row) -> Sequence[sqlite3.Row]:
        if row["state"] not in (State.SUCCEEDED.value, State.DELIVERED.value):
            return ()
        sql = "SELECT * FROM files WHERE task = ? ORDER BY number"
        return self._db.execute(sql, (row["id"],)).fetchall()


def _in(states: Sequence[State]) -> str:
    return f"IN ({', '.join(repr(state.value) for state in states)})"


def _where(query: Query, *also: str) -> tuple[str, list[Any]]:
    parts, values = [*also], list[Any]()
    if query.before:
        parts.append("id < ?")
        values.append(query.before)
    if query.states:
        parts.append(f"state {_in(query.states)}")
    if query.platform:
        parts.append("platform = ?")
        values.append(query.platform)
    if query.text:
        parts.append("instr(lower(title || ' ' || task_id || ' ' || request), lower(?)) > 0")
        values.append(query.text)
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values
