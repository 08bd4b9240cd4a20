"""A request on its way, as its watchers see it: stage, progress, result. No decisions, no I/O."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..base.errors import TaskCancelled
from ..base.events import notify
from ..base.types import Report, Request, Result, Task, TaskState
from ..base.words import tr
from ..ledger.ledger import TaskRecord
from ..platforms.provider import Provider

T = TypeVar("T")


@dataclass(frozen=True)
class JobSnapshot:
    """What can be seen of a job right now.

    stage     waiting, preparing, fetching, uploading, submitting, running or answering,
              downloading, done
    since     `time.monotonic` at the start of that stage
    attached  True when the task was not submitted now but found again
    moved     bytes of files that went up or came down in this stage, of `total`
    usual     seconds that such a task took before, None where unknown
    said      all that an answer has said so far, while it comes
    """

    stage: str = "waiting"
    since: float = 0.0
    task_id: str = ""
    attached: bool = False
    state: TaskState | None = None
    transferred: int = 0
    total: int = 0
    usual: float | None = None
    answer: str = ""


class Stopped(Exception):
    """The job's last watcher has asked to end it."""


class Job:
    """One request on its way; equal requests share one. `sight` and `future` may be read from any
    thread.

    found  its task, where it was made from the ledger and has no request to send
    stop   set when the last watcher has asked to end it
    open   not set while that is being acted upon: who wants to join must wait how it ends
    """

    def __init__(
        self, provider: Provider, request: Request, record: TaskRecord, found: Task | None = None
    ) -> None:
        self.provider = provider
        self.request = request
        self.record = record
        self.found = found
        self.snapshot = JobSnapshot(since=time.monotonic())
        self.future: Future[Result] = Future()
        self.future.set_running_or_notify_cancel()  # a watcher that is cancelled must not cancel it
        self.watchers = 0
        self.stop = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        # Kept here because the loop holds its tasks only weakly.
        self.asyncio_task: asyncio.Future[None] | None = None
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """The order's fingerprint."""
        return self.record.fingerprint

    def enter(self, stage: str, **changes: Any) -> None:
        """Begin `stage`."""
        self.show(stage=stage, since=time.monotonic(), transferred=0, total=0, **changes)

    def show(self, **changes: Any) -> None:
        with self._lock:
            self.snapshot = replace(self.snapshot, **changes)
        notify()

    def on_text(self, answer: str) -> None:
        """An answer has come so far; called from the thread that reads it."""
        if self.snapshot.stage == "answering":
            self.show(answer=answer)
        else:
            self.enter("answering", answer=answer)

    def stopped(self, task: Task | None = None) -> TaskCancelled:
        """The error that ends a job its watchers have stopped."""
        if task is None:
            what = tr("Stopped before anything was submitted; nothing was charged.")
        else:
            what = tr("The task was cancelled on the platform.")
        task_id = task.id if task else ""
        return TaskCancelled(what, platform=self.provider.label, task_id=task_id)

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of `work`, or Stopped as soon as the job is stopped."""
        doing = asyncio.ensure_future(work)
        try:
            while not doing.done():
                stopping = asyncio.ensure_future(self.stop.wait())
                await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if self.stop.is_set() and not doing.done():
                    raise Stopped
            return doing.result()
        finally:
            doing.cancel()


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
            moved = sum(part[0] for part in self._parts)
            self._job.show(
                transferred=moved, total=self._total or sum(part[1] for part in self._parts)
            )

        return report
