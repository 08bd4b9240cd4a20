"""What is no SQLite file, or a damaged one, and where it is kept for the user to inspect."""

from __future__ import annotations

import sqlite3
from itertools import count
from pathlib import Path

_HEADER = b"SQLite format 3\0"
_SUFFIXES = ("", "-wal", "-shm")  # of the files of an SQLite database


def has_header(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HEADER)) in (_HEADER, b"")


def is_broken(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is damaged or not a database; other errors have their own class."""
    return type(error) is sqlite3.DatabaseError


def move_aside(path: Path) -> Path:
    """Rename the database and SQLite's files beside it to the first free name."""
    free = (path.with_name(f"{path.stem}.broken-{number}{path.suffix}") for number in count(1))
    aside = next(name for name in free if not name.exists())
    for suffix in _SUFFIXES:
        file = Path(f"{path}{suffix}")
        if file.exists():
            file.rename(f"{aside}{suffix}")
    return aside
