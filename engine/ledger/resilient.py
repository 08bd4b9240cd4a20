"""The ledger in use: the store on disk, and memory for what cannot be written to the disk."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from ..base import forks
from ..base.errors import SkyportError
from ..base.events import notify
from ..base.types import Result, Task, TaskState
from ..base.words import tr
from .broken_file import has_header, is_broken, move_aside
from .budget import Limit, Use
from .graphs import Graphs
from .ledger import EVERYTHING, OPEN, Charge, Row, State, TaskRecord
from .ownership import Ownership
from .process_lock import Owner
from .sqlite_store import Store
from .system_lock import exclusive

T = TypeVar("T")

_log = logging.getLogger(__name__)
DISK_ERRORS = (sqlite3.Error, OSError)
# What SQLite says where a disk has no locks, or none that other machines see.
_NETWORK_ERRORS = ("locking protocol", "database is locked", "disk I/O error")
_LOCK_TIMEOUT = 60.0  # seconds to wait for another process that moves a broken file aside
_of_parent: list[Store] = []


class ResilientLedger:
    """A Ledger that keeps working when the data folder is full, read-only or broken, and warns.

    disk    the store on disk, None if it could not be opened
    memory  rows that could not be written to disk, moved there once that works again; all rows
            if there is no store on disk
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "ledger.db"
        self._replaced = self._refused = ""
        self._lock = threading.RLock()
        # In case the disk cannot be read any more.
        self._tasks: dict[str, tuple[TaskRecord, Task]] = {}
        self._to_release: set[str] = set()
        self._refused_orders: set[str] = set()
        self.disk: Store | None = None
        self.owner: Ownership = Owner(None)
        try:
            self._begin_on_disk(home)
        except DISK_ERRORS as error:
            self._report(error)
        self._begin_memory()
        forks.watch(self)

    def _begin_on_disk(self, home: Path) -> None:
        self.owner = Owner(home / "owners")
        self.disk = self._open(self._path)

    def _begin_memory(self) -> None:
        self.memory = Store(None, self.owner)
        if self.disk is None:
            self._load_read_only(self._path)

    def before_fork(self) -> None:
        pass

    def after_fork(self, in_child: bool) -> None:
        if in_child:  # what is in memory is the parent's to write
            self._lock = threading.RLock()
            self._tasks = {}
            self._to_release = set()
            _of_parent.append(self.memory)  # never closed: a thread of the parent may be in it
            self._begin_memory()

    @property
    def trouble(self) -> str:
        """What is wrong with the disk, "" if nothing is; shown to the user with every result."""
        return " ".join(filter(None, (self._replaced, self._refused)))

    # -- a Ledger -----------------------------------------------------------------------------

    def find(self, fingerprint: str) -> Row | None:
        row = self.memory.find(fingerprint) or self._read_disk(
            lambda disk: disk.find(fingerprint), None
        )
        if row is not None and row.task is not None:
            self._tasks[fingerprint] = (row.record, row.task)
        return row

    def peek(self, fingerprint: str) -> Row | None:
        """As `find`, for those who order nothing; the database of a team may be away."""
        row = self.memory.find(fingerprint)
        return row or self._view_disk(lambda view: view.find(fingerprint), None)

    def latest_unknown(self, fingerprint: str) -> Row | None:
        row = self.memory.latest_unknown(fingerprint)
        return row or self._read_disk(lambda disk: disk.latest_unknown(fingerprint), None)

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        key, none = (platform, endpoint, title), list[float]()
        return self.memory.past_durations(*key) + self._view_disk(
            lambda view: view.past_durations(*key), none
        )

    def reserve(
        self, records: Sequence[TaskRecord], limits: Sequence[Limit], reuse: bool
    ) -> list[str]:
        with self._lock:
            if self.disk is not None:
                try:
                    self._flush_to_disk(self.disk)
                    reserved = self.disk.reserve(records, limits, reuse)
                    self._refused = ""
                    return reserved
                except DISK_ERRORS as error:
                    self._report(error)
            return self.memory.reserve(records, limits, reuse, self._used_on_disk)

    def release(self, fingerprints: Sequence[str]) -> None:
        self.memory.release(fingerprints)
        with self._lock:
            self._to_release.update(fingerprints)
            self._read_disk(self._release_on_disk, None)

    def _release_on_disk(self, disk: Store) -> None:
        """Also what it refused to release before: it would use up limits until the process ends."""
        if self._to_release:
            disk.release([*self._to_release])
            self._to_release.clear()

    def record_intent(self, record: TaskRecord, *limits: Limit) -> Row | None:
        def write(store: Store) -> Row | None:
            if store is self.memory:
                return store.record_intent(record, *limits, others=self._used_on_disk)
            row = store.record_intent(record, *limits)
            self.memory.release([record.fingerprint])
            return row

        return self._write(write, record.fingerprint)

    def record_intent_again(self, record: TaskRecord, lost: str = "") -> bool:
        is_ours = self._write(
            lambda store: store.record_intent_again(record, lost), record.fingerprint
        )
        self._tasks.pop(record.fingerprint, None)
        return is_ours

    def confirm_intent(self, fingerprint: str) -> bool:
        in_memory = self.memory.find(fingerprint) is not None
        none: list[bool] = []
        on_disk = self._read_disk(lambda disk: [disk.confirm_intent(fingerprint)], none)
        if on_disk:
            self._refused_orders.discard(fingerprint)
        # Sent while its row on the disk says that it was refused, it would be sent twice.
        return fingerprint not in self._refused_orders and (in_memory or all(on_disk))

    def record_refused(self, fingerprint: str) -> None:
        if self.disk is not None:
            self._refused_orders.add(fingerprint)
        self._write(lambda store: store.record_refused(fingerprint), fingerprint)

    def record_accepted(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        self._tasks[record.fingerprint] = (record, task)
        self._write(lambda store: store.record_accepted(record, task, success), record.fingerprint)

    def record_progress(self, fingerprint: str, state: State, cost: float | None = None) -> None:
        self._write(lambda store: store.record_progress(fingerprint, state, cost), fingerprint)

    def record_cost(self, fingerprint: str, task_id: str, cost: float) -> None:
        self._write(lambda store: store.record_cost(fingerprint, task_id, cost), fingerprint)

    def record_success(self, fingerprint: str, task_id: str, state: TaskState) -> None:
        self._write(lambda store: store.record_success(fingerprint, task_id, state), fingerprint)

    def record_unresolved(self, fingerprint: str, task_id: str, error: str, answer: str) -> None:
        self._write(
            lambda store: store.record_unresolved(fingerprint, task_id, error, answer),
            fingerprint,
        )

    def record_found(
        self, record: TaskRecord, task: Task, success: TaskState | None = None
    ) -> None:
        self._tasks[record.fingerprint] = (record, task)
        self._write(lambda store: store.record_found(record, task, success), record.fingerprint)

    def record_never_arrived(self, record: TaskRecord, error: str) -> None:
        self._write(lambda store: store.record_never_arrived(record, error), record.fingerprint)

    def record_told(self, fingerprint: str) -> None:
        self._write(lambda store: store.record_told(fingerprint), fingerprint)

    def set_apart(self, row_id: int) -> bool:
        """Raises SkyportError if that cannot be written: in memory, numbers mean other rows."""
        with self._lock:
            try:
                if self.disk is None:
                    return self.memory.set_apart(row_id)
                self._flush_to_disk(self.disk)
                return self.disk.set_apart(row_id)
            except DISK_ERRORS as error:
                self._report(error)
                failure = self._refused
            finally:
                notify()
        raise SkyportError(failure)

    def has_accepted(self, base_url: str) -> bool:
        return self.memory.has_accepted(base_url) or self._view_disk(
            lambda view: view.has_accepted(base_url), False
        )

    def is_any_under_way(self, base_url: str) -> bool:
        return self.memory.is_any_under_way(base_url) or self._view_disk(
            lambda view: view.is_any_under_way(base_url), False
        )

    def known_room(self, scope: str) -> int | None:
        known = self._view_disk(lambda view: view.known_room(scope), None)
        return self.memory.known_room(scope) if known is None else known

    def record_room(self, scope: str, most: int) -> None:
        if self.disk is None:
            self.memory.record_room(scope, most)
        self._read_disk(lambda disk: disk.record_room(scope, most), None)

    @property
    def is_shared(self) -> bool:
        return False

    def take_share(self, scope: str, allowed: float) -> float | None:
        return self._read_disk(lambda disk: disk.take_share(scope, allowed), None)

    def give_back_share(self, scope: str) -> None:
        self._read_disk(lambda disk: disk.give_back_share(scope), None)

    def record_result(self, fingerprint: str, result: Result) -> None:
        self._write(lambda store: store.record_result(fingerprint, result), fingerprint)

    def record_delivered(self, fingerprint: str) -> None:
        self._write(lambda store: store.record_delivered(fingerprint), fingerprint)
        self._tasks.pop(fingerprint, None)

    def record_missing(self, fingerprint: str, result: Result) -> None:
        self._write(lambda store: store.record_missing(fingerprint, result), fingerprint)

    def mark_files_lost(self, fingerprint: str) -> None:
        self._write(lambda store: store.mark_files_lost(fingerprint), fingerprint)

    def record_end(self, fingerprint: str, state: State, error: str, task_id: str = "") -> None:
        self._write(lambda store: store.record_end(fingerprint, state, error, task_id), fingerprint)
        self._tasks.pop(fingerprint, None)

    def is_own(self, row: Row) -> bool:
        return row.owner == self.owner.id

    def recover(self) -> None:
        """Mark the orders that a dead process was about to send as unknown."""
        self._read_disk(lambda disk: disk.recover(), None)

    # -- for prices ---------------------------------------------------------------------------

    def charges(self, platform: str, newest: int) -> list[Charge]:
        """What the platform's newest tasks cost, newest first; at most `newest` of each store."""
        none: list[Charge] = []
        return self.memory.charges(platform, newest) + self._view_disk(
            lambda view: view.charges(platform, newest), none
        )

    def changes(self) -> tuple[object, ...]:
        """Differs after each write, by this process or by another."""
        none: tuple[object, ...] = ()
        return (*self.memory.changes(), *self._view_disk(lambda view: view.changes(), none))

    # -- for the collector --------------------------------------------------------------------

    def abandoned(self) -> list[Row]:
        """Tasks in progress whose process is dead, or that are ours."""
        none: list[Row] = []
        return [*self.memory.abandoned(), *self._view_disk(lambda view: view.abandoned(), none)]

    def adopt(self, row: Row) -> bool:
        """Take over an abandoned row. False if another process was faster or the task has ended."""
        in_memory = self.memory.find(row.record.fingerprint) is not None
        return in_memory or self._read_disk(lambda disk: disk.adopt(row), False)

    def prune(self, older_than_s: float) -> int:
        """Delete ended rows unused for so long, never an undelivered result; returns how many."""
        return self._read_disk(lambda disk: disk.prune(older_than_s), 0)

    # -- queued graphs ------------------------------------------------------------------------

    def keep_graph(self, prompt_id: str, text: str) -> None:
        """Keep the graph of a prompt that is being queued, as far as the disk takes it."""
        self._read_disk(lambda disk: disk.keep_graph(prompt_id, text), None)

    def take_prompt(self, prompt_id: str) -> bool:
        """Make a prompt that was left this process's own. False where another was faster."""
        return self._read_disk(lambda disk: disk.take_prompt(prompt_id), False)

    def leave_prompt(self, prompt_id: str) -> None:
        """Offer a prompt again that this process has taken and could not queue."""
        self._read_disk(lambda disk: disk.leave_prompt(prompt_id), None)

    def close_prompts(self, prompt_ids: Sequence[str]) -> None:
        """Record that these prompts need not be queued again."""
        self._read_disk(lambda disk: disk.close_prompts(prompt_ids), None)

    # -- disk and memory ----------------------------------------------------------------------

    def _write(self, write: Callable[[Store], T], fingerprint: str) -> T:
        try:
            return self._write_to_disk_or_memory(write, fingerprint)
        finally:
            notify(fingerprint)

    def _write_to_disk_or_memory(self, write: Callable[[Store], T], fingerprint: str) -> T:
        """Write to the disk; if that fails, to memory, after copying the order's row there."""
        with self._lock:
            if self.disk is None:
                return write(self.memory)
            try:
                self._flush_to_disk(self.disk)
                result = write(self.disk)
            except DISK_ERRORS as error:
                self._report(error)
                self._copy_to_memory(fingerprint)
                return write(self.memory)
            self._refused = ""
            return result

    def _flush_to_disk(self, disk: Store) -> None:
        """Move the rows in memory, which the disk had refused, to the disk."""
        self._release_on_disk(disk)
        for row in reversed(self.memory.rows(EVERYTHING)):
            disk.import_row(row)
            self.memory.hand_notices(row, disk)
            self.memory.delete(row)

    def _copy_to_memory(self, fingerprint: str) -> None:
        """Copy the order's row to memory, where it goes on."""
        if self.memory.find(fingerprint) is not None:
            return
        row = self._read_disk(lambda disk: disk.find(fingerprint), None)
        if row is None and fingerprint in self._tasks:
            self.memory.record_accepted(*self._tasks[fingerprint])
        # An intent of another process stays on disk, where that process can end it.
        elif row and (
            row.task or row.state is State.UNKNOWN or (row.state in OPEN and self.is_own(row))
        ):
            self.memory.import_row(row)
            self._read_disk(lambda disk: disk.hand_notices(row, self.memory), None)

    def on_each(self, act: Callable[[Store], T], default: T) -> list[T]:
        """What `act` makes of the disk, `default` where that fails, and of what is in memory."""
        return [self._read_disk(act, default), act(self.memory)]

    def _used_on_disk(
        self, limit: Limit, local: bool, queue: str, asked: frozenset[str]
    ) -> Sequence[Use]:
        """What counts against `limit` there, as far as the disk can still be read."""
        none: Sequence[Use] = ()
        return self._read_disk(lambda disk: disk.used(limit, local, queue, asked), none)

    def _read_disk(self, read: Callable[[Store], T], default: T) -> T:
        if self.disk is None:
            return default
        try:
            return read(self.disk)
        except DISK_ERRORS as error:
            self._report(error)
            return default

    def _view_disk(self, read: Callable[[Graphs], T], default: T) -> T:
        """As `_read_disk`, for what changes nothing."""
        return self._read_disk(lambda disk: read(disk.view), default)

    def _report(self, error: Exception) -> None:
        message = tr(
            "The ledger cannot be written ({error}): tasks are remembered only until this program "
            "exits. Check the disk and the data folder.",
            error=error,
        )
        if any(words in str(error) for words in _NETWORK_ERRORS):
            message += " " + tr(
                "If the folder is on a network disk (NFS, Lustre), it may lack file locks: set "
                "SKYPORT_HOME to a folder on a local disk."
            )
        if message != self._refused:
            _log.warning("Skyport: %s", message)
        self._refused = message

    # -- a file that cannot be written --------------------------------------------------------

    def _load_read_only(self, path: Path) -> None:
        """Load the ledger into memory from a copy of its file: SQLite writes even when reading."""
        with suppress(*DISK_ERRORS), TemporaryDirectory(prefix="skyport-") as folder:
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
            if not is_broken(error):
                raise
        # Two processes may find it broken at once, and only one of them may move it.
        with exclusive(path.with_suffix(".lock"), _LOCK_TIMEOUT):
            return self._replace_broken(path)

    def _replace_broken(self, path: Path) -> Store:
        """A new ledger; the broken file is moved aside, for the user to inspect."""
        try:
            return self._open_store(path)
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
            aside = move_aside(path)
            self._replaced = tr(
                "The ledger was broken ({error}). It was kept as {path} and replaced by a new one "
                "that holds no earlier tasks: before you queue again what had not arrived, check "
                "your tasks on the platform.",
                error=error,
                path=aside,
            )
            _log.warning("Skyport: %s", self._replaced)
        return self._open_store(path)

    def _open_store(self, path: Path) -> Store:
        # SQLite would delete its log, which may hold rows worth saving.
        if path.is_file() and not has_header(path):
            raise sqlite3.DatabaseError(tr("it is not a database"))
        return Store(path, self.owner)
