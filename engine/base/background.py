"""One event loop on a daemon thread for the life of the process, and threads for blocking calls.

ComfyUI gives every prompt a new loop, blocks it while a sync node runs and cancels it when a
sibling fails, so nothing that is paid for may run there.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from . import forks

T = TypeVar("T")

_THREADS = 48  # for each name
_WRITERS = 16  # for the ledger, whose writes follow one another
_TRANSFERS = 24  # fewer than _THREADS, so that polls always find a thread during transfers

LEDGER, EDITOR = "ledger", "editor"  # workers that wait for no platform

_workers_name: ContextVar[str] = ContextVar("skyport_workers", default="local")


@contextmanager
def workers(name: str) -> Iterator[None]:
    """Blocking calls awaited in here have threads of their own, and so does each platform: one
    that hangs holds up nobody else."""
    token = _workers_name.set(name)
    try:
        yield
    finally:
        _workers_name.reset(token)


class Call(Future[T]):
    """A blocking call in a thread. Cancelled while it is made, it is abandoned.

    abandoned  whether nobody waits for it any more
    """

    def __init__(self) -> None:
        super().__init__()
        self.abandoned = False
        self._wake: list[Callable[[], object]] = []
        self._waking = threading.Lock()

    def on_abandoned(self, wake: Callable[[], object]) -> None:
        """Have `wake` called from another thread once the call is abandoned; it must not block."""
        with self._waking:
            self._wake.append(wake)
            if self.abandoned:
                wake()

    def forget(self, wake: Callable[[], object]) -> None:
        """Have `wake` called no more."""
        with self._waking, suppress(ValueError):
            self._wake.remove(wake)

    @contextmanager
    def being_made(self) -> Iterator[None]:
        """It is this thread's call; after it there is nothing to wake any more."""
        _thread.call = self
        try:
            yield
        finally:
            _thread.call = None
            with self._waking:
                self._wake.clear()

    def cancel(self) -> bool:
        if super().cancel():
            return True
        with self._waking:
            self.abandoned = True
            for wake in self._wake:
                wake()
        return False


_thread = threading.local()


def current_call() -> Call[Any] | None:
    """The call that this thread makes; None in a thread that is not ours."""
    call: Call[Any] | None = getattr(_thread, "call", None)
    return call


class Workers:
    """At most `max_threads` daemon threads, started as needed.

    Not a ThreadPoolExecutor: the interpreter joins its threads at exit, so a slow upload would keep
    a closed ComfyUI alive.
    """

    def __init__(self, max_threads: int, name: str = "local") -> None:
        self._max_threads = max_threads
        self._name = name
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Call[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Call[T] = Call()
        self._queue.put((future, call))
        if not self._idle.acquire(blocking=False):
            self._start_one()
        return future

    def _start_one(self) -> None:
        with self._lock:
            if self._started >= self._max_threads:
                return
            self._started += 1
            name = f"skyport-{self._name}-{self._started}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def close(self) -> None:
        """Let each thread end after its call. No call may be submitted any more."""
        with self._lock:
            for _ in range(self._started):
                self._queue.put(None)

    def _work(self) -> None:
        while (submitted := self._queue.get()) is not None:
            self._run_call(*submitted)
            self._idle.release()

    @staticmethod
    def _run_call(future: Call[T], call: Callable[[], T]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            with future.being_made():
                result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


_stopped: list[object] = []  # loops that run no more in this process, kept from being closed


class Engine:
    """Runs coroutines that outlive the nodes waiting for them.

    threads    blocking calls at the same time, for each name of `workers`
    transfers  how many of them may be transfers

    After a fork the child starts anew: the threads and what they work on are the parent's.
    """

    def __init__(self, threads: int = _THREADS, transfers: int = _TRANSFERS) -> None:
        self._threads, self._transfers = threads, transfers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start_anew()
        forks.watch(self)

    def _start_anew(self) -> None:
        self._workers: dict[str, Workers] = {}
        self._transfer_slots: dict[str, asyncio.Semaphore] = {}
        self._lock = threading.Lock()

    def before_fork(self) -> None:
        pass

    def after_fork(self, in_child: bool) -> None:
        if in_child:
            # Kept: closing it would take the parent's loop its wake-ups, which both share.
            _stopped.append(self._loop)
            self._loop = None
            self._start_anew()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_run, args=(loop,), name="skyport-engine", daemon=True
                )
                thread.start()
            return self._loop

    def close(self) -> None:
        """Stop the loop and the threads; what is under way stays as if the process had ended."""
        with self._lock:
            loop, self._loop = self._loop, None
            workers, self._workers = self._workers, {}
        if loop is not None and not loop.is_closed():
            # Kept with its tasks: a task that is collected runs its `finally`, and ends its order.
            _stopped.append((loop, asyncio.all_tasks(loop)))
            loop.call_soon_threadsafe(loop.stop)
        for one in workers.values():
            one.close()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `work` on the engine's loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` and wait for it; for threads that may block (command line)."""
        return self.start(work).result()

    async def blocking(self, call: Callable[[], T]) -> T:
        """Await a short blocking call (a poll, a ledger write) in one of our threads."""
        return await asyncio.wrap_future(self.submit(call))

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Make a blocking call in one of our threads, however busy the loop is; from any thread."""
        name = _workers_name.get()
        with self._lock:
            if name not in self._workers:
                most = min(self._threads, _WRITERS) if name == LEDGER else self._threads
                self._workers[name] = Workers(most, name)
            workers = self._workers[name]
        return workers.submit(call)

    async def transfer(self, call: Callable[[], T]) -> T:
        """Await a blocking transfer; their number is limited so that polls stay on time."""
        name = _workers_name.get()
        if name not in self._transfer_slots:
            self._transfer_slots[name] = asyncio.Semaphore(self._transfers)
        async with self._transfer_slots[name]:
            return await self.blocking(call)


async def all_of(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order. Raises the first error once all have finished."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return list(outcomes)  # type: ignore[arg-type]
