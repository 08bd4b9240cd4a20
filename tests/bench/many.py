"""A thousand and ten thousand tasks waited for at once, on virtual time."""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
from skyport.engine.tasks.polling import POLLS_A_SECOND
from virtual import Cloud, Play, ended, most_within, order

from ._figures import Entry, Figure, Goal
from ._measure import alone

_COUNTS = (1_000, 10_000)
_ROUNDS = 3.0  # how often each task is asked for, at least
_EVEN, _RATE = Goal(2, "s"), Goal(12, "/s")
_CONSTANT, _THREADS = Goal(1.2), Goal(0, "threads")


@dataclass(frozen=True)
class Wait:
    """What so many tasks cost that were waited for at once.

    cpu      seconds of processor a poll
    memory   bytes a task
    threads  started for them
    busiest  polls in the busiest second
    uneven   how far the polls of a task are apart in the worst case, against the usual one
    """

    cpu: float
    memory: float
    threads: int
    busiest: int
    uneven: float


def figures(small: bool = False) -> Iterator[Entry]:
    few, many = (20, 40) if small else _COUNTS
    less, more = alone(waited, few), alone(waited, many)
    thread = alone(_a_thread, 20 if small else 1_000)
    what, of_few = f"{many:,} tasks waited for", f"{few:,} tasks"
    kb, ms = 1024, 1000
    yield Figure(f"{what}, CPU a poll", more.cpu * ms, less.cpu * ms, "ms", of_few, _CONSTANT)
    yield Figure(
        f"{what}, memory a task", more.memory / kb, less.memory / kb, "KB", of_few, _CONSTANT
    )
    yield Figure(f"{what}, memory a task", more.memory / kb, thread / kb, "KB", "a thread a task")
    yield Figure(
        f"{what}, threads for them", more.threads, many, "threads", "a thread a task", _THREADS
    )
    usual = many / 1.5  # what a steady pace for each would ask
    yield Figure(
        f"{what}, polls in the busiest second", more.busiest, usual, "/s", "ungated", _RATE
    )
    yield Figure(
        f"{what}, longest gap of a task",
        more.uneven,
        less.uneven,
        "x usual",
        of_few,
        Goal(1.5, "x usual"),
    )


def waited(count: int) -> Wait:
    """`count` tasks from their submit to their end; to be called in a process of its own."""
    os.environ["SKYPORT_MAX_PARALLEL"] = str(count)
    threads, idle, began = threading.active_count(), _taken(), time.process_time()
    with Play() as play:
        cloud = play.cloud(_ROUNDS * count / POLLS_A_SECOND + 10)
        memory, most = play.run(_waiting(play, cloud, count))
        cpu, times = time.process_time() - began, cloud.times("poll")
        sampled = [cloud.times("poll", str(task)) for task in (1, count // 2, count)]
    gaps = [later - sooner for each in sampled for sooner, later in pairwise(each)]
    return Wait(
        cpu=cpu / len(times),
        memory=(memory - idle) / count,
        threads=most - threads,
        busiest=most_within(times, 1.0),
        uneven=max(gaps) / statistics.median(gaps),
    )


async def _waiting(play: Play, cloud: Cloud, count: int) -> tuple[int, int]:
    """Until all have ended; the memory and threads when all were waited for."""
    begin = play.runner.begin
    jobs = [await begin(cloud, order(seed=seed), Path()) for seed in range(count)]
    waits = [asyncio.ensure_future(ended(job)) for job in jobs]
    await asyncio.sleep(cloud.lasts * 0.9)
    before = _taken(), threading.active_count()
    await asyncio.gather(*waits)
    return before


def _taken() -> int:
    return int(psutil.Process().memory_info().rss)


def _a_thread(count: int) -> float:
    """Bytes a thread takes that only waits, with nothing of a task in it."""
    idle, end = _taken(), threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    taken = _taken() - idle
    end.set()
    for thread in threads:
        thread.join()
    return taken / count
