"""What became of every row of every batch: beside the ledger, in its data folder or database.

Nothing is paid for by what stands here: whether a row is sent, the ledger decides.
"""

from __future__ import annotations

import enum
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..base import forks
from ..base.errors import InvalidInput
from ..base.shown_text import valid_unicode
from ..base.types import Json
from ..base.words import tr
from ..ledger.sql import BOUNDED_COST

T = TypeVar("T")

_BUSY = 30.0  # seconds to wait for another process that is writing
VERSION = 1
TABLES = (
    """CREATE TABLE batches (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        platform TEXT NOT NULL,
        title TEXT NOT NULL,
        total INTEGER NOT NULL,
        output TEXT NOT NULL,
        owner TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE rows (
        batch TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        line INTEGER NOT NULL,
        base TEXT NOT NULL,
        mark TEXT NOT NULL,
        state TEXT NOT NULL,
        error TEXT NOT NULL,
        job INTEGER,
        cost REAL,
        unit TEXT NOT NULL,
        result TEXT NOT NULL,
        PRIMARY KEY (batch, number)
    ) WITHOUT ROWID""",
    "CREATE INDEX rows_by_base ON rows (batch, base, number)",
    "CREATE INDEX rows_by_mark ON rows (mark, state)",
    "CREATE INDEX rows_by_state ON rows (batch, state, mark, cost, unit)",
)

_COLUMNS = "line", "base", "mark", "state", "error", "job", "cost", "unit", "result"
_WRITE_ROW = (
    f"INSERT INTO rows VALUES ({', '.join('?' * 11)}) ON CONFLICT (batch, number) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
)


