"""Copies a ledger into another one, which may be of the other kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..base.errors import InvalidInput
from ..base.words import tr
from .ledger import OPEN
from .sql import in_states
from .sqlite_store import Store

_AT_ONCE = 200  # rows in a transaction
_WHOLE = ("pruned", "graphs", "prompts")  # what has no number of its own is copied at the end
_SAME = ("platform", "created", "endpoint", "request")  # what never changes in a row


def copy(source: Store, target: Store) -> tuple[int, int]:
    """Copy what `target` lacks, with the numbers of the jobs; how many, and how many it had.

    To be repeated after it was cut short. Raises InvalidInput where a process still works with
    `source`, or where `target` has another job by the same number: nothing is replaced.
    """
    _raise_if_in_use(source)
    _raise_if_others(source, target)
    copied = found = 0
    for rows in _batches(source):
        with target._transaction():
            known = {row["id"] for row in _rows_like(target, rows)}
            new = [row for row in rows if row["id"] not in known]
            _insert(target, "tasks", new)
            for row in new:
                _insert(target, "files", _all(source, "files WHERE task = ?", row["id"]))
            target.number_on()
        copied += len(new)
        found += len(known)
    _copy_the_rest(source, target)
    return copied, found


def _raise_if_in_use(source: Store) -> None:
    owners = _all(source, f"tasks WHERE state {in_states(OPEN)}")
    if any(source._owner.is_alive(owner) for owner in {row["owner"] for row in owners}):
        raise InvalidInput(
            tr("A Skyport still works with the ledger that is to be copied."),
            do=tr("Close ComfyUI on every machine that uses it, wait a minute, and try again."),
        )


def _raise_if_others(source: Store, target: Store) -> None:
    for rows in _batches(source):
        mine = {row["id"]: row for row in rows}
        for row in _rows_like(target, rows):
            if any(row[name] != mine[row["id"]][name] for name in _SAME):
                raise _not_the_same(row["id"])
    newest = max((row["id"] for row in _all(source, "tasks ORDER BY id DESC LIMIT 1")), default=0)
    for row in _all(target, "tasks WHERE id > ? LIMIT 1", newest):
        raise _not_the_same(row["id"])


def _not_the_same(number: int) -> InvalidInput:
    return InvalidInput(
        tr("The other ledger has jobs of its own, such as job {number}.", number=number),
        do=tr("Nothing was copied: choose an empty one."),
    )


def _batches(store: Store) -> Iterator[list[Any]]:
    last = 0
    while rows := _all(store, f"tasks WHERE id > ? ORDER BY id LIMIT {_AT_ONCE}", last):
        yield rows
        last = rows[-1]["id"]


def _rows_like(store: Store, rows: Sequence[Any]) -> list[Any]:
    numbers = ", ".join(str(int(row["id"])) for row in rows)
    return _all(store, f"tasks WHERE id IN ({numbers})")


def _copy_the_rest(source: Store, target: Store) -> None:
    with target._transaction():
        for table in _WHOLE:
            if not _all(target, f"{table} LIMIT 1"):
                _insert(target, table, _all(source, table))


def _all(store: Store, tail: str, *values: Any) -> list[Any]:
    with store._lock:
        return store._db.execute(f"SELECT * FROM {tail}", values).fetchall()


def _insert(store: Store, table: str, rows: Sequence[Any]) -> None:
    for row in rows:
        names = [*row.keys()]
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        store._db.execute(sql, tuple(row))
