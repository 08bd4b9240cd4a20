"""A process that forks: `python forked.py WHAT PICTURE`. It tells one JSON object.

order   a job is under way in the parent; the child orders one of its own and ends
ledger  both write to the ledger, by objects made before the fork
many    several threads fork at once
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from killed import order, request
from skyport import providers
from skyport.engine.base.types import Task
from skyport.engine.ledger.ledger import EVERYTHING
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.settings import settings
from skyport.engine.settings.settings import results
from skyport.engine.tasks.job import Job

FORK = multiprocessing.get_context("fork")


def start(prompt: str, picture: str, platform: Any = None) -> Job:
    platform = platform or providers.connect("haiyi")
    wanted = request({"prompt": prompt, "picture": picture})
    return providers.runner().start(platform, wanted, into=results())


def in_child(work: Any, *args: Any) -> Any:
    """What `work` tells in a forked process, which then ends in the ordinary way."""
    ours, theirs = FORK.Pipe()
    warnings.simplefilter("ignore", DeprecationWarning)  # threads and forks
    pid = os.fork()
    if pid == 0:
        theirs.send(work(*args))
        sys.exit(0)
    theirs.close()
    told = ours.recv()
    os.waitpid(pid, 0)
    return told


def forked_order(picture: str) -> dict[str, Any]:
    platform = providers.connect("haiyi")
    job = start("of the parent", picture, platform)
    me = providers.ledger().owner.id
    child = in_child(order_in_child, picture, me, platform)
    files = job.future.result().files
    elsewhere = Owner(Path(os.environ["SKYPORT_HOME"]) / "owners")
    return {
        **child,
        "parent got": len(files),
        "parent is itself": providers.ledger().owner.id == me,
        "parent lives": elsewhere.is_alive(me),
        "child is dead": not elsewhere.is_alive(child["child"]),
        "states": sorted(row.state.value for row in providers.ledger().disk.rows(EVERYTHING)),
    }


def order_in_child(picture: str, parent: str, platform: Any) -> dict[str, Any]:
    under_way = providers.runner().under_way()
    old = providers.ledger().owner
    files = start("of the child", picture).future.result().files
    again = start("of the child, by the parent's connection", picture, platform)
    return {
        "child": old.id,
        "child is another": old.id != parent,
        "parent lived": old.is_alive(parent),
        "under way in the child": len(under_way),
        "child got": len(files) + len(again.future.result().files),
    }


def forked_ledger(picture: str) -> dict[str, Any]:
    """Every lock of ours is in use at the moment of the fork."""
    ledger = providers.ledger()
    ledger.record_intent(order("of the parent"))
    ledger.memory.record_intent(order("in memory"))
    stop = threading.Event()
    threads = [threading.Thread(target=write, args=(n, stop), daemon=True) for n in range(3)]
    threads.append(threading.Thread(target=read, args=(stop,), daemon=True))
    for thread in threads:
        thread.start()
    children = [in_child(write_in_child, number) for number in range(5)]
    stop.set()
    for thread in threads:
        thread.join()
    rows = ledger.disk.rows(EVERYTHING)
    marks = [row.record.fingerprint for row in rows]
    return {
        "children": children,
        "twice": len(marks) - len(set(marks)),
        "of children": sum(mark.startswith("of child") for mark in marks),
        "intact": ledger.disk._db.execute("PRAGMA integrity_check").fetchone()[0],
        "trouble": ledger.trouble,
    }


def write(number: int, stop: threading.Event) -> None:
    ledger, times = providers.ledger(), 0
    while not stop.wait(0.01):
        times += 1
        mark = f"of thread {number}, {times}"
        ledger.record_intent(order(mark))
        ledger.record_accepted(order(mark), Task("cloud", "make", mark))
        if number == 0:
            settings.save({"keep_days": 30})


def read(stop: threading.Event) -> None:
    ledger = providers.ledger()
    while not stop.wait(0.01):
        assert ledger.disk.view.rows(EVERYTHING)


def write_in_child(number: int) -> list[Any]:
    ledger = providers.ledger()
    ledger.record_intent(order(f"of child {number}"))
    settings.save({"keep_days": 20})
    mine = ledger.disk.view.find(f"of child {number}")
    theirs = ledger.find("of the parent")
    return [
        ledger.is_own(mine),
        ledger.is_own(theirs),
        len(ledger.memory.rows(EVERYTHING)),
        ledger.trouble,
    ]


def many_forks(picture: str) -> dict[str, Any]:
    """Several threads fork at once."""
    ledger = providers.ledger()
    ledger.record_intent(order("first"))
    warnings.simplefilter("ignore", DeprecationWarning)
    ended: list[int] = []
    threads = [threading.Thread(target=fork_thrice, args=(ended,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.record_intent(order("last"))
    written = ledger.disk is not None and ledger.disk.find("last") is not None
    return {"children": ended.count(0), "writable": written}


def fork_thrice(ended: list[int]) -> None:
    done = 0
    while done < 3:
        try:
            pid = os.fork()
        except RuntimeError:  # newer filelocks refuse a fork amid another one
            continue
        done += 1
        if pid == 0:
            os._exit(0 if providers.ledger().find("first") else 1)
        ended.append(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    acts = {"order": forked_order, "ledger": forked_ledger, "many": many_forks}
    print(json.dumps(acts[sys.argv[1]](sys.argv[2])))
