"""The ledger's file for those who only read: by a connection that waits for no write."""

from __future__ import annotations

from pathlib import Path

from ..base.types import Json
from .graphs import Graphs
from .ledger import Row


class Reader(Graphs):
    """The SQLite file at `path`, which a store has prepared. Any thread may use it.

    Raises sqlite3.Error if the disk or the file fails, or if it is asked to write.
    """

    def _connect(self) -> None:
        super()._connect()
        self._db.execute("PRAGMA query_only = ON")

    def _prepare_database(self, path: Path | None) -> None:
        """The store has done it."""

    def _fetch_all(self, sql: str, *values: Json) -> list[Row]:
        with self._transaction("DEFERRED"):  # a row and its files are of one moment
            return super()._fetch_all(sql, *values)