class RowState(str, enum.Enum):
    """The state of a row of a batch.

    waiting  not sent: a limit, the account or the person stopped the batch before it
    running  being ordered, or it was when the command ended
    done     its result is on this disk
    refused  not sent: something is wrong with the row
    failed   its order has failed, or was cancelled
    open     its order was accepted and has no result yet: looked at again at no charge
    unknown  sent and never answered: it may have been charged
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class StoredRow:
    """One row and what became of it.

    base    the fingerprint of its order, were it the only one in the batch
    mark    that of the order itself, which differs where equal rows are copies
    job     the number of its order in the ledger, None where it has none
    result  its files (name, path, size), texts and warnings, and the task's id
    """

    number: int
    line: int = 0
    base: str = ""
    mark: str = ""
    state: RowState = RowState.RUNNING
    error: str = ""
    job: int | None = None
    cost: float | None = None
    unit: str = ""
    result: Json = field(default_factory=dict)


@dataclass(frozen=True)
class StoredBatch:
    """A batch; times are seconds since the epoch."""

    id: str
    name: str
    platform: str
    title: str
    total: int
    output: str
    owner: str = ""
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True)
class BatchSums:
    """How many rows are in which state, and what their orders cost by unit."""

    states: dict[RowState, int]
    costs: dict[str, float]


class BatchStore:
    """The file at `path`. Any thread may call it. Raises InvalidInput where it cannot be used."""

    _BEGIN = "BEGIN IMMEDIATE"

    def __init__(self, path: Path | str, now: Callable[[], float] = time.time) -> None:
        self._name = str(path)
        self._now = now
        self._lock = threading.RLock()
        self._db: Any = None
        self._write()
        forks.watch(self)

    def before_fork(self) -> None:
        self._lock.acquire()
        self.close()

    def after_fork(self, in_child: bool) -> None:
        self._lock.release()

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    # -- batches ------------------------------------------------------------------------------

    def begin(self, batch: StoredBatch) -> None:
        """Record that the batch runs now, under its owner."""
        sql = (
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET total = excluded.total, output = excluded.output, owner = excluded.owner, "
            "updated = excluded.updated"
        )
        values = (
            *(batch.id, batch.name, batch.platform, batch.title, batch.total, batch.output),
            *(batch.owner, self._now(), self._now()),
        )
        self._write((sql, values))

    def batches(self, most: int) -> list[StoredBatch]:
        """The newest ones first."""
        sql = "SELECT * FROM batches ORDER BY updated DESC LIMIT ?"
        return [StoredBatch(*row) for row in self._read(sql, most)]

    def batch(self, batch_id: str) -> StoredBatch | None:
        found = self._read("SELECT * FROM batches WHERE id = ?", batch_id)
        return StoredBatch(*found[0]) if found else None

    def sums(self, batch: str) -> BatchSums:
        counted = self._read(
            "SELECT state, count(*) FROM rows WHERE batch = ? GROUP BY state", batch
        )
        costs = self._read(
            f"SELECT unit, sum({BOUNDED_COST}) FROM (SELECT DISTINCT mark, cost, unit FROM rows "
            "WHERE batch = ? AND cost IS NOT NULL) AS costs GROUP BY unit",
            batch,
        )
        states = {RowState(state): count for state, count in counted}
        return BatchSums(states, {str(unit): cost for unit, cost in costs})

    def prune(self, older_than_s: float, is_known: Callable[[str], bool]) -> int:
        """Forget batches unused for so long whose rows are all done and whose orders nobody knows
        any more; returns how many.

        is_known  whether the ledger still has an order of this fingerprint
        """
        old = self._read(
            "SELECT id, updated FROM batches WHERE updated <= ? AND total = "
            "(SELECT count(*) FROM rows WHERE batch = id AND state = 'done')",
            self._now() - older_than_s,
        )
        forgotten = 0
        for batch, updated in old:
            if not any(is_known(row.mark) for row in self.rows(batch)):
                self._forget(batch, updated)
                forgotten += 1
        return forgotten

    def _forget(self, batch: str, updated: float) -> None:
        """Unless it has been begun again since."""
        self._write(
            (
                "DELETE FROM rows WHERE batch IN "
                "(SELECT id FROM batches WHERE id = ? AND updated = ?)",
                (batch, updated),
            ),
            ("DELETE FROM batches WHERE id = ? AND updated = ?", (batch, updated)),
        )

    # -- rows ---------------------------------------------------------------------------------

    def write(self, batch: str, row: StoredRow) -> None:
        result = valid_unicode(json.dumps(row.result, ensure_ascii=False))
        values = (
            *(batch, row.number, row.line, row.base, row.mark, row.state.value),
            *(valid_unicode(row.error), row.job, row.cost, row.unit, result),
        )
        self._write(
            (_WRITE_ROW, values),
            ("UPDATE batches SET updated = ? WHERE id = ?", (self._now(), batch)),
        )

    def find(self, batch: str, number: int) -> StoredRow | None:
        return self._first("batch = ? AND number = ?", batch, number)

    def find_done(self, mark: str) -> StoredRow | None:
        """A row of any batch whose equal order has brought its result."""
        return self._first("mark = ? AND state = 'done'", mark)

    def find_equal(self, batch: str, mark: str, state: RowState | None = None) -> StoredRow | None:
        """A row of the batch with that order, in that state if one is given."""
        return self._first(
            "mark = ? AND batch = ? AND coalesce(?, state) = state",
            mark,
            batch,
            state and state.value,
        )

    def was_ordered(self, mark: str) -> bool:
        """Whether a row of any batch has had that order sent, or may have."""
        never = f"'{RowState.WAITING.value}', '{RowState.REFUSED.value}'"
        return self._first(f"mark = ? AND state NOT IN ({never})", mark) is not None

    def is_taken(self, folder: str, table: str) -> bool:
        """Whether results of another table than that (see `Plan.id`) go into the folder."""
        sql = "SELECT count(*) FROM batches WHERE output = ? AND substr(id, 1, ?) <> ?"
        return bool(self._read(sql, folder, len(table), table)[0][0])

    def rows(self, batch: str, *states: RowState) -> Iterator[StoredRow]:
        """Those in these states, or all, in their order; read bit by bit."""
        number, more = 0, True
        wanted = ", ".join(f"'{state.value}'" for state in states or RowState)
        sql = f"batch = ? AND number > ? AND state IN ({wanted}) ORDER BY number LIMIT 500"
        while more:
            more = False
            for row in self._rows(sql, batch, number):
                number, more = row.number, True
                yield row

    def copies_before(self, batch: str, base: str, number: int) -> int:
        """How many rows before this one are equal to it."""
        sql = "SELECT count(*) FROM rows WHERE batch = ? AND base = ? AND number < ?"
        return int(self._read(sql, batch, base, number)[0][0])

    # -- the file -----------------------------------------------------------------------------

    def _first(self, where: str, *values: Json) -> StoredRow | None:
        return next(iter(self._rows(f"{where} LIMIT 1", *values)), None)

    def _rows(self, where: str, *values: Json) -> list[StoredRow]:
        return [_stored(row) for row in self._read(f"SELECT * FROM rows WHERE {where}", *values)]

    def _read(self, sql: str, *values: Json) -> Sequence[Sequence[Json]]:
        found: Sequence[Sequence[Json]] = self._use(lambda db: db.execute(sql, values).fetchall())
        return found

    def _write(self, *statements: tuple[str, Sequence[Json]]) -> None:
        """In one transaction."""

        def write(db: Any) -> None:
            db.execute(self._BEGIN)
            try:
                for sql, values in statements:
                    db.execute(sql, values)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

        self._use(write)

    def _use(self, act: Callable[[Any], T]) -> T:
        with self._lock, self._explained():
            return act(self._connection())

    def _connection(self) -> Any:
        if self._db is None:
            db = sqlite3.connect(
                self._name, timeout=_BUSY, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _prepare(self, db: sqlite3.Connection) -> None:
        with suppress(OSError):
            os.chmod(self._name, 0o600)
        db.execute("PRAGMA journal_mode = WAL")
        # What a power failure takes from here, the ledger still knows.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -256")  # KB: rows come and go in their order
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise sqlite3.NotSupportedError(tr("a newer Skyport wrote it"))
        if version == 0:
            for statement in TABLES:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise InvalidInput(
                tr("{path} cannot be used: {reason}.", path=self._name, reason=error),
                do=tr("Nothing that was ordered is lost: it is in the ledger."),
            ) from error


def _stored(row: Sequence[Json]) -> StoredRow:
    _, number, line, base, mark, state, error, job, cost, unit, result = row
    return StoredRow(
        number, line, base, mark, RowState(state), error, job, cost, unit, json.loads(result)
    )
