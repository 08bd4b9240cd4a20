"""A thousand tasks in one graph: of one node that gets a list, and of as many nodes."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from skyport import sandbox
from skyport.engine.tasks.polling import POLLS_A_SECOND

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import MB, alone, timed
from .parallel import node, sink, task

_TASKS, _FEW = 1000, 20
_LOOK = 0.1  # seconds
_LONGEST = 900  # seconds
_OURS = ("text", "progress_state")  # messages that show progress; ComfyUI sends two a node itself
_PAGE, _MESSAGES = Goal(100, "ms"), Goal(100, "/s")


@dataclass(frozen=True)
class Crowd:
    """What so many tasks of one graph took.

    seconds   from the queueing to the end
    memory    bytes, at most, above what the host had before
    threads   at most, above what it had before
    messages  that show progress, in the busiest second
    page      seconds that the editor's list of jobs took in the median; the slowest in `slowest`
    """

    seconds: float
    memory: int
    threads: int
    messages: int
    page: float
    slowest: float


def figures(small: bool = False) -> Iterator[Entry]:
    many, few = (4, 2) if small else (_TASKS, _FEW)
    with sandbox.start(pace=0.05, fast=True) as cloud, tempfile.TemporaryDirectory() as folder:
        env = {"HAIYI_BASE_URL": cloud.base_url("haiyi"), "HAIYI_API_KEY": cloud.key("haiyi")}
        for kind, graph in (("one node", _of_one_node), ("as many nodes", _of_nodes)):
            graphs = [graph("few", few), graph("many", many)]
            less, more = alone(run, env, Path(folder) / kind, graphs)
            what = f"{many:,} tasks of {kind}, in {NAME}"
            yield from _against(what, f"{few} tasks", more, less)
    polls = f"a platform is asked {POLLS_A_SECOND} times a second"
    yield f"{many:,} tasks take {many / POLLS_A_SECOND:.0f} s at least: {polls}"


def _against(what: str, of_few: str, more: Crowd, less: Crowd) -> Iterator[Figure]:
    ms = 1000
    yield Figure(what, more.seconds, less.seconds, "s", of_few)
    yield Figure(f"{what}: memory above idle", more.memory / MB, less.memory / MB, "MB", of_few)
    yield Figure(f"{what}: threads for them", more.threads, less.threads, "threads", of_few)
    yield Figure(
        f"{what}: messages in the busiest second",
        more.messages,
        less.messages,
        "/s",
        of_few,
        _MESSAGES,
    )
    yield Figure(f"{what}: a page of jobs", more.page * ms, less.page * ms, "ms", of_few, _PAGE)
    yield Figure(f"{what}: the slowest page", more.slowest * ms, less.slowest * ms, "ms", of_few)


def run(env: dict[str, str], base: Path, graphs: list[dict[str, Any]]) -> list[Crowd]:
    """Each of the graphs, one after the other; to be called in a process of its own."""
    stand_in()
    from host import open_host

    os.environ.update(env)
    base.mkdir()
    with open_host(KIND, base, env=env) as host:
        first = host.run({"task": task("first"), "seen": sink("task")}, timeout=_LONGEST)
        assert first.status == "success", first.error  # what is loaded at the first use
        return [_crowd(host, graph) for graph in graphs]


def _crowd(host: Any, graph: Mapping[str, Any]) -> Crowd:
    process = psutil.Process(host.process.pid if KIND == "comfyui" else None)
    memory, threads, pages, counts = [_memory(process)], [process.num_threads()], [0.0], [0]
    handle = host.start(graph)

    def look() -> None:
        pages.append(timed(lambda: host.route("GET", "/skyport/jobs").raise_for_status()))
        memory.append(_memory(process))
        threads.append(process.num_threads())

    def count() -> None:
        told = Counter(name for name, _ in list(handle.events))
        counts.append(sum(told[name] for name in _OURS))

    with _every(_LOOK, look), _every(1.0, count):
        done = handle.result(timeout=_LONGEST)
    assert done.status == "success", done.error
    return Crowd(
        seconds=done.seconds,
        memory=max(memory) - memory[0],
        threads=max(threads) - threads[0],
        messages=max((later - sooner for sooner, later in pairwise(counts)), default=0),
        page=statistics.median(pages),
        slowest=max(pages),
    )


@contextmanager
def _every(seconds: float, look: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            look()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _memory(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _of_one_node(name: str, count: int) -> dict[str, Any]:
    lines = "\n".join(f"{name} {number}" for number in range(count))
    of_list = task("")
    of_list["inputs"]["prompt"] = ["items", 0]
    return {"items": node("ProbeList", lines=lines), "task": of_list, "seen": sink("task")}


def _of_nodes(name: str, count: int) -> dict[str, Any]:
    tasks = {f"task{number}": task(f"{name} node {number}") for number in range(count)}
    return {**tasks, **{f"seen {each}": sink(each) for each in tasks}}
