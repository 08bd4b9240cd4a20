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

from ..base.events import tell
from ..base.types import Result, Task
from ..base.words import say
from .ledger import EVERYTHING, OPEN, Order, Row, State
from .process_lock import Owner
from .sqlite_store import Store

T = TypeVar("T")

_log = logging.getLogger(__name__)
_TROUBLE = (sqlite3.Error, OSError)
_HEAD = b"SQLite format 3\0"
_PARTS = ("", "-wal", "-shm")  # of a database of SQLite
_TURN = 60.0  # seconds to wait for another process that sets a broken file aside


class Keeper:
    """A Ledger that goes on when the data folder is full, read-only or broken, and says so.

    disk     the store, None where it could not be opened
    memory   what the disk refused; it goes to the disk as soon as that takes it. Where there is
             no store on disk, all that is known
    """

    def __init__(self, home: Path) -> None:
        self._lost = self._refused = ""
        self._lock = threading.RLock()
        self._tasks: dict[str, tuple[Order, Task]] = {}  # in case the disk cannot be read any more
        self.disk: Store | None = None
        self.owner = Owner(None)
        try:
            self.owner = Owner(home / "owners")
            self.disk = self._opened(home / "ledger.db")
        except _TROUBLE as error:
            self._say(error)
        self.memory = Store(None, self.owner)
        if self.disk is None:
            self._learn_by_heart(home / "ledger.db")

    @property
    def trouble(self) -> str:
        """What is wrong, for people, "" when all is well; shown with every result until then."""
        return " ".join(filter(None, (self._lost, self._refused)))

    # -- a Ledger -----------------------------------------------------------------------------

    def find(self, mark: str) -> Row | None:
        row = self.memory.find(mark) or self._on_disk(lambda disk: disk.find(mark), None)
        if row is not None and row.task is not None:
            self._tasks[mark] = (row.order, row.task)
        return row

    def unanswered(self, mark: str) -> Row | None:
        kept = self.memory.unanswered(mark)
        return kept or self._on_disk(lambda disk: disk.unanswered(mark), None)

    def took(self, platform: str, endpoint: str, title: str) -> list[float]:
        sort, nothing = (platform, endpoint, title), list[float]()
        return self.memory.took(*sort) + self._on_disk(lambda disk: disk.took(*sort), nothing)

    def intend(self, order: Order) -> Row | None:
        return self._kept(lambda store: store.intend(order), order.mark)

    def accepted(self, order: Order, task: Task) -> None:
        self._tasks[order.mark] = (order, task)
        self._kept(lambda store: store.accepted(order, task), order.mark)

    def seen(self, mark: str, state: State, cost: float | None = None) -> None:
        self._kept(lambda store: store.seen(mark, state, cost), mark)

    def finished(self, mark: str, result: Result) -> None:
        self._kept(lambda store: store.finished(mark, result), mark)

    def delivered(self, mark: str) -> None:
        self._kept(lambda store: store.delivered(mark), mark)
        self._tasks.pop(mark, None)

    def spoiled(self, mark: str) -> None:
        self._kept(lambda store: store.spoiled(mark), mark)

    def ended(self, mark: str, state: State, error: str) -> None:
        self._kept(lambda store: store.ended(mark, state, error), mark)
        self._tasks.pop(mark, None)

    def ours(self, row: Row) -> bool:
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
        mine = self.memory.find(row.order.mark) is not None
        return mine or self._on_disk(lambda disk: disk.adopt(row), False)

    def prune(self, older_than_s: float) -> int:
        """Forget what was over or last used so long ago; never an undelivered result. How many."""
        return self._on_disk(lambda disk: disk.prune(older_than_s), 0)

    # -- disk and memory ----------------------------------------------------------------------

    def _kept(self, write: Callable[[Store], T], mark: str) -> T:
        try:
            return self._written(write, mark)
        finally:
            tell(mark)

    def _written(self, write: Callable[[Store], T], mark: str) -> T:
        """Write to the disk; where it refuses, to memory, along with what is known of the order."""
        with self._lock:
            if self.disk is None:
                return write(self.memory)
            try:
                self._bring_home(self.disk)
                told = write(self.disk)
            except _TROUBLE as error:
                self._say(error)
                self._call_to_mind(mark)
                return write(self.memory)
            self._refused = ""
            return told

    def _bring_home(self, disk: Store) -> None:
        """What memory holds because the disk was full goes to the disk."""
        for row in reversed(self.memory.rows(EVERYTHING)):
            disk.take(row)
            self.memory.forget(row)

    def _call_to_mind(self, mark: str) -> None:
        """An order that was begun on disk goes on in memory."""
        if self.memory.find(mark) is not None:
            return
        row = self._on_disk(lambda disk: disk.find(mark), None)
        if row is None and mark in self._tasks:
            self.memory.accepted(*self._tasks[mark])
        # Another process's intent stays where that process can end it.
        elif row and (row.task or (row.state in OPEN and row.owner == self.owner.id)):
            self.memory.take(row)

    def _on_disk(self, read: Callable[[Store], T], otherwise: T) -> T:
        if self.disk is None:
            return otherwise
        try:
            return read(self.disk)
        except _TROUBLE as error:
            self._say(error)
            return otherwise

    def _say(self, error: Exception) -> None:
        told = say(
            "The ledger cannot be written ({error}): tasks are remembered only until this program "
            "ends. Look at the disk and the data folder.",
            error=error,
        )
        if told != self._refused:
            _log.warning("Skyport: %s", told)
        self._refused = told

    # -- a file that cannot be written --------------------------------------------------------

    def _learn_by_heart(self, path: Path) -> None:
        """What the ledger knows goes to memory, from a copy: SQLite writes even to read."""
        with suppress(*_TROUBLE), TemporaryDirectory(prefix="skyport-") as folder:
            for part in (path, Path(f"{path}-wal")):
                if part.exists():
                    shutil.copyfile(part, Path(folder, part.name))
            with closing(Store(Path(folder, path.name), self.owner)) as copy:
                copy.copy_to(self.memory)

    # -- a broken file ------------------------------------------------------------------------

    def _opened(self, path: Path) -> Store:
        try:
            return self._store(path)
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
        # Two processes may find it broken at once, and only one of them is right to move it.
        with FileLock(path.with_suffix(".lock"), timeout=_TURN):
            return self._begun_anew(path)

    def _begun_anew(self, path: Path) -> Store:
        """A fresh ledger beside the broken one, which is kept for people."""
        try:
            return self._store(path)
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
            aside = _set_aside(path)
            self._lost = say(
                "The ledger was broken ({error}). It is kept as {path}, and a new one has begun "
                "that knows nothing of earlier tasks: before you queue again what had not arrived, "
                "look at your tasks at the platform.",
                error=error,
                path=aside,
            )
            _log.warning("Skyport: %s", self._lost)
        return self._store(path)

    def _store(self, path: Path) -> Store:
        # SQLite would remove the log beside it, in which there may be something to save.
        if path.is_file() and not _has_a_head(path):
            raise sqlite3.DatabaseError(say("it is no database"))
        return Store(path, self.owner)


def _has_a_head(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HEAD)) in (_HEAD, b"")


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is no database, or a damaged one; all else has a class of its own."""
    return type(error) is sqlite3.DatabaseError


def _set_aside(path: Path) -> Path:
    """Rename the database and what SQLite keeps beside it; the first name that is free."""
    free = (path.with_name(f"{path.stem}.broken-{number}{path.suffix}") for number in count(1))
    aside = next(each for each in free if not each.exists())
    for part in _PARTS:
        part_of_it = Path(f"{path}{part}")
        if part_of_it.exists():
            part_of_it.rename(f"{aside}{part}")
    return aside
