"""Pins that paid work outlives whoever waits for it, and that waiting costs few threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from _waiting import PATIENCE
from skyport.engine.base.background import EDITOR, LEDGER, Engine, Workers, current_call, workers


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(threads=4, transfers=2)
    yield engine
    engine.close()


def held(engine: Engine, gate: threading.Event, started: threading.Semaphore) -> Future[None]:
    """A transfer that hangs until `gate` opens."""

    def hang() -> None:
        started.release()
        gate.wait(PATIENCE)

    return engine.start(engine.transfer(hang))


def reached(started: threading.Semaphore, count: int) -> bool:
    return all(started.acquire(timeout=PATIENCE) for _ in range(count))


# -- the engine -----------------------------------------------------------------------------


def test_polls_find_a_thread_while_every_transfer_hangs(engine: Engine) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)
    hanging = [held(engine, gate, started) for _ in range(10)]
    assert reached(started, 2)
    assert engine.start(engine.blocking(lambda: "polled")).result(PATIENCE) == "polled"
    assert not started.acquire(blocking=False)  # the other eight wait without a thread
    gate.set()
    for future in hanging:
        future.result(PATIENCE)


def test_the_real_engine_keeps_threads_for_polls() -> None:
    engine = Engine()
    gate, started = threading.Event(), threading.Semaphore(0)
    hanging = [held(engine, gate, started) for _ in range(30)]
    assert reached(started, 24)
    answers = [engine.start(engine.blocking(lambda: "polled")) for _ in range(20)]
    assert [answer.result(PATIENCE) for answer in answers] == ["polled"] * 20
    gate.set()
    for future in hanging:
        future.result(PATIENCE)
    engine.close()


def test_a_closed_engine_has_no_thread_left_and_leaves_what_was_under_way_as_it_was() -> None:
    async def thread() -> threading.Thread:
        return threading.current_thread()

    engine = Engine()
    own = [engine.run(thread()), engine.run(engine.blocking(threading.current_thread))]
    waiting = engine.start(asyncio.sleep(PATIENCE))
    engine.close()
    for one in own:
        one.join(PATIENCE)
    assert [one.name for one in own if one.is_alive()] == []
    assert not waiting.done()


def test_waiting_costs_no_thread(engine: Engine) -> None:
    async def wait(event: asyncio.Event) -> str:
        await event.wait()
        return "woken"

    async def event() -> asyncio.Event:
        return asyncio.Event()

    bell = engine.run(event())
    before = set(threading.enumerate())
    waiting = [engine.start(wait(bell)) for _ in range(1000)]
    engine.run(engine.blocking(lambda: None))  # by now all of them wait
    assert len(set(threading.enumerate()) - before) < 10  # others come and go meanwhile
    engine.loop.call_soon_threadsafe(bell.set)
    assert {future.result(PATIENCE) for future in waiting} == {"woken"}


def test_threads_end_with_the_process(engine: Engine) -> None:
    mine = engine.run(engine.blocking(threading.current_thread))
    loops = next(t for t in threading.enumerate() if t.name == "skyport-engine")
    assert mine.daemon
    assert loops.daemon


def test_work_goes_on_when_the_loop_that_waited_for_it_is_gone(engine: Engine) -> None:
    gate = threading.Event()
    futures: list[Future[str]] = []

    def slow() -> str:
        gate.wait(PATIENCE)
        return "done"

    async def node() -> None:
        futures.append(engine.start(engine.blocking(slow)))
        await asyncio.sleep(0)  # and its prompt ends here

    asyncio.run(node())
    gate.set()
    assert futures[0].result(PATIENCE) == "done"


def test_an_error_reaches_whoever_waits(engine: Engine) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        engine.run(engine.blocking(fail))
    assert engine.run(engine.blocking(lambda: 1)) == 1  # its thread has survived


def test_a_platform_that_hangs_holds_up_nobody_else(engine: Engine) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)

    async def in_threads_of(name: str, call: Callable[[], Any]) -> Any:
        with workers(name):
            return await engine.blocking(call)

    def hang() -> None:
        started.release()
        gate.wait(PATIENCE)

    hanging = [engine.start(in_threads_of("stuck", hang)) for _ in range(9)]
    assert reached(started, 4)
    for name in ("well", LEDGER, EDITOR):
        assert engine.start(in_threads_of(name, lambda: 1)).result(PATIENCE) == 1
    assert engine.start(engine.blocking(lambda: 2)).result(PATIENCE) == 2
    gate.set()
    for future in hanging:
        future.result(PATIENCE)


def test_transfers_of_a_platform_that_hangs_leave_those_of_others_alone(engine: Engine) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)

    async def transfer_of(name: str, call: Callable[[], Any]) -> Any:
        with workers(name):
            return await engine.transfer(call)

    def hang() -> None:
        started.release()
        gate.wait(PATIENCE)

    hanging = [engine.start(transfer_of("stuck", hang)) for _ in range(3)]
    assert reached(started, 2)
    assert engine.start(transfer_of("well", lambda: 1)).result(PATIENCE) == 1
    gate.set()
    for future in hanging:
        future.result(PATIENCE)


# -- calls that are given up ----------------------------------------------------------------


def test_a_call_given_up_while_it_is_made_is_woken_and_frees_its_slot(engine: Engine) -> None:
    began, woken = threading.Semaphore(0), threading.Event()

    def read() -> None:
        call = current_call()
        assert call is not None
        call.on_abandoned(woken.set)
        began.release()
        woken.wait(PATIENCE)

    reading = [engine.start(engine.transfer(read)) for _ in range(2)]
    assert reached(began, 2)
    reading[0].cancel()
    assert engine.start(engine.transfer(lambda: "next")).result(PATIENCE) == "next"
    assert woken.is_set()


def test_a_connection_that_was_handed_back_is_not_closed(engine: Engine) -> None:
    gate, began, woken = threading.Event(), threading.Semaphore(0), threading.Event()

    def read() -> None:
        call = current_call()
        assert call is not None
        call.on_abandoned(woken.set)
        call.forget(woken.set)
        began.release()
        gate.wait(PATIENCE)

    reading = engine.start(engine.blocking(read))
    assert reached(began, 1)
    reading.cancel()
    engine.run(engine.blocking(lambda: None))  # by now it is cancelled
    assert not woken.is_set()
    gate.set()


def test_a_call_that_has_ended_wakes_nobody() -> None:
    woken = threading.Event()

    def read() -> None:
        call = current_call()
        assert call is not None
        call.on_abandoned(woken.set)

    reading = Workers(1).submit(read)
    reading.result(PATIENCE)
    assert not reading.cancel()
    assert not woken.is_set()


def test_outside_of_our_threads_there_is_no_call(engine: Engine) -> None:
    assert current_call() is None
    assert engine.run(engine.blocking(current_call)) is not None


# -- workers --------------------------------------------------------------------------------


def names(workers: Workers, calls: int) -> set[str]:
    """Names of the threads that made `calls` calls, all of them at the same time."""
    together = threading.Barrier(calls)

    def call() -> str:
        together.wait(PATIENCE)
        return threading.current_thread().name

    return {future.result(PATIENCE) for future in [workers.submit(call) for _ in range(calls)]}


def test_the_ledger_has_fewer_threads_as_its_writes_follow_one_another() -> None:
    engine, gate = Engine(), threading.Event()

    def wait() -> str:
        gate.wait(PATIENCE)
        return threading.current_thread().name

    async def all_at_once() -> list[str]:
        with workers(LEDGER):
            calls = [asyncio.ensure_future(engine.blocking(wait)) for _ in range(100)]
        await asyncio.sleep(0)
        gate.set()
        return list(await asyncio.gather(*calls))

    assert len(set(engine.run(all_at_once()))) <= 16
    engine.close()


def test_threads_are_started_as_needed() -> None:
    workers = Workers(8)
    assert len(names(workers, 3)) == 3
    assert len(names(workers, 8)) == 8


def test_never_more_threads_than_allowed_and_nothing_is_left_undone() -> None:
    workers = Workers(3)
    seen: set[str] = set()

    def call() -> None:
        seen.add(threading.current_thread().name)

    for future in [workers.submit(call) for _ in range(500)]:
        future.result(PATIENCE)
    assert len(seen) <= 3


def test_a_call_given_up_before_its_turn_is_not_made() -> None:
    workers = Workers(1)
    gate = threading.Event()
    made: list[str] = []

    def note(name: str) -> Callable[[], Any]:
        return lambda: made.append(name)

    first = workers.submit(lambda: gate.wait(PATIENCE))
    second, third = workers.submit(note("second")), workers.submit(note("third"))
    assert second.cancel()
    gate.set()
    first.result(PATIENCE)
    third.result(PATIENCE)
    assert made == ["third"]
