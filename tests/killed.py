"""A process made to be killed: `python killed.py WHAT ...`. It tells on stdout how far it is.

own FOLDER           hold an Owner there until stdin ends
parent FOLDER        the same, with a child of its own that lives longer
intend WHERE MARK    be one of several that submit the same order at the same moment; WHERE is a
                     folder or a URL of PostgreSQL
hesitate URL MARK    record that the order is about to be sent, and ask again before it is
share URL ALLOWED    take its share of a rate, at each line anew
spend FOLDER LIMIT SEED COUNT
                     be one of several that order at random prices under one limit of a day
open FOLDER          be one of several that open the same ledger at the same moment
full FOLDER BYTES    lose the disk between an intent and the answer of the submit
work PLAN            bring home all that the plan asks for, as a queue of ComfyUI would; a person
                     queues again what may have been charged
queue PLAN           the same with orders that go wrong, each queued until it is over: see queued.py
fetch                bring home what the ledger has open
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import queued
from _waiting import PATIENCE
from PIL import Image
from queued import tell
from skyport import providers
from skyport.engine.base.errors import LimitReached, OutcomeUnknown
from skyport.engine.base.types import Amount, Model, Request, Result, Task
from skyport.engine.ledger.budget import MICRO, Limit, Period
from skyport.engine.ledger.ledger import State, TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.media.files import describe
from skyport.engine.settings.settings import results
from skyport.engine.tasks.job import Job
from skyport.providers.haiyi import generation

EDIT = Model("haiyi", "google/gemini-3-pro-image-preview", "image2image")
_LOOK = 0.002  # seconds between two looks at the stages


def order(fingerprint: str) -> TaskRecord:
    return TaskRecord(
        fingerprint, "cloud", "http://127.0.0.1:1", "make", "thing", {"prompt": fingerprint}
    )


def own(folder: str) -> None:
    owner = Owner(Path(folder))
    tell(owner.id)
    sys.stdin.read()


def parent(folder: str) -> None:
    owner = Owner(Path(folder))
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({PATIENCE})"])
    tell(owner.id, child.pid)
    sys.stdin.read()


def intend(folder: str, fingerprint: str) -> None:
    store = _store(folder)
    tell("ready")
    sys.stdin.readline()
    tell("mine" if store.record_intent(order(fingerprint)) is None else "taken")
    sys.stdin.read()


def hesitate(url: str, fingerprint: str) -> None:
    """Tells whether it still may send what it has recorded, once a line comes."""
    store = _store(url)
    tell("mine" if store.record_intent(order(fingerprint)) is None else "taken")
    sys.stdin.readline()
    tell("sends" if store.confirm_intent(fingerprint) else "sends nothing")
    sys.stdin.read()


def share(url: str, allowed: str) -> None:
    store = _store(url)
    tell("ready")
    while sys.stdin.readline():
        tell(store.take_share("cloud", float(allowed)))


def _store(where: str) -> Store:
    if where.startswith("postgresql:"):
        from skyport.engine.ledger.postgres_store import PostgresStore

        return PostgresStore(where)
    return Store(Path(where, "ledger.db"), Owner(Path(where, "owners")))


def spend(folder: str, most: str, seed: str, count: str) -> None:
    """Tells after each order what counts so far; a limit that is reached is no end."""
    store = Store(Path(folder, "ledger.db"), Owner(Path(folder, "owners")))
    limit = Limit("limit_cost_per_day", Period.DAY, float(most), "cost")
    tell("ready")
    sys.stdin.readline()

    def one(number: int) -> None:
        buy(store, limit, f"{seed}-{number}", random.Random(f"{seed} {number}"))
        tell(sum(use.micros for use in store.used(limit, False)) / MICRO)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(int(count))))


def buy(store: Store, limit: Limit, name: str, chance: random.Random) -> None:
    """One fan-out of one to three orders, each of which is sent, refused or given up."""
    records = [
        replace(
            order(f"{name}.{n}"), base_url="https://x", unit="CNY", price=Amount(cents / 100, "CNY")
        )
        for n, cents in enumerate(chance.choices(range(1, 60), k=chance.randint(1, 3)))
    ]
    if chance.random() < 0.8:
        try:
            patiently(lambda: store.reserve(records, [limit], reuse=True))
        except LimitReached:
            return
    for each in records:
        with suppress(LimitReached):
            deal(store, limit, each, chance.random())


def patiently(call: Callable[[], object]) -> None:
    """A busy machine may keep the others' writes waiting for longer than SQLite does."""
    while True:
        try:
            call()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        else:
            return


