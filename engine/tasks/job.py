"""A request in progress as its watchers see it: stage, progress, result. No decisions, no I/O."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..base.errors import TaskCancelled
from ..base.events import notify
from ..base.types import Report, Request, Result, ReusedUrl, Task, TaskState
from ..base.words import tr
from ..ledger.ledger import TaskRecord
from ..platforms.provider import Provider

T = TypeVar("T")

NODES_FIRST = float("-inf")  # the rank of a job that somebody waits for now


@dataclass(frozen=True)
class JobSnapshot:
    """The visible state of a job at one moment.

    stage        waiting, preparing, fetching, uploading, submitting, running or answering,
                 downloading, done
    since        `time.monotonic` at the start of that stage
    attached     whether the task was submitted earlier and has been found again
    silent       `time.monotonic` since when polls bring no answer, None while they do
    transferred  bytes uploaded or downloaded in this stage, out of `total`
    usual        seconds that such tasks took before, None if unknown
    answer       text of a streamed answer so far
    """

    stage: str = "waiting"
    since: float = 0.0
    task_id: str = ""
    attached: bool = False
    state: TaskState | None = None
    silent: float | None = None
    transferred: int = 0
    total: int = 0
    usual: float | None = None
    answer: str = ""


_BEFORE_SUBMIT = ("waiting", "preparing", "fetching", "uploading")


class Stopped(Exception):
    """The job's last watcher has asked to stop it."""


class Job:
    """One request in progress; equal requests share one job.

    `snapshot` and `future` may be read from any thread.

    existing_task  its task, for a job made from the ledger
    can_be_sent    False for a job made from the ledger, which has no request to send
    lanes          of its platform that it is on
    attempt        how often the order was sent as the task of its row: 2 after a server has lost it
    lost_task      the task that it is sent again for, None otherwise
    has_share      whether a part of the limits was set aside for it and for equal jobs
    is_reserved    whether it still is: until it is sent
    reused_urls    of its files, as it was sent: hosted for earlier requests
    rank           its turn among jobs that wait for a free slot: the lowest is next
    turn           among jobs of the same rank: the lowest came first; None before it waits
    begun_ahead    `time.monotonic` when it was begun for a prompt that waits in ComfyUI's queue
    is_wanted      asked before it is sent: whether it still has to be
    is_left        whether its last watcher has left
    recording      held while its progress is written: writes in threads may overtake each other
    stop           set when the last watcher has asked to stop it
    open           cleared while that is handled: new watchers wait for the outcome
    """

    def __init__(
        self,
        provider: Provider,
        request: Request,
        record: TaskRecord,
        existing_task: Task | None = None,
        can_be_sent: bool = True,
    ) -> None:
        self.provider = provider
        self.request = request
        self.record = record
        self.existing_task = existing_task
        self.can_be_sent = can_be_sent
        self.lanes: list[str] = []
        self.attempt = 1
        self.lost_task: Task | None = None
        self.has_share = self.is_reserved = False
        self.reused_urls: tuple[ReusedUrl, ...] = ()
        self.rank = NODES_FIRST
        self.turn: int | None = None
        self.begun_ahead: float | None = None
        self.is_wanted: Callable[[], bool] = lambda: True
        self.snapshot = JobSnapshot(since=time.monotonic())
        self.future: Future[Result] = Future()
        self.future.set_running_or_notify_cancel()  # a watcher that is cancelled must not cancel it
        self.watchers = 0
        self.is_left = False
        self.recording = asyncio.Lock()
        self.is_awaited = False  # by a watcher or by somebody who looks; the collector is nobody
        self.cancel_reason = ""  # who cancels the task, while the platform is asked to
        self.stop = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        # Stored because the loop holds only weak references to its tasks.
        self.asyncio_task: asyncio.Future[None] | None = None
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """The order's fingerprint."""
        return self.record.fingerprint

    @property
    def is_unsent(self) -> bool:
        """Whether nothing has been sent, nor will be without another turn of the engine's loop."""
        return self.snapshot.stage in _BEFORE_SUBMIT

    @property
    def may_be_sent_again(self) -> bool:
        """Whether it is sent again by itself where a server that charges nothing has lost it.

        Not for nobody: its last watcher may have asked to stop it.
        """
        return self.can_be_sent and self.attempt == 1 and self.watchers > 0

    def enter(self, stage: str, **changes: Any) -> None:
        """Begin `stage`."""
        self.show(stage=stage, since=time.monotonic(), transferred=0, total=0, **changes)

    def show(self, **changes: Any) -> None:
        with self._lock:
            self.snapshot = replace(self.snapshot, **changes)
        notify()

    def on_text(self, answer: str) -> None:
        """Show the `answer` received so far; called from the thread that reads it."""
        if self.snapshot.stage == "answering":
            self.show(answer=answer)
        else:
            self.enter("answering", answer=answer)

    def stop_error(self, task: Task | None = None) -> TaskCancelled:
        """The error of a job that its watchers have stopped."""
        if task is None:
            what = tr("Stopped before anything was submitted; nothing was charged.")
        else:
            what = tr("The task was cancelled on the platform.")
        task_id = task.id if task else ""
        return TaskCancelled(what, platform=self.provider.label, task_id=task_id)

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of `work`, or Stopped as soon as the job is stopped."""
        return await unless(self.stop, work, Stopped())


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T], error: Exception) -> T:
    """The outcome of `work`, or `error` as soon as the event is set."""
    running = asyncio.ensure_future(work)
    try:
        while not running.done():
            waiting = asyncio.ensure_future(event.wait())
            try:
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            if event.is_set() and not running.done():
                raise error
        return running.result()
    finally:
        running.cancel()


async def within(seconds: float | None, work: Coroutine[Any, Any, T], error: Exception) -> T:
    """The outcome of `work`, or `error` once it has taken so long; None waits as long as it does.

    Unlike `asyncio.wait_for` it cannot take a timeout of the work for its own.
    """
    running = asyncio.ensure_future(work)
    try:
        await asyncio.wait({running}, timeout=seconds)
        if not running.done():
            raise error
        return running.result()
    finally:
        running.cancel()


class TransferProgress:
    """Adds up the progress of several transfers of one job."""

    def __init__(self, job: Job, total: int = 0) -> None:
        self._job = job
        self._total = total
        self._parts: list[tuple[int, int]] = []

    def part(self) -> Report:
        """A Report for one transfer; it is called from that transfer's thread."""
        index = len(self._parts)
        self._parts.append((0, 0))

        def report(done: int, total: int) -> None:
            self._parts[index] = (done, total)
            self._job.show(
                transferred=sum(part[0] for part in self._parts),
                total=self._total or sum(part[1] for part in self._parts),
            )

        return report
