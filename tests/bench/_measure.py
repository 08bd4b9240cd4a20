"""How benchmarks measure: time in turns, memory in a process of its own."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

MB = 1 << 20
_STATUS = Path("/proc/self/status")


# -- time -------------------------------------------------------------------------------------


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(rounds: int, *works: Callable[[], float]) -> list[float]:
    """The median of what each of `works` tells; they take turns, so that others on the machine are
    unfair to none."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        for place in range(len(works)):
            which = (place + number) % len(works)
            times[which].append(works[which]())
    return [statistics.median(each) for each in times]


# -- memory -----------------------------------------------------------------------------------


def alone(call: Callable[..., T], *given: Any) -> T:
    """What `call` returns in a process of its own that nothing else has warmed up."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, given)


@contextmanager
def beside(serve: Callable[..., None], *given: Any) -> Iterator[Any]:
    """`serve(ready, *given)` in another process; what it sends to `ready` first."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, *given), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def peak_above_idle(work: Callable[[], object]) -> int:
    """Bytes that this process takes at most while it does `work`, above what it has now."""
    gc.collect()
    idle = psutil.Process().memory_info().rss
    if _STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    work()
    return _peak() - idle


def _peak() -> int:
    if _STATUS.exists():
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    if os.name == "nt":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
