"""How fast the ledger writes and lists, against plain SQLite as a script would use it.

A task writes its row five times: intent, id, running, results, delivered. Each time is a
transaction of its own that is on disk before the next. Plain is one autocommitted statement for
each, in SQLite's own journal mode, and as safe.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from skyport.engine.base.types import Kind, Result, ResultFile, Task
from skyport.engine.ledger.ledger import EVERYTHING, Query, State, TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store

from ._figures import Entry, Figure, Goal
from ._measure import timed

_WRITES = 5  # of a task's row
_A_SECOND, _PAGE = Goal(1000, "/s", least=True), Goal(20, "ms")
ROUNDS = 3  # the two take turns, so that a busy disk is unfair to neither
TASKS = 60  # of each round
LISTED = 5000
PAGE = 50
LOOKS = 30
_REQUEST = {"model": {"provider": "kwai", "model": "kling-v3"}, "prompt": "a lighthouse " * 40}


def figures(small: bool = False) -> Iterator[Entry]:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (_WRITES * tasks for tasks in written(Path(folder), 2 if small else TASKS))
        yield Figure("ledger, writes of a row", ours, theirs, "/s", "plain SQLite", _A_SECOND)
        rows = 2 * PAGE if small else LISTED
        pages, whole = listed(Path(folder), rows), read_whole(Path(folder, "listed.db"))
        for name, seconds in pages.items():
            what = f"ledger, {PAGE} of {rows} rows, {name}"
            yield Figure(what, seconds * 1000, whole * 1000, "ms", "all rows", _PAGE)


def order(number: int) -> TaskRecord:
    return TaskRecord(
        f"{number:064x}", "haiyi", "https://x", "generate/image", "kling-v3", _REQUEST
    )


def whole_way(store: Store, number: int) -> None:
    """A task from its intent to its delivery: five changes, each on disk before the next."""
    wanted = order(number)
    store.record_intent(wanted)
    store.record_accepted(wanted, Task("haiyi", wanted.endpoint, str(number)))
    store.record_progress(wanted.fingerprint, State.RUNNING, 0.1)
    file = ResultFile(
        Path(f"/results/{number}.mp4"), Kind.VIDEO, "video/mp4", 9, wanted.fingerprint
    )
    store.record_result(wanted.fingerprint, Result(str(number), (file,), cost=0.1))
    store.record_delivered(wanted.fingerprint)


def plain(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE tasks (mark TEXT, state TEXT, task TEXT, request TEXT)")
    db.execute("CREATE INDEX tasks_by_mark ON tasks (mark)")
    return db


def plain_way(db: sqlite3.Connection, number: int) -> None:
    """The same five changes."""
    fingerprint = order(number).fingerprint
    db.execute("INSERT INTO tasks VALUES (?, 'intent', '', ?)", (fingerprint, str(_REQUEST)))
    for state in ("submitted", "running", "succeeded", "delivered"):
        sql = "UPDATE tasks SET state = ?, task = ? WHERE mark = ?"
        db.execute(sql, (state, str(number), fingerprint))


def written(folder: Path, tasks: int = TASKS) -> tuple[float, float]:
    """Tasks a second, from intent to delivery: (ours, plain)."""
    store, db = Store(folder / "ours.db", Owner(None)), plain(folder / "plain.db")
    ours, theirs = 0.0, 0.0
    for start in range(0, ROUNDS * tasks, tasks):
        ours += timed(lambda: _each(start, lambda n: whole_way(store, n), tasks))  # noqa: B023
        theirs += timed(lambda: _each(start, lambda n: plain_way(db, n), tasks))  # noqa: B023
    store.close()
    db.close()
    return ROUNDS * tasks / ours, ROUNDS * tasks / theirs


def listed(folder: Path, rows: int = LISTED) -> dict[str, float]:
    """Seconds that a page takes in a ledger of so many rows, by what is asked for."""
    store = filled(folder / "listed.db", rows)
    asked = {
        "newest": Query(limit=PAGE),
        "last page": Query(limit=PAGE, offset=rows - PAGE),
        "one state": Query(states=(State.DELIVERED,), limit=PAGE),
        "with a text": Query(text=f"{rows - 89}", limit=PAGE),
    }
    found = {
        name: statistics.median(timed(lambda: store.rows(query)) for _ in range(LOOKS))  # noqa: B023
        for name, query in asked.items()
    }
    store.close()
    return found


def read_whole(path: Path) -> float:
    """Seconds to read every row, as a list without pages would."""
    store = Store(path, Owner(None))
    seconds = statistics.median(timed(lambda: store.rows(EVERYTHING)) for _ in range(3))
    store.close()
    return seconds


def filled(path: Path, rows: int) -> Store:
    store, quick = Store(path, Owner(None)), Store(None, Owner(None))
    _each(0, lambda number: whole_way(quick, number), rows)
    quick.copy_to(store)
    quick.close()
    return store


def _each(start: int, work: Callable[[int], None], count: int) -> None:
    for number in range(start, start + count):
        work(number)
