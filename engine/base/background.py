"""One event loop on one daemon thread for the life of the process, and the threads its blocking
calls use.

ComfyUI gives every prompt a new loop, freezes it while a sync node runs and cancels it when a
sibling fails, so nothing that is paid for may live there.
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
_TRANSFERS = (
    24  # fewer than _THREADS, so that polls always find a thread while files go up and down
)


class Workers:
    """At most `most` daemon threads, started as needed.

    Not a ThreadPoolExecutor: the interpreter joins that one's threads at exit, and a slow upload
    would keep a closed ComfyUI alive.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._todo: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._todo.put((future, call))
        if not self._idle.acquire(blocking=False):
            self._start_one()
        return future

    def _start_one(self) -> None:
        with self._lock:
            if self._started >= self._most:
                return
            self._started += 1
            number = self._started
        threading.Thread(target=self._work, name=f"skyport-{number}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._do(*self._todo.get())
            self._idle.release()

    @staticmethod
    def _do(future: Future[T], call: Callable[[], T]) -> None:
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
        self._gate: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._turn, name="skyport-engine", daemon=True)
                thread.start()
            return self._loop

    def _turn(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `work` on the engine's loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` and wait for it; for threads that have nothing better to do (command line)."""
        return self.start(work).result()

    async def blocking(self, call: Callable[[], T]) -> T:
        """Await a short blocking call (a poll, a submit) done in a thread of ours."""
        return await asyncio.wrap_future(self._workers.submit(call))

    async def transfer(self, call: Callable[[], T]) -> T:
        """Await a blocking upload or download; at most so many at once that polls stay on time."""
        if self._gate is None:
            self._gate = asyncio.Semaphore(self._transfers)
        async with self._gate:
            return await self.blocking(call)


async def all_of(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Every outcome in order. Raises the first error once all have settled, none unseen."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return list(outcomes)  # type: ignore[arg-type]
