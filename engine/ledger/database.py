"""The ledger's file: its connection, its transactions and its rows."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..base import forks
from ..base.types import Json
from .charges import Charges
from .connection import connect, enable_wal
from .ledger import ATTACHABLE, Row, State
from .migrations import VERSION, migrate, version_of
from .notices import Outbox
from .ownership import Ownership
from .rows import to_row
from .sql import HAVE_RESULT


class Database:
    """The SQLite file at `path`, or one in memory if `path` is None. Any thread may use it.

    Raises sqlite3.Error if the disk or the file fails, and NewerSchema, leaving the file
    unchanged, if a newer Skyport wrote it.
    """

    _person = ""  # who orders, where several persons do
    _LAST_ID = "SELECT last_insert_rowid()"
    _owner: Ownership
    _db: sqlite3.Connection  # or one that takes the same calls

    def __init__(
        self, path: Path | None, owner: Ownership, now: Callable[[], float] = time.time
    ) -> None:
        self._owner = owner
        self._now = now
        self._is_to_open = self._has_wal = False
        self._path = path
        self._lock = threading.RLock()
        self._connect()
        try:
            self._prepare_database(path)
        except BaseException:
            self._closing()
            raise
        forks.watch(self)

    def _connect(self) -> None:
        self._db = connect(self._path)
        self._charges = Charges(self._db, self._owner, self._now)
        self._outbox = Outbox(self._db, self._owner, self._now)
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
            with suppress(sqlite3.Error):  # reported by the next call
                self._connect()
        self._lock.release()

    def is_own(self, row: Row) -> bool:
        return row.owner == self._owner.id

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

    @contextmanager
    def outbox(self, kind: str = "IMMEDIATE") -> Iterator[Outbox]:
        """The notices, in one transaction; a DEFERRED one only reads."""
        with self._transaction(kind):
            yield self._outbox

    def _prepare_database(self, path: Path | None) -> None:
        version = version_of(self._db)
        if path is not None:
            os.chmod(path, 0o600)
        self._has_wal = enable_wal(self._db)
        if version < VERSION:
            with self._transaction():
                migrate(self._db)

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
