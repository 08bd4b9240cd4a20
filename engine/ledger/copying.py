"""Copies a ledger into another one, which may be of the other kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..base.errors import InvalidInput
from ..base.words import tr
from .ledger import OPEN, UNDER_WAY, State
from .sql import in_states
from .sqlite_store import Store

_AT_ONCE = 100  # rows that are in memory at a time
_BY_KEY = {  # what is no job, by its key; a prompt comes after its graph
    "graphs": ("sha256",),
    "prompts": ("id",),
    "notices": ("mark", "ordered", "event"),
}
_PRUNED = "pruned ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9"  # has no key: equal rows are alike
_SAME = ("platform", "created", "endpoint", "request")  # what never changes in a row
_OPEN = frozenset(state.value for state in OPEN)
_IS_OPEN = f"state {in_states(OPEN)}"
_FAR = {  # how far an order is in a state; whatever is not named here is over
    State.INTENT.value: 0,
    **{state.value: 2 for state in UNDER_WAY},
    State.UNRESOLVED.value: 3,
    State.SUCCEEDED.value: 4,
}
_NEVER_ANSWERED, _OVER = 1, 5


def copy(source: Store, target: Store) -> tuple[int, int]:
    """Copy what `target` lacks, with the numbers of the jobs; how many, and how many it had.

    A job that it has, and that went on in `source` since, is brought up to date. Notices that are
    still to be sent are the target's to send from then on.

    To be repeated after it was cut short. Raises InvalidInput, with nothing copied, where a process
    still works with `source`, where `target` has another job by the same number, and where an order
    went on in both.
    """
    _raise_if_in_use(source)
    _raise_if_others(source, target)
    copied = found = 0
    for rows in _batches(source):
        with target._transaction():
            known = {row["id"]: row for row in _rows_like(target, rows)}
            new = [row for row in rows if _is_news(row, known.get(row["id"]))]
            # Put in anew instead of changed: the change of a state would be a notice once more.
            _remove(target, [row for row in new if row["id"] in known])
            _insert(target, "tasks", new)
            for row in new:
                _insert(target, "files", _all(source, "files WHERE task = ?", row["id"]))
            target.number_on()
        copied += len(new)
        found += len(rows) - len(new)
    _copy_the_rest(source, target)
    return copied, found


def _is_news(row: Any, known: Any) -> bool:
    """Whether the order has come further in `row` than the target knows."""
    return known is None or _progress(row) > _progress(known)


def _progress(row: Any) -> tuple[int, ...]:
    """Grows as an order goes on. Its mark tells that a person has set it apart."""
    far = _FAR.get(row["state"], _OVER)
    if row["state"] == State.UNKNOWN.value and not row["task_id"]:
        far = _NEVER_ANSWERED  # what became of it may be found out yet
    is_apart = row["mark"].endswith(f"#{row['id']}")
    has_all = far >= _FAR[State.SUCCEEDED.value] and not row["success"]
    return row["attempt"], far, int(is_apart), int(has_all)


def _raise_if_in_use(source: Store) -> None:
    sql = f"SELECT DISTINCT owner FROM tasks WHERE {_IS_OPEN}"
    with source._lock:
        owners = [owner for (owner,) in source._db.execute(sql).fetchall()]
    if any(map(source._owner.is_alive, owners)):
        raise InvalidInput(
            tr("A Skyport still works with the ledger that is to be copied."),
            do=tr("Close ComfyUI on every machine that uses it, wait a minute, and try again."),
        )


def _raise_if_others(source: Store, target: Store) -> None:
    """Before anything is copied: what is found out later would leave half a copy."""
    open_rows = {row["id"]: row["mark"] for row in _all(target, f"tasks WHERE {_IS_OPEN}")}
    for rows in _batches(source):
        theirs = {row["id"]: row for row in _rows_like(target, rows)}
        for row in rows:
            known = theirs.get(row["id"])
            if known is not None:
                _raise_if_no_match(row, known, target)
            if _is_news(row, known):
                open_rows.pop(row["id"], None)
                if row["state"] in _OPEN:
                    open_rows[row["id"]] = row["mark"]
    newest = max((row["id"] for row in _all(source, "tasks ORDER BY id DESC LIMIT 1")), default=0)
    for row in _all(target, "tasks WHERE id > ? LIMIT 1", newest):
        raise _not_the_same(row["id"])
    _raise_if_twice(open_rows)


def _raise_if_no_match(row: Any, known: Any, target: Store) -> None:
    if any(known[name] != row[name] for name in _SAME):
        raise _not_the_same(row["id"])
    tasks = {known["task_id"], row["task_id"]} - {""}
    if len(tasks) > 1 and known["attempt"] == row["attempt"]:
        raise _in_both(row["id"])
    is_open = known["state"] in _OPEN
    if is_open and _is_news(row, known) and target._owner.is_alive(known["owner"]):
        raise _in_both(row["id"])


def _raise_if_twice(open_rows: Mapping[int, str]) -> None:
    """An order is open once at most; here it went on in one ledger, and was sent anew in one."""
    first: dict[str, int] = {}
    for number, mark in sorted(open_rows.items()):
        if mark in first:
            raise _in_both(first[mark])
        first[mark] = number


def _not_the_same(number: int) -> InvalidInput:
    return InvalidInput(
        tr("The other ledger has jobs of its own, such as job {number}.", number=number),
        do=tr("Nothing was copied: choose an empty one."),
    )


def _in_both(number: int) -> InvalidInput:
    return InvalidInput(
        tr("Job {number} went on in both ledgers, each in its own way.", number=number),
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
    for table, key in _BY_KEY.items():
        for rows in _pages(source, table, key):
            with target._transaction():
                _insert(target, table, rows, "ON CONFLICT DO NOTHING")
    with source._transaction():
        source._db.execute("UPDATE notices SET settled = 1")
    with target._transaction():
        if not _all(target, "pruned LIMIT 1"):
            for rows in _pruned(source):
                _insert(target, "pruned", rows)


def _pages(store: Store, table: str, key: Sequence[str]) -> Iterator[list[Any]]:
    """All rows of the table, by its key."""
    names, marks = ", ".join(key), ", ".join("?" * len(key))
    order = f"ORDER BY {names} LIMIT {_AT_ONCE}"
    rows = _all(store, f"{table} {order}")
    while rows:
        yield rows
        last = [rows[-1][name] for name in key]
        rows = _all(store, f"{table} WHERE ({names}) > ({marks}) {order}", *last)


def _pruned(store: Store) -> Iterator[list[Any]]:
    count = 0
    while rows := _all(store, f"{_PRUNED} LIMIT {_AT_ONCE} OFFSET {count}"):
        yield rows
        count += len(rows)


def _all(store: Store, tail: str, *values: Any) -> list[Any]:
    with store._lock:
        return store._db.execute(f"SELECT * FROM {tail}", values).fetchall()


def _remove(store: Store, rows: Sequence[Any]) -> None:
    for row in rows:
        store._db.execute("DELETE FROM tasks WHERE id = ?", (row["id"],))  # and its files


def _insert(store: Store, table: str, rows: Sequence[Any], if_known: str = "") -> None:
    for row in rows:
        names = [*row.keys()]
        marks = ", ".join("?" * len(names))
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) {if_known}"
        store._db.execute(sql, tuple(row))
