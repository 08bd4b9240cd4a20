"""Time that jumps: hours of polling pass in milliseconds, in the same order every time.

def test_...(tmp_path):
    with Play() as play:
        cloud = play.cloud(lasts=3600)
        result = play.result(cloud, order(), tmp_path)
    assert cloud.submits == 1
"""

from __future__ import annotations

import asyncio
import hashlib
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from skyport.engine.base.background import Engine
from skyport.engine.base.errors import ApiError, SkyportError
from skyport.engine.base.types import (
    MediaFile,
    Output,
    Report,
    Request,
    Result,
    Status,
    Task,
    TaskState,
    no_report,
)
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import Ledger
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.platforms.provider import Provider
from skyport.engine.tasks.job import Job
from skyport.engine.tasks.runner import Runner

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never sleeps: when nothing is ready, its clock jumps to what is due next."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


class _Leaping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if not events and timeout and timeout > 0:
            self.now += timeout
        return events


class VirtualEngine(Engine):
    """Blocking calls are made at once, on the loop's own thread; each takes `takes` seconds."""

    def __init__(self, loop: VirtualLoop, takes: float = 0.0) -> None:
        super().__init__()
        self._loop = loop
        self.takes = takes
        self.busy = 0
        self.busiest = 0  # blocking calls that were under way at the same time, at most

    async def blocking(self, call: Callable[[], T]) -> T:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            await asyncio.sleep(self.takes)
            return call()
        finally:
            self.busy -= 1

    async def transfer(self, call: Callable[[], T]) -> T:
        return await self.blocking(call)


class Cloud(Provider):
    """A platform that exists by the clock alone.

    script   by the call's name, what the next ones raise in turn; None for one that goes well. An
             ApiError is the platform's own words
    lasts    seconds a task takes; a request's payload may say another number under "lasts"
    url      where results may come from
    word     what a running task is called
    cancels  whether it can cancel
    """

    name = "cloud"
    label = "Cloud"

    def __init__(self, clock: Callable[[], float], lasts: float = 10.0, **how: Any) -> None:
        super().__init__(Http("Cloud", how.get("url", "http://127.0.0.1:1"), {}))
        self.clock = clock
        self.lasts = lasts
        self.word: str = how.get("word", "running")
        self.cancels: bool = how.get("cancels", False)
        self.hosts_for: float = how.get("hosts_for", 600.0)
        self.outputs: tuple[Output, ...] = (Output(text="done"),)
        self.progress: Callable[[float], float | None] = lambda share: None
        self.script: dict[str, list[BaseException | None]] = defaultdict(list)
        self.log: list[tuple[str, str, float]] = []  # (call, what it was about, when)
        self.counts: Counter[str] = Counter()
        self.requests: list[Request] = []
        self._ends: dict[str, float] = {}

    def times(self, call: str, about: str | None = None) -> list[float]:
        return [at for name, what, at in self.log if name == call and about in (None, what)]

    def end(self, task_id: str) -> float:
        return self._ends[task_id]

    def prepare(self, request: Request) -> Request:
        self._note("prepare", request.title)
        return request

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        self._note("upload", file.name)
        report(file.size, file.size)
        return f"https://files.example/{file.sha256}?signed={self.counts['upload']}"

    def url_lifetime(self, url: str, request: Request) -> float:
        return self.hosts_for

    def submit(self, request: Request, report: Report = no_report) -> str:
        task_id = str(self.counts["submit"] + 1)
        self._ends[task_id] = self.clock() + request.payload.get("lasts", self.lasts)
        self.requests.append(request)
        self._note("submit", task_id)
        return task_id

    def poll(self, task: Task) -> TaskState:
        self._note("poll", task.id)
        began = self._ends[task.id] - self.lasts
        if self.clock() < self._ends[task.id]:
            share = (self.clock() - began) / self.lasts
            known = self.word == "running"
            return TaskState(Status.RUNNING, self.word, self.progress(share), known=known)
        return TaskState(Status.SUCCEEDED, "success", 1.0, outputs=self.outputs)

    def cancel(self, task: Task) -> bool:
        self._note("cancel", task.id)
        return self.cancels

    def _note(self, call: str, about: str) -> None:
        self.log.append((call, about, self.clock()))
        self.counts[call] += 1
        failure = self.script[call].pop(0) if self.script[call] else None
        if isinstance(failure, ApiError):
            failure.own_form = True
        if failure is not None:
            raise failure


def in_memory() -> Store:
    """A ledger that is gone with the test."""
    return Store(None, Owner(None))


class Play:
    """A Runner on virtual time, with everything it needs. Use it as a context manager."""

    def __init__(self, ledger: Ledger | None = None, takes: float = 0.0) -> None:
        self.loop = VirtualLoop()
        self.engine = VirtualEngine(self.loop, takes)
        self.runner = Runner(self.engine, ledger or in_memory())

    def cloud(self, lasts: float = 10.0, **how: Any) -> Cloud:
        return Cloud(self.loop.time, lasts, **how)

    def run(self, scene: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(scene)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def result(self, provider: Provider, request: Request, into: Path) -> Result:
        """What becomes of one request, from start to end, as a node sees it."""
        return self.run(self.carried(provider, request, into))

    async def carried(self, provider: Provider, request: Request, into: Path) -> Result:
        job = await self.runner.begin(provider, request, into)
        try:
            result = await ended(job)
        except SkyportError:
            self.runner.record_told(job)
            raise
        self.runner.record_delivered(job)
        return result

    def __enter__(self) -> Play:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(_cancelled(asyncio.all_tasks(self.loop)))
        self.loop.close()


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ended(job: Job) -> Result:
    """The job's result, as a watcher waits for it."""
    return await asyncio.shield(asyncio.wrap_future(job.future))


def order(payload: Mapping[str, Any] | None = None, **more: Any) -> Request:
    """A request for the Cloud."""
    return Request("cloud", "make", dict(payload or {}), title=more.pop("title", "thing"), **more)


def clip(folder: Path, content: bytes = b"pixels", name: str = "photo.png") -> MediaFile:
    """A file to be uploaded; that it is no real picture matters to nobody here."""
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{digest[:8]}-{name}"
    path.write_bytes(content)
    return MediaFile(path, name, "image/png", digest, len(content))


def most_within(times: list[float], span: float) -> int:
    """The most of `times` that fall into any window of `span` seconds (its end not included)."""
    most, first = 0, 0
    for last, at in enumerate(times):
        # A clock of floats: what is a window apart up to a nanosecond is a window apart.
        while at - times[first] >= span - 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture
def play() -> Iterator[Play]:
    with Play() as play:
        yield play
