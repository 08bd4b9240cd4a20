"""Skyport beside what a person would take instead, on one server that counts: see peers.md."""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._figures import Entry, Figure
from ._measure import MB, alone, beside, peak_above_idle
from ._peers_clients import installed, names, open_client
from ._peers_server import BIG, SMALL, serve

_HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
_OURS = {"comfy-sdk": "Skyport, v2"}  # on the same protocol; others are held against polling


@dataclass(frozen=True)
class Work:
    """Tasks, the seconds of each, bytes of the large file, how often that is sent and fetched."""

    tasks: int
    seconds: float
    size: int
    rounds: int

    @property
    def names(self) -> tuple[str, str, str]:
        file = f"of {self.size // MB} MB"
        return f"{self.tasks} tasks of {self.seconds:g} s", f"upload {file}", f"download {file}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        return self.tasks * MB, self.size, self.size


@dataclass(frozen=True)
class Taken:
    """What a piece of work took: seconds, and of CPU; bytes above idle; what the server counted."""

    seconds: float
    cpu: float
    memory: int
    wire: dict[str, Any]

    @property
    def bytes(self) -> int:
        return int(self.wire["received"] + self.wire["sent"])


def figures(small: bool = False) -> Iterator[Entry]:
    work = Work(2, 0.2, MB, 1) if small else Work(16, 3.0, 50 * MB, 5)
    here = [name for name in names() if installed(name) is not None]
    for name in names():
        if name not in here:
            yield f"peers: {name} is left out, as it is not installed"
    found = _found(work, here) if any(not _is_ours(name) for name in here) else {}
    for peer in found:
        if not _is_ours(peer):
            ours = found[_OURS.get(peer.split(",")[0], "Skyport, polled")]
            yield from _compared(work, ours, found[peer], f"{peer} {installed(peer)}")


def _found(work: Work, here: Sequence[str]) -> dict[str, list[Taken]]:
    """What each client takes for the tasks, the upload and the download."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / SMALL, MB)
        write(folder / BIG, work.size)
        with beside(serve, folder, work.seconds) as urls:
            return {
                client: [alone(each, client, urls, folder, work) for each in _PIECES]
                for client in here
            }


def _is_ours(name: str) -> bool:
    return name.startswith("Skyport")


def _compared(
    work: Work, ours: Sequence[Taken], theirs: Sequence[Taken], against: str
) -> Iterator[Figure]:
    for what, size, mine, others in zip(work.names, work.sizes, ours, theirs, strict=True):
        for name, unit, value in _READ:
            if name not in _OF_TASKS or mine.wire["lates"]:
                yield Figure(
                    f"{what}, {name}", value(mine, size), value(others, size), unit, against
                )


_OF_TASKS = ("noticed late", "noticed late at most", "connections", "connections at once")
_READ: tuple[tuple[str, str, Callable[[Taken, int], float]], ...] = (
    ("time", "s", lambda taken, _: taken.seconds),
    ("CPU time", "s", lambda taken, _: taken.cpu),
    ("memory above idle", "MB", lambda taken, _: taken.memory / MB),
    ("noticed late", "s", lambda taken, _: statistics.median(taken.wire["lates"])),
    ("noticed late at most", "s", lambda taken, _: max(taken.wire["lates"])),
    ("requests", "requests", lambda taken, _: taken.wire["requests"]),
    ("bytes beside the files", "KB", lambda taken, size: (taken.bytes - size) / 1024),
    ("connections", "connections", lambda taken, _: taken.wire["opened"]),
    ("connections at once", "connections", lambda taken, _: taken.wire["peak"]),
)


# -- in a process of its own ----------------------------------------------------------------------


def tasks(name: str, urls: tuple[str, str], folder: Path, work: Work) -> Taken:
    return _measured(name, urls, folder, work, lambda client: client.tasks(work.tasks), 1)


def upload(name: str, urls: tuple[str, str], folder: Path, work: Work) -> Taken:
    file = folder / BIG
    return _measured(name, urls, folder, work, lambda client: client.upload(file), work.rounds)


def download(name: str, urls: tuple[str, str], folder: Path, work: Work) -> Taken:
    return _measured(name, urls, folder, work, lambda client: client.download(), work.rounds)


_PIECES = (tasks, upload, download)


def _measured(
    name: str,
    urls: tuple[str, str],
    folder: Path,
    work: Work,
    call: Callable[[Any], Coroutine[Any, Any, None]],
    rounds: int,
) -> Taken:
    with tempfile.TemporaryDirectory() as own, closing(asyncio.new_event_loop()) as loop:
        client = open_client(name, urls[0], Path(own), work.tasks)
        loop.run_until_complete(client.upload(folder / SMALL))  # imports and a first connection
        loop.run_until_complete(client.tasks(1))
        return _taken(urls[1], lambda: loop.run_until_complete(call(client)), rounds)


def _taken(counts: str, work: Callable[[], None], rounds: int) -> Taken:
    """Its seconds are the median of all rounds; the rest is the first one's."""
    taken: list[tuple[float, float]] = []

    def once() -> None:
        began, cpu = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - began, time.process_time() - cpu))

    _counted(counts)
    memory = peak_above_idle(once)
    wire = _counted(counts)
    for _ in range(rounds - 1):
        once()
    seconds, cpu = (statistics.median(each) for each in zip(*taken, strict=True))
    return Taken(seconds, cpu, memory, wire)


def _counted(url: str) -> dict[str, Any]:
    """What the server has counted since it was last asked."""
    with urllib.request.urlopen(url) as answer:
        counts: dict[str, Any] = json.load(answer)
    return counts


def write(file: Path, size: int) -> None:
    """Like a video, as far as its first bytes tell."""
    block = hashlib.shake_256(b"bench").digest(MB)
    whole = _HEAD + block * (size // MB)
    file.write_bytes(whole[:size])