def deal(store: Store, limit: Limit, one: TaskRecord, luck: float) -> None:
    """What is told is at most the price: what a platform charges beyond it, no limit can stop."""
    if luck < 0.2:
        patiently(lambda: store.release([one.fingerprint]))
        return
    patiently(lambda: store.record_intent(one, limit))
    if luck < 0.4:
        patiently(lambda: store.record_end(one.fingerprint, State.FAILED, "refused"))
        return
    patiently(lambda: store.record_accepted(one, Task("cloud", "make", one.fingerprint)))
    if luck < 0.8 and one.price:
        result = Result(one.fingerprint, cost=one.price.value * luck)
        patiently(lambda: store.record_result(one.fingerprint, result))


def open_ledger(folder: str) -> None:
    tell("ready")
    sys.stdin.readline()
    keeper = ResilientLedger(Path(folder))
    tell("disk" if keeper.disk else "memory", keeper.trouble)
    sys.stdin.read()


# -- a disk that is full ------------------------------------------------------------------------


def full(folder: str, size: str) -> None:
    import resource  # not on Windows

    keeper = ResilientLedger(Path(folder))
    keeper.record_intent(order("a"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
    keeper.record_accepted(order("a"), Task("cloud", "make", "1"))
    fields = {"here": _shown(keeper), "disk": _shown(keeper.disk), "trouble": keeper.trouble}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    keeper.record_progress("a", State.RUNNING)
    tell(json.dumps({**fields, "later": _shown(keeper.disk), "later_trouble": keeper.trouble}))


def _shown(ledger: Any) -> list[str]:
    row = ledger.find("a")
    return [row.state.value, row.task.id if row.task else ""]


# -- work that is paid for ----------------------------------------------------------------------


def work(plan: str) -> None:
    """Tells `stage NUMBER STAGE` whenever that changes, `got NUMBER HOW WARNINGS` at the end."""
    wanted = json.loads(Path(plan).read_text(encoding="utf-8"))
    tell("ready")
    runner = providers.runner()
    providers.start_collector()
    platform = providers.connect("haiyi")
    jobs = [runner.start(platform, request(one), into=results()) for one in wanted]
    threading.Thread(target=_watch, args=(jobs,), daemon=True).start()
    numbers = {job.future: number for number, job in enumerate(jobs)}
    for number in map(numbers.__getitem__, as_completed(numbers)):
        if isinstance(jobs[number].future.exception(), OutcomeUnknown):
            runner.record_told(jobs[number])
            jobs[number] = runner.start(platform, request(wanted[number]), into=results())
        job = jobs[number]
        result = job.future.result()
        _look_at(result)
        runner.record_delivered(job)
        tell("got", number, _how(job, result), len(result.warnings))


def request(one: Mapping[str, str]) -> Request:
    return generation(EDIT, {"prompt": one["prompt"], "images": [describe(one["picture"])]})


def _watch(jobs: Sequence[Job]) -> None:
    stages = [""] * len(jobs)
    while True:
        for number, job in enumerate(jobs):
            stage = job.snapshot.stage
            if stage != stages[number]:
                stages[number] = stage
                tell("stage", number, stage)
        time.sleep(_LOOK)


def _look_at(result: Result) -> None:
    for file in result.files:
        with Image.open(file.path) as image:
            image.load()


def _how(job: Job, result: Result) -> str:
    return "reused" if result.reused else "attached" if job.snapshot.attached else "new"


if __name__ == "__main__":
    acts: dict[str, Callable[..., None]] = {
        "own": own,
        "parent": parent,
        "intend": intend,
        "spend": spend,
        "hesitate": hesitate,
        "share": share,
        "open": open_ledger,
        "full": full,
        "work": work,
        "queue": queued.queue,
        "fetch": queued.fetch_all,
    }
    acts[sys.argv[1]](*sys.argv[2:])
