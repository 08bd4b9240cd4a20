"""The ledger in PostgreSQL, shared by every machine of a team."""

from __future__ import annotations

import atexit
import getpass
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from ..base import forks
from ..base.types import Json
from .charges import Charges
from .lease import BEAT, Lease, LeaseSeen
from .ledger import Row
from .migrations import VERSION, in_postgres, known, steps_after
from .notices import Outbox
from .postgres import Connection
from .rates import RateShares
from .sqlite_store import Store

_WRITERS = 0x534B59  # the lock that one writer holds at a time, as in an SQLite file
# What SQLite has and PostgreSQL lacks.
_FUNCTIONS = (
    "max(a float8, b float8) RETURNS float8 AS 'SELECT greatest(a, b)'",
    "max(a float8, b float8, c float8) RETURNS float8 AS 'SELECT greatest(a, b, c)'",
    "min(a float8, b float8) RETURNS float8 AS 'SELECT least(a, b)'",
    "instr(a text, b text) RETURNS integer AS 'SELECT strpos(a, b)'",
    "date(t float8, a text, b text) RETURNS text AS "
    "'SELECT to_char(to_timestamp(t), ''YYYY-MM-DD'')'",
)


class PostgresStore(Store):
    """A Ledger in the database at `url`. Any thread may call it.

    It connects when it is needed: each call raises PostgresError while the server is away.
    Raises NewerSchema, leaving the database unchanged, if a newer Skyport wrote it.
    """

    _LAST_ID = "SELECT lastval()"

    def __init__(
        self,
        url: str,
        password: str = "",
        now: Callable[[], float] | None = None,
        person: str = "",
    ) -> None:
        self._open(url, password, now, person)
        self._lease = Lease(self._connection, self._person)
        self._belong_to(self._lease)
        self._reader = _PostgresReader(url, password, now, self._person, self._lease)
        atexit.register(_close, weakref.ref(self))
        with suppress(OSError):  # reported by the next call
            self.recover()

    def _open(self, url: str, password: str, now: Callable[[], float] | None, person: str) -> None:
        self._lock = threading.RLock()
        self._ahead = 0.0  # seconds by which the database's clock is ahead of this machine's
        self._now = now or (lambda: time.time() + self._ahead)
        self._connection = Connection(url, password, self._prepare)
        self._db = cast(Any, self._connection)
        self._person = person or holder()
        self._beating: threading.Event | None = None

    def _belong_to(self, lease: Lease) -> None:
        self._owner = lease
        self._charges = Charges(self._db, lease, self._now, self._person)
        self._outbox = Outbox(self._db, lease, self._now)
        self._rates = RateShares(self._db, lease)
        forks.watch(self)

    @property
    def owner(self) -> Lease:
        return self._lease

    def close(self) -> None:
        with self._lock:
            if self._beating is not None:
                self._beating.set()
            with suppress(OSError):  # it ends by itself
                if self._connection.is_open:
                    self._lease.end()
            self._db.close()
        if self._reader is not None:
            self._reader.close()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork(self, in_child: bool) -> None:
        if in_child:
            self._connection.forget()
            self._lease.forget()
            self._beating = None
        self._lock.release()

    def changes(self) -> tuple[object, ...]:
        with self._lock:
            sql = "SELECT CAST(pg_current_snapshot() AS text)"
            return tuple(self._db.execute(sql).fetchone())

    def number_on(self) -> None:
        self._db.execute("SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks")

    def renew_lease(self) -> None:
        """Stay alive in the eyes of the others."""
        with self._transaction():
            pass

    @property
    def is_shared(self) -> bool:
        return True

    def take_share(self, scope: str, allowed: float) -> float | None:
        with self._transaction():
            return self._rates.take(scope, allowed)

    def give_back_share(self, scope: str) -> None:
        with self._transaction():
            self._rates.give_back(scope)

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """One transaction. Those that write follow one another, and each holds the lease."""
        with self._lock:
            writes = kind == "IMMEDIATE"
            self._db.execute(
                "BEGIN" if writes else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            )
            try:
                if writes:
                    self._db.execute("SELECT pg_advisory_xact_lock(?)", (_WRITERS,))
                    self._lease.hold()
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._connection.roll_back()
                raise
            if writes and self._beating is None:
                self._begin_to_beat()

    def _begin_to_beat(self) -> None:
        self._beating = threading.Event()
        threading.Thread(
            target=_beat, args=(weakref.ref(self), self._beating), name="skyport-lease", daemon=True
        ).start()

    def _prepare(self) -> None:
        """Of a new connection: the clock and the schema."""
        now = self._db.execute("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
        self._ahead = now.fetchone()[0] - time.time()
        if self._version() < VERSION:
            self._db.execute("BEGIN")
            try:
                self._db.execute("SELECT pg_advisory_xact_lock(?)", (_WRITERS,))
                self._migrate()
                self._db.execute("COMMIT")
            except BaseException:
                self._connection.roll_back()
                raise

    def _version(self) -> int:
        """Raises NewerSchema."""
        found = self._db.execute("SELECT to_regclass('skyport_schema')").fetchone()[0]
        if found is None:
            return 0
        return known(self._db.execute("SELECT version FROM skyport_schema").fetchone()[0])

    def _migrate(self) -> None:
        version = self._version()
        if version == 0:
            for function in _FUNCTIONS:
                self._db.execute(f"CREATE FUNCTION {function} LANGUAGE sql STABLE")
            self._db.execute("CREATE TABLE skyport_schema (version integer NOT NULL)")
            self._db.execute("INSERT INTO skyport_schema VALUES (0)")
            self._db.execute(
                "CREATE TABLE leases (owner text PRIMARY KEY, holder text NOT NULL, "
                "until timestamptz NOT NULL)"
            )
        for number, statements in steps_after(version):
            for statement in statements:
                self._db.execute(in_postgres(statement))
            self._db.execute("UPDATE skyport_schema SET version = ?", (number,))


class _PostgresReader(PostgresStore):
    """The database by a connection of its own, for those who only read."""

    def __init__(
        self,
        url: str,
        password: str,
        now: Callable[[], float] | None,
        person: str,
        lease: Lease,
    ) -> None:
        self._open(url, password, now, person)
        self._belong_to(LeaseSeen(self._connection, lease))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def after_fork(self, in_child: bool) -> None:
        if in_child:
            self._connection.forget()
        self._lock.release()

    @contextmanager
    def _transaction(self, kind: str = "DEFERRED") -> Iterator[None]:
        with super()._transaction("DEFERRED"):
            yield

    def _fetch_all(self, sql: str, *values: Json) -> list[Row]:
        with self._transaction("DEFERRED"):  # a row and its files are of one moment
            return super()._fetch_all(sql, *values)


def holder() -> str:
    """The person at this machine, as the others see them: `user@host`."""
    name = ""
    with suppress(OSError, KeyError, ImportError):  # a container's user may have no name
        name = getpass.getuser()
    return f"{name or '?'}@{socket.gethostname()}"


def _close(store: weakref.ref[PostgresStore]) -> None:
    """As Python exits: nobody is to wait for the end of the lease."""
    open_store = store()
    if open_store is not None:
        open_store.close()


def _beat(store: weakref.ref[PostgresStore], ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        alive = store()
        if alive is None:
            return
        with suppress(OSError):
            alive.renew_lease()
        del alive
