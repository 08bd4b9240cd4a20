"""The ledger in use: the store on disk, and memory for what the disk does not let be written."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from filelock import FileLock

from ..base.events import notify
from ..base.types import Result, Task
from ..base.words import tr
from .ledger import EVERYTHING, OPEN, Row, State, TaskRecord
from .process_lock import Owner
from .sqlite_store import Store

T = TypeVar("T")

_log = logging.getLogger(__name__)
_DISK_ERRORS = (sqlite3.Error, OSError)
_HEADER = b"SQLite format 3\0"
_SUFFIXES = ("", "-wal", "-shm")  # of a database of SQLite
_LOCK_TIMEOUT = 60.0  # seconds to wait for another process that sets a broken file aside


class ResilientLedger:
    """A Ledger that goes on when the data folder is full, read-only or broken, and says so.

    disk     the store, None where it could not be opened
    memory   what the disk refused; it goes to the disk as soon as that takes it. Where there is
             no store on disk, all that is known
    """

    def __init__(self, home: Path) -> None:
        self._replaced = self._refused = ""
        self._lock = threading.RLock()
        self._tasks: dict[
            str, tuple[TaskRecord, Task]
        ] = {}  # in case the disk cannot be read any more
        self.disk: Store | None = None
        self.owner = Owner(None)
        try:
            self.owner = Owner(home / "owners")
            self.disk = self._open(home / "ledger.db")
        except _DISK_ERRORS as error:
            self._report(error)
        self.memory = Store(None, self.owner)
        if self.disk is None:
            self._load_read_only(home / "ledger.db")

    @property
    def trouble(self) -> str:
        """What is wrong, for people, "" when all is well; shown with every result until then."""
        return " ".join(filter(None, (self._replaced, self._refused)))

    # -- a Ledger -----------------------------------------------------------------------------

    def find(self, fingerprint: str) -> Row | None:
        row = self.memory.find(fingerprint) or self._on_disk(
            lambda disk: disk.find(fingerprint), None
        )
        if row is not None and row.task is not None:
            self._tasks[fingerprint] = (row.record, row.task)
        return row

    def latest_unknown(self, fingerprint: str) -> Row | None:
        kept = self.memory.latest_unknown(fingerprint)
        return kept or self._on_disk(lambda disk: disk.latest_unknown(fingerprint), None)

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        sort, nothing = (platform, endpoint, title), list[float]()
        return self.memory.past_durations(*sort) + self._on_disk(
            lambda disk: disk.past_durations(*sort), nothing
        )

    def record_intent(self, record: TaskRecord) -> Row | None:
        return self._write(lambda store: store.record_intent(record), record.fingerprint)

    def record_accepted(self, record: TaskRecord, task: Task) -> None:
        self._tasks[record.fingerprint] = (record, task)
        self._write(lambda store: store.record_accepted(record, task), record.fingerprint)

    def record_progress(self, fingerprint: str, state: State, cost: float | None = None) -> None:
        self._write(lambda store: store.record_progress(fingerprint, state, cost), fingerprint)

    def record_result(self, fingerprint: str, result: Result) -> None:
        self._write(lambda store: store.record_result(fingerprint, result), fingerprint)

    def record_delivered(self, fingerprint: str) -> None:
        self._write(lambda store: store.record_delivered(fingerprint), fingerprint)
        self._tasks.pop(fingerprint, None)

    def mark_files_lost(self, fingerprint: str) -> None:
        self._write(lambda store: store.mark_files_lost(fingerprint), fingerprint)

    def record_end(self, fingerprint: str, state: State, error: str) -> None:
        self._write(lambda store: store.record_end(fingerprint, state, error), fingerprint)
        self._tasks.pop(fingerprint, None)

    def is_own(self, row: Row) -> bool:
        return row.owner == self.owner.id

    def recover(self) -> None:
        """Look anew which orders a dead process has left behind."""
        self._on_disk(lambda disk: disk.recover(), None)

    # -- for the collector --------------------------------------------------------------------

    def abandoned(self) -> list[Row]:
        """Tasks under way that nobody carries any more."""
        nothing: list[Row] = []
        return [*self.memory.abandoned(), *self._on_disk(lambda disk: disk.abandoned(), nothing)]

    def adopt(self, row: Row) -> bool:
        """Make an abandoned row ours; False when another process was faster, or it is over."""
        mine = self.memory.find(row.record.fingerprint) is not None
        return mine or self._on_disk(lambda disk: disk.adopt(row), False)

    def prune(self, older_than_s: float) -> int:
        """Forget what was over or last used so long ago; never an undelivered result. How many."""
        return self._on_disk(lambda disk: disk.prune(older_than_s), 0)

    # -- disk and memory ----------------------------------------------------------------------

    def _write(self, write: Callable[[Store], T], fingerprint: str) -> T:
        try:
            return self._write_or_remember(write, fingerprint)
        finally:
            notify(fingerprint)

    def _write_or_remember(self, write: Callable[[Store], T], fingerprint: str) -> T:
        """Write to the disk; where it refuses, to memory, along with what is known of the order."""
        with self._lock:
            if self.disk is None:
                return write(self.memory)
            try:
                self._flush_to_disk(self.disk)
                told = write(self.disk)
            except _DISK_ERRORS as error:
                self._report(error)
                self._copy_to_memory(fingerprint)
                return write(self.memory)
            self._refused = ""
            return told

    def _flush_to_disk(self, disk: Store) -> None:
        """What memory holds because the disk was full goes to the disk."""
        for row in reversed(self.memory.rows(EVERYTHING)):
            disk.take(row)
            self.memory.forget(row)

    def _copy_to_memory(self, fingerprint: str) -> None:
        """An order that was begun on disk goes on in memory."""
        if self.memory.find(fingerprint) is not None:
            return
        row = self._on_disk(lambda disk: disk.find(fingerprint), None)
        if row is None and fingerprint in self._tasks:
            self.memory.record_accepted(*self._tasks[fingerprint])
        # Another process's intent stays where that process can end it.
        elif row and (row.task or (row.state in OPEN and row.owner == self.owner.id)):
            self.memory.take(row)

    def _on_disk(self, read: Callable[[Store], T], otherwise: T) -> T:
        if self.disk is None:
            return otherwise
        try:
            return read(self.disk)
        except _DISK_ERRORS as error:
            self._report(error)
            return otherwise

    def _report(self, error: Exception) -> None:
        told = tr(
            "The ledger cannot be written ({error}): tasks are remembered only until this program "
            "ends. Look at the disk and the data folder.",
            error=error,
        )
        if told != self._refused:
            _log.warning("Skyport: %s", told)
        self._refused = told

    # -- a file that cannot be written --------------------------------------------------------

    def _load_read_only(self, path: Path) -> None:
        """What the ledger knows goes to memory, from a copy: SQLite writes even to read."""
        with suppress(*_DISK_ERRORS), TemporaryDirectory(prefix="skyport-") as folder:
            for part in (path, Path(f"{path}-wal")):
                if part.exists():
                    shutil.copyfile(part, Path(folder, part.name))
            with closing(Store(Path(folder, path.name), self.owner)) as copy:
                copy.copy_to(self.memory)

    # -- a broken file ------------------------------------------------------------------------

    def _open(self, path: Path) -> Store:
        try:
            return self._open_store(path)
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
        # Two processes may find it broken at once, and only one of them is right to move it.
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_TIMEOUT):
            return self._start_fresh(path)

    def _start_fresh(self, path: Path) -> Store:
        """A fresh ledger beside the broken one, which is kept for people."""
        try:
            return self._open_store(path)
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
            aside = _move_aside(path)
            self._replaced = tr(
                "The ledger was broken ({error}). It is kept as {path}, and a new one has begun "
                "that knows nothing of earlier tasks: before you queue again what had not arrived, "
                "look at your tasks at the platform.",
                error=error,
                path=aside,
            )
            _log.warning("Skyport: %s", self._replaced)
        return self._open_store(path)

    def _open_store(self, path: Path) -> Store:
        # SQLite would remove the log beside it, in which there may be something to save.
        if path.is_file() and not _has_header(path):
            raise sqlite3.DatabaseError(tr("it is no database"))
        return Store(path, self.owner)


def _has_header(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HEADER)) in (_HEADER, b"")


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is no database, or a damaged one; all else has a class of its own."""
    return type(error) is sqlite3.DatabaseError


def _move_aside(path: Path) -> Path:
    """Rename the database and what SQLite keeps beside it; the first name that is free."""
    free = (path.with_name(f"{path.stem}.broken-{number}{path.suffix}") for number in count(1))
    aside = next(each for each in free if not each.exists())
    for part in _SUFFIXES:
        part_of_it = Path(f"{path}{part}")
        if part_of_it.exists():
            part_of_it.rename(f"{aside}{part}")
    return aside
