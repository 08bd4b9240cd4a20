"""The record of batches in the database of a team's ledger, for all machines that work on one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..base.words import tr
from ..ledger.migrations import in_postgres
from ..ledger.postgres import Connection, PostgresError
from .store import TABLES, VERSION, BatchStore

T = TypeVar("T")

_CREATORS = 0x534B42  # the lock that one machine holds while it makes the tables
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between attempts to reach the database


class TeamBatchStore(BatchStore):
    """A BatchStore in the database at `url`. While that is away, each call waits some seconds."""

    _BEGIN = "BEGIN"

    def __init__(
        self,
        url: str,
        password: str = "",
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._team = Connection(url, password, self._prepare_team)
        self._sleep = sleep
        super().__init__(tr("The team's ledger"), now)

    def close(self) -> None:
        with self._lock:
            self._team.close()

    def _use(self, act: Callable[[Any], T]) -> T:
        for pause in _PAUSES:
            try:
                with self._lock:
                    return act(self._team)
            except PostgresError:
                self._team.roll_back()
            self._sleep(pause)
        return super()._use(act)

    def _connection(self) -> Any:
        return self._team

    def _prepare_team(self) -> None:
        """Of a new connection: the tables are there."""
        if self._version() == VERSION:
            return
        db = self._team
        db.execute("BEGIN")
        try:
            db.execute("SELECT pg_advisory_xact_lock(?)", (_CREATORS,))
            if self._version() == 0:
                for statement in TABLES:
                    db.execute(in_postgres(statement))
                db.execute("CREATE TABLE batches_schema (version integer NOT NULL)")
                db.execute("INSERT INTO batches_schema VALUES (?)", (VERSION,))
            db.execute("COMMIT")
        except BaseException:
            db.roll_back()
            raise

    def _version(self) -> int:
        """Raises NotSupportedError where a newer Skyport made the tables."""
        db = self._team
        if db.execute("SELECT to_regclass('batches_schema')").fetchone()[0] is None:
            return 0
        version = int(db.execute("SELECT version FROM batches_schema").fetchone()[0])
        if version > VERSION:
            raise sqlite3.NotSupportedError(tr("a newer Skyport wrote it"))
        return version
