"""How fast the ledger writes and lists, against plain SQLite as a script would use it.

Plain is one autocommitted statement a change, in SQLite's own journal mode. The ledger's rows are
as safe: both wait until the disk has what was written.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from skyport.providers._ledger import Order, Query, State
from skyport.providers._owner import Owner
from skyport.providers._store import Store
from skyport.providers._types import Kind, Result, ResultFile, Task

ROUNDS = 3  # the two take turns, so that a busy disk is unfair to neither
TASKS = 60  # of each round
LISTED = 5000
PAGE = 50
LOOKS = 30
_REQUEST = {"model": {"provider": "kwai", "model": "kling-v3"}, "prompt": "a lighthouse " * 40}


def order(number: int) -> Order:
    return Order(f"{number:064x}", "haiyi", "https://x", "generate/image", "kling-v3", _REQUEST)


def whole_way(store: Store, number: int) -> None:
    """A task from its intent to its delivery: five changes, each on disk before the next."""
    wanted = order(number)
    store.intend(wanted)
    store.accepted(wanted, Task("haiyi", wanted.endpoint, str(number)))
    store.seen(wanted.mark, State.RUNNING, 0.1)
    file = ResultFile(Path(f"/results/{number}.mp4"), Kind.VIDEO, "video/mp4", 9, wanted.mark)
    store.finished(wanted.mark, Result(str(number), (file,), cost=0.1))
    store.delivered(wanted.mark)


def plain(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE tasks (mark TEXT, state TEXT, task TEXT, request TEXT)")
    db.execute("CREATE INDEX tasks_by_mark ON tasks (mark)")
    return db


def plain_way(db: sqlite3.Connection, number: int) -> None:
    """The same five changes."""
    mark = order(number).mark
    db.execute("INSERT INTO tasks VALUES (?, 'intent', '', ?)", (mark, str(_REQUEST)))
    for state in ("submitted", "running", "succeeded", "delivered"):
        sql = "UPDATE tasks SET state = ?, task = ? WHERE mark = ?"
        db.execute(sql, (state, str(number), mark))


def written(folder: Path) -> tuple[float, float]:
    """Tasks a second, from intent to delivery: (ours, plain)."""
    store, db = Store(folder / "ours.db", Owner(None)), plain(folder / "plain.db")
    ours, theirs = 0.0, 0.0
    for start in range(0, ROUNDS * TASKS, TASKS):
        ours += timed(lambda: _each(start, lambda n: whole_way(store, n)))  # noqa: B023
        theirs += timed(lambda: _each(start, lambda n: plain_way(db, n)))  # noqa: B023
    store.close()
    db.close()
    return ROUNDS * TASKS / ours, ROUNDS * TASKS / theirs


def listed(folder: Path) -> dict[str, float]:
    """Seconds that a page takes in a ledger of 5,000 rows, by what is asked for."""
    store = filled(folder / "listed.db")
    asked = {
        "newest": Query(limit=PAGE),
        "last page": Query(limit=PAGE, offset=LISTED - PAGE),
        "one state": Query(states=(State.DELIVERED,), limit=PAGE),
        "with a text": Query(text="4711", limit=PAGE),
    }
    found = {
        name: statistics.median(timed(lambda: store.rows(query)) for _ in range(LOOKS))  # noqa: B023
        for name, query in asked.items()
    }
    store.close()
    return found


def filled(path: Path) -> Store:
    store, quick = Store(path, Owner(None)), Store(None, Owner(None))
    _each(0, lambda number: whole_way(quick, number), LISTED)
    quick.copy_to(store)
    quick.close()
    return store


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _each(start: int, work: Callable[[int], None], count: int = TASKS) -> None:
    for number in range(start, start + count):
        work(number)


def main(say: Callable[[str], object] = print) -> float:
    """Print the tables; how many times faster than plain SQLite a task is written is returned."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = written(Path(folder))
        pages = listed(Path(folder))
    say(f"{'tasks written a second':>24} {ours:>8.0f} {'plain':>8} {theirs:>8.0f}")
    for name, seconds in pages.items():
        say(f"{f'{PAGE} of {LISTED}, {name}':>24} {seconds * 1000:>8.2f} ms")
    say(f"A task is written {ours / theirs:.1f} times faster than by plain SQLite.")
    return ours / theirs
