"""One event loop on a daemon thread for the life of the process, and threads for blocking calls.

ComfyUI gives every prompt a new loop, blocks it while a sync node runs and cancels it when a
sibling fails, so nothing that is paid for may run there.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_THREADS = 48
_TRANSFERS = 24  # fewer than _THREADS, so that polls always find a thread during transfers


class Workers:
    """At most `max_threads` daemon threads, started as needed.

    Not a ThreadPoolExecutor: the interpreter joins its threads at exit, so a slow upload would keep
    a closed ComfyUI alive.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._queue.put((future, call))
        if not self._idle.acquire(blocking=False):
            self._start_one()
        return future

    def _start_one(self) -> None:
        with self._lock:
            if self._started >= self._max_threads:
                return
            self._started += 1
            number = self._started
        threading.Thread(target=self._work, name=f"skyport-{number}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._run_call(*self._queue.get())
            self._idle.release()

    @staticmethod
    def _run_call(future: Future[T], call: Callable[[], T]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)


class Engine:
    """Runs coroutines that outlive the nodes waiting for them."""

    def __init__(self, threads: int = _THREADS, transfers: int = _TRANSFERS) -> None:
        self._workers = Workers(threads)
        self._transfers = transfers
        self._transfer_slots: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._run_loop, name="skyport-engine", daemon=True)
                thread.start()
            return self._loop

    def _run_loop(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `work` on the engine's loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` and wait for it; for threads that may block (command line)."""
        return self.start(work).result()

    async def blocking(self, call: Callable[[], T]) -> T:
        """Await a short blocking call (a poll, a ledger write) in one of our threads."""
        return await asyncio.wrap_future(self._workers.submit(call))

    async def transfer(self, call: Callable[[], T]) -> T:
        """Await a blocking transfer; their number is limited so that polls stay on time."""
        if self._transfer_slots is None:
            self._transfer_slots = asyncio.Semaphore(self._transfers)
        async with self._transfer_slots:
            return await self.blocking(call)


async def all_of(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order. Raises the first error once all have finished."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return list(outcomes)  # type: ignore[arg-type]
