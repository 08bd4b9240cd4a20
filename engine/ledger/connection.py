"""Connections to an SQLite file that several processes write."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

_BUSY = 10.0  # seconds to wait for another process that is writing
_CACHE_KB = 256  # many threads write in turns, and each would keep pages in memory of its own


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection to the file, or to a new database in memory, for any thread.

    Raises sqlite3.Error.
    """
    db = sqlite3.connect(
        path or ":memory:", timeout=_BUSY, isolation_level=None, check_same_thread=False
    )
    db.row_factory = sqlite3.Row
    try:
        # An order must survive a power failure, not only a crash: money is at stake.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    except BaseException:
        db.close()
        raise
    return db


def enable_wal(db: sqlite3.Connection) -> bool:
    """Switch to WAL; False where the disk or memory has none.

    SQLite's own timeout does not cover this while another process is busy.
    """
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0]) == "wal"
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
