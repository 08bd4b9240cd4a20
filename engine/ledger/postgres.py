"""One connection to a PostgreSQL server, opened when it is needed and again when it was lost."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import FloatLoader

from ..base.words import tr

_CONNECT = {  # a lost server or network is noticed within seconds
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "skyport",
}
# Milliseconds. A process that is paused within a transaction must not keep the others waiting.
_SESSION = (
    "SET statement_timeout = 20000; SET lock_timeout = 15000; "
    "SET idle_in_transaction_session_timeout = 10000"
)


class PostgresError(OSError):
    """The server refuses, or cannot be reached. Its text holds no password."""


class Connection:
    """Takes the calls of sqlite3's connection, in its spelling. Not for two threads at a time.

    prepare  called with this connection whenever it was opened
    Raises PostgresError.
    """

    def __init__(self, url: str, password: str, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._connection: psycopg.Connection[Any] | None = None
        self._parameters = _parameters(url, password)
        self._secret = str(self._parameters.get("password") or "")

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        with self._errors():
            may_be_cut = self.is_open and not self.in_transaction
            try:
                return self._run(sql, values)
            except psycopg.OperationalError:
                if not may_be_cut or self.is_open:
                    raise
            return self._run(sql, values)  # it was cut while nobody used it

    def executemany(self, sql: str, many: Sequence[Sequence[Any]]) -> None:
        for values in many:
            self.execute(sql, values)

    @property
    def in_transaction(self) -> bool:
        connection = self._connection
        return connection is not None and (
            connection.info.transaction_status
            not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)
        )

    def roll_back(self) -> None:
        """End the transaction; a connection that is lost is closed."""
        with suppress(psycopg.Error):
            if self._connection is not None:
                self._connection.rollback()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def forget(self) -> None:
        """In a forked process: the connection is its parent's."""
        self._connection = None

    def _run(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
        return self._opened().execute(_in_postgres(sql), _clean(values))

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.closed

    def _opened(self) -> psycopg.Connection[Any]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self._connection = connection = psycopg.connect(
            **self._parameters, autocommit=True, row_factory=_by_name, prepare_threshold=None
        )
        try:
            connection.adapters.register_loader("numeric", FloatLoader)
            connection.execute(_SESSION)
            _use_local_time(connection)
            self._prepare()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            text = " ".join(str(error).split()) or type(error).__name__
        else:
            return
        for secret in {self._secret, quote(self._secret, safe="")} - {""}:
            text = text.replace(secret, "...")
        raise PostgresError(text)  # out here: the driver's own error may hold the password


def _parameters(url: str, password: str) -> dict[str, Any]:
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        given = None  # out here: its text holds the URL
    if given is None:
        raise PostgresError(tr("its address is no URL such as postgresql://user@host/database"))
    if password:
        given["password"] = password
    return {**_CONNECT, **given}


@lru_cache(maxsize=256)
def _in_postgres(sql: str) -> str:
    """`sql` with psycopg's placeholders in place of sqlite3's."""
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", sql.replace("%", "%%").replace("?", "%s"))


def _clean(values: Sequence[Any] | Mapping[str, Any]) -> Any:
    if isinstance(values, Mapping):
        return {name: _without_nul(value) for name, value in values.items()}
    return [_without_nul(value) for value in values]


def _without_nul(value: Any) -> Any:
    """PostgreSQL keeps no NUL in a text: that must not cost a row."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


class _Row(tuple[Any, ...]):
    """A row whose columns are had by number and by name, as those of sqlite3."""

    names: Mapping[str, int]

    def keys(self) -> list[str]:
        return list(self.names)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names[key] if isinstance(key, str) else key)


def _by_name(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], _Row]:
    columns = cursor.description or ()
    names = {column.name: number for number, column in enumerate(columns)}
    return type("_NamedRow", (_Row,), {"names": names})


def _use_local_time(connection: psycopg.Connection[Any]) -> None:
    """Days are those of this machine, as SQLite counts them."""
    with suppress(psycopg.Error):
        connection.execute("SELECT set_config('TimeZone', %s, false)", (_time_zone(),))
        return
    offset = time.localtime().tm_gmtoff
    connection.execute(f"SET TIME ZONE INTERVAL '{offset} seconds' HOUR TO MINUTE")


def _time_zone() -> str:
    if name := os.environ.get("TZ", "").lstrip(":"):
        return name
    with suppress(OSError):
        return os.fspath(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2] or "?"
    return "?"
