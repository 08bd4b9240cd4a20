"""Pins that limits hold: to the cent, whole fan-outs, several processes, and whatever dies."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from _clock import StoppedClock
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from processes import Children
from skyport.engine.base.errors import (
    InputRejected,
    InvalidInput,
    LimitReached,
    RateLimited,
    SkyportError,
)
from skyport.engine.base.types import (
    Amount,
    MissingResult,
    Request,
    Result,
    Status,
    Task,
    TaskState,
)
from skyport.engine.ledger.budget import MICRO, Limit, Period
from skyport.engine.ledger.charges import start_of
from skyport.engine.ledger.ledger import Source, State, TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.queued_again import next_id
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.settings import settings as stored
from skyport.engine.settings.caps import Cap
from skyport.engine.spend import limits
from skyport.engine.spend.price import Origin, Price
from skyport.engine.tasks.job import Job
from skyport.engine.tasks.runner import Runner
from virtual import Cloud, Play, clip, ended, in_memory, order

NOON = 1_795_600_800.0  # in November, far from a month's ends in every time zone
DAY = 86400.0
A_DAY, A_MONTH, A_QUEUE = Period.DAY, Period.MONTH, Period.QUEUE


def tasks(most: int, period: Period = A_DAY, platform: str = "") -> Limit:
    return Limit("limit_tasks_per_day", period, most, "tasks", platform)


def cost(most: float, unit: str = "", platform: str = "", period: Period = A_DAY) -> Limit:
    return Limit("limit_cost_per_day", period, most, "cost", platform, unit)


def record(
    fingerprint: str, price: float | None = None, unit: str = "CNY", **more: Any
) -> TaskRecord:
    how = {"platform": "gpugeek", "base_url": "https://cloud", "unit": "CNY", **more}
    amount = None if price is None else Amount(price, unit)
    return TaskRecord(fingerprint, endpoint="make", title="x", request={}, price=amount, **how)


def records(*prices: float | None, **more: Any) -> list[TaskRecord]:
    return [record(f"{n}-{price}", price, **more) for n, price in enumerate(prices)]


class Ledgers:
    """One ledger as several processes have it, at a time that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = StoppedClock(NOON)
        self._open: list[tuple[Store, Owner]] = []

    def open(self) -> Store:
        owner = Owner(self.folder / "owners")
        store = Store(self.folder / "ledger.db", owner, self.clock)
        self._open.append((store, owner))
        return store

    def die(self, store: Store) -> None:
        ((_, owner),) = [each for each in self._open if each[0] is store]
        owner.close()

    def close(self) -> None:
        for store, owner in self._open:
            store.close()
            owner.close()


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Ledgers]:
    ledgers = Ledgers(tmp_path)
    yield ledgers
    ledgers.close()


@pytest.fixture
def store(ledgers: Ledgers) -> Store:
    return ledgers.open()


def reserve(store: Store, orders: Sequence[TaskRecord], *limits: Limit) -> list[str]:
    return store.reserve(orders, limits, reuse=True)


def used(store: Store, limit: Limit, queue: str = "") -> tuple[int, int]:
    """Tasks and millionths that count against `limit`."""
    uses = store.used(limit, local=False, queue=queue)
    return sum(use.tasks for use in uses), sum(use.micros for use in uses)


def send(store: Store, one: TaskRecord, *limits: Limit) -> Task:
    assert store.record_intent(one, *limits) is None
    task = Task(one.platform, "make", f"task-{one.fingerprint}")
    store.record_accepted(one, task)
    return task


# -- what fits ----------------------------------------------------------------------------------


def test_a_fan_out_of_eight_under_five_tasks_a_day_is_refused_whole(store: Store) -> None:
    send(store, record("before"))
    with pytest.raises(LimitReached) as refused:
        reserve(store, records(*[0.1] * 8), tasks(5))
    assert used(store, tasks(5)) == (1, 0)
    text = str(refused.value)
    assert "The limit for a day is 5 tasks. Today has 1 task so far" in text
    assert "this asks for 8 tasks more. Nothing was sent, and nothing was charged." in text
    assert "limit_tasks_per_day" in text
    assert "SKYPORT_LIMIT_TASKS_PER_DAY" in text
    assert len(reserve(store, records(*[0.1] * 4), tasks(5))) == 4


@pytest.mark.parametrize(
    ("before", "more", "most", "fits"),
    [
        ([0.1], 0.2, 0.3, True),
        ([0.1] * 9, 0.1, 1.0, True),
        ([0.1] * 10, 0.01, 1.0, False),
        ([0.29], 0.01, 0.3, True),
        ([0.295], 0.01, 0.3, False),
        ([], 0.0, 0.0, True),
        ([], 0.01, 0.0, False),
        ([1e15], 0.01, 1.0, False),
    ],
)
def test_costs_fit_up_to_the_limit_itself_and_not_a_cent_more(
    store: Store, before: list[float], more: float, most: float, fits: bool
) -> None:
    for one in records(*before):
        send(store, one)
    if fits:
        assert reserve(store, [record("more", more)], cost(most)) == ["more"]
    else:
        with pytest.raises(LimitReached):
            reserve(store, [record("more", more)], cost(most))


def test_units_are_never_added_up(store: Store) -> None:
    send(store, record("a", 4, "CNY"))
    send(store, record("b", 4, "credits"))
    reserve(store, [record("c", 1, "cny")], cost(5))
    with pytest.raises(LimitReached, match=r"The limit for a day is 5 credits. Today has 4 cred"):
        reserve(store, [record("d", 2, "credits")], cost(5))
    reserve(store, [record("d", 2, "credits")], cost(5, "CNY"))


def test_a_limit_of_one_platform_leaves_the_others_alone(store: Store) -> None:
    send(store, record("a", 1))
    with pytest.raises(LimitReached, match="is 1 task on gpugeek"):
        reserve(store, [record("b", 1)], tasks(1, platform="gpugeek"))
    reserve(store, [record("b", 1, platform="haiyi")], tasks(1, platform="gpugeek"))


@pytest.mark.parametrize(
    "here",
    ["http://127.0.0.1:8377", "http://localhost:8377", "http://[::1]:8377", "http://localhost"],
)
def test_what_the_sandbox_imitates_uses_nothing_up(store: Store, here: str) -> None:
    send(store, record("a", 1, base_url=here))
    reserve(store, [record("b", 1)], tasks(1))
    with pytest.raises(LimitReached):
        reserve(store, [record("c", 1, base_url=here)], tasks(1))


def test_servers_of_ones_own_use_nothing_up_unless_a_limit_names_them(store: Store) -> None:
    own = {"platform": "comfyui", "base_url": "comfyui://servers", "unit": ""}
    free = frozenset({"comfyui"})
    of_all, of_them = replace(tasks(2), free=free), replace(tasks(2, platform="comfyui"), free=free)
    assert len(reserve(store, records(*[None] * 5, **own), of_all)) == 5
    assert len(reserve(store, records(1, 2), of_all)) == 2
    with pytest.raises(LimitReached):
        reserve(store, records(*[None] * 3, **{**own, "base_url": "comfyui://x"}), of_them)


def test_the_limits_of_the_settings_know_who_charges_nothing(monkeypatch: Any) -> None:
    monkeypatch.setenv("SKYPORT_LIMIT_TASKS_PER_DAY", "5")
    assert [limit.free for limit in limits.current()] == [frozenset({"comfyui"})]


def test_an_unknown_price_counts_as_a_task_only_and_the_refusal_says_so(store: Store) -> None:
    for one in records(None, None, 4.5):
        send(store, one)
    reserve(store, [record("x")], cost(5))
    with pytest.raises(LimitReached, match="price is unknown: 3 tasks so far, 1 now"):
        reserve(store, [record("y", 1), record("z")], cost(5))
    with pytest.raises(LimitReached):
        reserve(store, [record("y")], tasks(4))


def test_where_nothing_may_be_spent_an_unknown_price_is_refused(store: Store) -> None:
    with pytest.raises(LimitReached):
        reserve(store, [record("a")], cost(0))
    with pytest.raises(LimitReached):
        reserve(store, [record("a")], cost(0, "CNY"))
    reserve(store, [record("a")], cost(0, "USD"), cost(0, platform="haiyi"))


def test_a_price_that_is_unknown_in_every_way_is_refused_too(store: Store) -> None:
    """Where the platform names no unit either, it may cost what may not be spent."""
    with pytest.raises(LimitReached):
        reserve(store, [replace(record("a"), unit="")], cost(0, "CNY"))
    assert reserve(store, [replace(record("a"), unit="USD")], cost(0, "CNY")) == ["a"]


def test_a_queue_is_a_prompt_or_the_run_of_a_command(ledgers: Ledgers) -> None:
    here, there = ledgers.open(), ledgers.open()
    limit = tasks(2, A_QUEUE)
    reserve(here, [record(name, source=Source("1", "p")) for name in "ab"], limit)
    with pytest.raises(
        LimitReached, match=r"The limit for one queue is 2 tasks\. This queue has 2"
    ):
        reserve(here, [record("c", source=Source("2", "p"))], limit)
    reserve(
        here, [record("c", source=Source("2", "q")), record("d", source=Source("2", "q"))], limit
    )
    for one in [record("e"), record("f")]:
        send(here, one, limit)
    with pytest.raises(LimitReached):
        send(here, record("g"), limit)
    send(there, record("g"), limit)


# -- what counts --------------------------------------------------------------------------------


def test_orders_that_would_not_be_sent_reserve_nothing(store: Store) -> None:
    under_way, delivered = records(1, 2)
    send(store, under_way)
    task = send(store, delivered)
    store.record_result(delivered.fingerprint, Result(task.id))
    store.record_delivered(delivered.fingerprint)
    assert reserve(store, [under_way, delivered], tasks(2)) == []
    with pytest.raises(LimitReached):
        store.reserve([delivered], [tasks(2)], reuse=False)


def test_what_a_prompt_has_brought_needs_no_room_when_it_is_queued_again(store: Store) -> None:
    (one,) = records(1)
    first = replace(one, source=Source("1", "a prompt"))
    task = send(store, first)
    store.record_result(one.fingerprint, Result(task.id))
    store.record_delivered(one.fingerprint)
    again = replace(one, source=Source("1", next_id("a prompt")))
    assert store.reserve([again], [tasks(1)], reuse=False) == []
    with pytest.raises(LimitReached):
        store.reserve([replace(one, source=Source("1", "another"))], [tasks(1)], reuse=False)


def test_a_part_that_is_missing_is_fetched_whatever_the_limits_say(store: Store) -> None:
    task = send(store, record("part"))
    store.record_result("part", Result(task.id, texts=("one",), missing=(MissingResult("two"),)))
    store.record_delivered("part")
    assert store.reserve([record("part")], [tasks(0)], reuse=False) == []


def test_an_order_of_unknown_outcome_is_a_new_one_once_a_person_knows(store: Store) -> None:
    (one,) = records(1)
    store.record_intent(one)
    store.record_end(one.fingerprint, State.UNKNOWN, "no answer")
    assert reserve(store, [one], tasks(1)) == []
    store.record_told(one.fingerprint)
    with pytest.raises(LimitReached):
        reserve(store, [one], tasks(1))


def test_the_intent_takes_over_what_was_reserved(ledgers: Ledgers) -> None:
    store, other = ledgers.open(), ledgers.open()
    (one,) = records(3)
    reserve(store, [one], tasks(1), cost(3))
    with pytest.raises(LimitReached):
        send(other, record("other", 1), tasks(1))
    send(store, one, tasks(1), cost(3))
    assert used(store, tasks(1)) == (1, 3 * MICRO)
    with pytest.raises(LimitReached):
        send(store, record("unreserved", 1), tasks(1))
    assert store.find("unreserved") is None


def test_equal_orders_of_two_processes_reserve_once(ledgers: Ledgers) -> None:
    store, other = ledgers.open(), ledgers.open()
    (one,) = records(3)
    reserve(store, [one], tasks(1))
    reserve(other, [one], tasks(1))
    assert used(store, tasks(1)) == (1, 3 * MICRO)
    send(store, one, tasks(1))
    assert used(other, tasks(1)) == (1, 3 * MICRO)
    store.record_end(one.fingerprint, State.FAILED, "no")
    with pytest.raises(LimitReached):  # what the first has sent was charged, maybe
        send(other, one, tasks(1))


def test_of_equal_orders_of_several_processes_the_dearest_counts(ledgers: Ledgers) -> None:
    stores = [ledgers.open() for _ in range(4)]
    for turn in range(16):  # a process may come first or last among them
        for number, price in enumerate((None, 0.1, 0.9, 0.2)):
            reserve(stores[(number + turn) % 4], [record(f"same-{turn}", price)], cost(20))
    assert used(stores[0], cost(20)) == (16, 16 * 0.9 * MICRO)


def test_what_was_released_counts_no_more(store: Store) -> None:
    names = reserve(store, records(1, 2), tasks(2))
    store.release(names[:1])
    assert used(store, tasks(2)) == (1, 2 * MICRO)


def test_what_a_dead_process_has_reserved_is_free_again(ledgers: Ledgers) -> None:
    dead, store = ledgers.open(), ledgers.open()
    reserve(dead, records(1, 2), tasks(2))
    with pytest.raises(LimitReached):
        reserve(store, [record("a")], tasks(2))
    ledgers.die(dead)
    reserve(store, [record("a")], tasks(2))
    assert used(store, tasks(2)) == (1, 0)


def test_recover_drops_what_a_dead_process_has_reserved(ledgers: Ledgers) -> None:
    dead, store = ledgers.open(), ledgers.open()
    reserve(dead, records(1, 2), tasks(2))
    ledgers.die(dead)
    store.recover()
    assert used(store, tasks(2)) == (0, 0)


@pytest.mark.parametrize("ending", ["intent", "accepted"])
@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.UNKNOWN])
def test_only_what_was_certainly_not_accepted_is_free_again(
    store: Store, state: State, ending: str
) -> None:
    (one,) = records(2)
    store.record_intent(one)
    if ending == "accepted":
        store.record_accepted(one, Task("gpugeek", "make", "7"))
    store.record_end(one.fingerprint, state, "no")
    is_free = ending == "intent" and state is not State.UNKNOWN
    assert used(store, tasks(2)) == ((0, 0) if is_free else (1, 2 * MICRO))


def test_the_cost_that_the_platform_tells_replaces_what_was_reserved(store: Store) -> None:
    (one,) = records(2)
    task = send(store, one)
    store.record_progress(one.fingerprint, State.RUNNING, 0.5)
    assert used(store, tasks(2))[1] == 2 * MICRO  # it may still become more
    store.record_progress(one.fingerprint, State.RUNNING, 2.5)
    assert used(store, tasks(2))[1] == 2.5 * MICRO
    store.record_result(one.fingerprint, Result(task.id, cost=0.25))
    assert used(store, tasks(2)) == (1, 0.25 * MICRO)


def test_a_cost_that_is_told_so_far_counts_however_its_unit_is_spelled(store: Store) -> None:
    send(store, record("a", 1, "cny"))
    store.record_progress("a", State.RUNNING, 3)
    assert used(store, cost(5, "CNY")) == (1, 3 * MICRO)


def test_a_cost_that_is_told_in_another_unit_replaces_the_price_in_the_end(store: Store) -> None:
    one = record("a", 2, "USD")
    task = send(store, one)
    store.record_progress("a", State.RUNNING, 9)
    assert [(use.unit, use.micros) for use in store.used(tasks(1), False)] == [("USD", 2 * MICRO)]
    store.record_result("a", Result(task.id, cost=9))
    assert [(use.unit, use.micros) for use in store.used(tasks(1), False)] == [("CNY", 9 * MICRO)]


def test_a_failure_is_free_once_the_platform_has_told_that_it_cost_nothing(store: Store) -> None:
    first, second = records(2, 3)
    for one, told in ((first, 0.0), (second, 0.5)):
        store.record_cost(one.fingerprint, send(store, one).id, told)
        store.record_end(one.fingerprint, State.FAILED, "no")
    assert used(store, tasks(2)) == (2, 0.5 * MICRO)


# -- days, months and clocks --------------------------------------------------------------------


def test_the_next_day_and_the_next_month_begin_with_nothing(ledgers: Ledgers) -> None:
    store = ledgers.open()
    send(store, record("a", 1))
    ledgers.clock.now += DAY
    assert used(store, tasks(1)) == (0, 0)
    assert used(store, tasks(1, A_MONTH)) == (1, MICRO)
    ledgers.clock.now += 31 * DAY
    assert used(store, tasks(1, A_MONTH)) == (0, 0)


def test_a_clock_that_is_set_back_frees_nothing(ledgers: Ledgers) -> None:
    store = ledgers.open()
    send(store, record("a", 1))
    for back in (1, 40, 400):
        ledgers.clock.now = NOON - back * DAY
        with pytest.raises(LimitReached):
            reserve(store, [record("b")], tasks(1))
    ledgers.clock.now = NOON
    with pytest.raises(LimitReached):
        reserve(store, [record("b")], tasks(1))


def test_what_was_reserved_before_midnight_counts_after_it(ledgers: Ledgers) -> None:
    store, other = ledgers.open(), ledgers.open()
    reserve(store, [record("a", 1)], tasks(1))
    ledgers.clock.now += DAY
    with pytest.raises(LimitReached):
        reserve(other, [record("b", 1)], tasks(1))


def test_to_forget_jobs_frees_nothing(ledgers: Ledgers) -> None:
    store = ledgers.open()
    for one, told in zip(records(1, 1), (0.25, None), strict=True):
        task = send(store, one)
        store.record_result(one.fingerprint, Result(task.id, cost=told))
        store.record_delivered(one.fingerprint)
    assert store.prune(0) == 2
    assert used(store, tasks(1)) == (2, 1.25 * MICRO)
    assert [(day.tasks, day.charged, day.expected) for day in store.spending(0)] == [(2, 0.25, 1)]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones of its own")
@pytest.mark.parametrize("period", [A_DAY, A_MONTH])
def test_a_day_that_has_midnight_twice_begins_with_the_first(
    monkeypatch: pytest.MonkeyPatch, period: Period
) -> None:
    """In Havana 1 November 2020 was set back at 1:00 to 0:00, in summer time at 4:00 UTC."""
    monkeypatch.setenv("TZ", "CST5CDT4,M3.2.0/0,M11.1.0/1")
    time.tzset()
    try:
        midnight = 1_604_203_200.0
        for season in (NOON, NOON - 182 * DAY):  # what was reckoned before changes nothing
            start_of(period, season)
            for hours in (0, 0.5, 1, 1.5, 12, 24.9):
                assert start_of(period, midnight + hours * 3600) == midnight
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


# -- from the order to its end ------------------------------------------------------------------


class Shop:
    """A Runner whose orders cost what their payload says, under limits of the environment."""

    def __init__(self, play: Play, monkeypatch: pytest.MonkeyPatch, ledger: Store) -> None:
        self.play = play
        self.ledger = ledger
        self.cloud = play.cloud()
        self.runner = Runner(play.engine, ledger, price=self.price)
        self._monkeypatch = monkeypatch
        self.asked: list[str] = []

    def price(self, request: Request, base_url: str) -> Price | None:
        self.asked.append(base_url)
        value = request.payload.get("costs")
        return value and Price(Amount(value, "CNY"), Origin.OWN, value, value)

    def limit(self, **limits: object) -> None:
        for name, value in limits.items():
            self._monkeypatch.setenv(f"SKYPORT_LIMIT_{name.upper()}", str(value))

    async def begin(self, *requests: Request) -> list[Job]:
        return await self.runner.begin_all(self.cloud, requests, Path())

    async def carry(self, *requests: Request) -> None:
        for job in await self.begin(*requests):
            with suppress(SkyportError):
                await ended(job)
                self.runner.record_delivered(job)


@pytest.fixture
def shop(play: Play, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(play, monkeypatch, in_memory())


def eight(folder: Path, **more: Any) -> list[Request]:
    return [order({"n": n, "image": clip(folder), **more}) for n in range(8)]


def test_a_batch_beyond_a_limit_is_refused_before_anything_is_uploaded(
    shop: Shop, tmp_path: Path
) -> None:
    shop.limit(tasks_per_day=5)
    with pytest.raises(LimitReached, match=r"^Cloud: The limit for a day is 5 tasks\."):
        shop.play.run(shop.begin(*eight(tmp_path)))
    assert shop.cloud.log == []
    assert shop.runner.under_way() == []
    shop.play.run(shop.carry(*eight(tmp_path)[:5]))
    assert shop.cloud.counts["submit"] == 5


def test_orders_count_their_price_until_the_end(shop: Shop) -> None:
    shop.limit(cost_per_day="0.5 CNY")
    shop.play.run(shop.carry(order({"costs": 0.3})))
    with pytest.raises(
        LimitReached, match=r"0\.5 CNY. Today has 0\.3 CNY so far, .* 0\.25 CNY for 1 task more"
    ):
        shop.play.run(shop.begin(order({"costs": 0.25})))
    shop.play.run(shop.carry(order({"costs": 0.2})))
    assert set(shop.asked) == {"http://127.0.0.1:1"}


def test_a_result_is_delivered_again_whatever_the_limits_say(shop: Shop) -> None:
    shop.play.run(shop.carry(order({"costs": 1})))
    shop.limit(tasks_per_day=0, cost_per_day=0)
    shop.play.run(shop.carry(order({"costs": 1})))
    assert shop.cloud.counts["submit"] == 1


def test_equal_orders_at_once_reserve_once(shop: Shop) -> None:
    shop.limit(tasks_per_day=1)

    async def scene() -> None:
        first = await shop.begin(order())
        second, third = await shop.begin(order(), order())
        assert [second, third] == first * 2
        await ended(second)

    shop.play.run(scene())
    assert shop.cloud.counts["submit"] == 1
    assert shop.ledger.reserved() == []


def test_a_queue_of_its_own_holds_its_share_while_it_waits_for_a_slot(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    shop.limit(tasks_per_day=3)

    async def scene() -> None:
        jobs = await shop.begin(*(order(seed=n) for n in range(3)))
        with pytest.raises(LimitReached):
            await shop.begin(order(seed=3))
        for job in jobs:
            await ended(job)

    shop.play.run(scene())


@pytest.mark.parametrize("call", ["prepare", "submit"])
def test_what_fails_before_it_is_accepted_leaves_nothing_reserved(shop: Shop, call: str) -> None:
    shop.limit(tasks_per_day=1)
    shop.cloud.script[call] = [InputRejected("no", status=400)]
    shop.play.run(shop.carry(order()))
    assert shop.ledger.reserved() == []
    shop.play.run(shop.carry(order(seed=1)))
    assert shop.cloud.counts["poll"] > 0


def test_what_is_stopped_while_it_waits_leaves_nothing_reserved(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    shop.limit(tasks_per_day=2)

    async def scene() -> None:
        first, second = await shop.begin(order(), order(seed=1))
        shop.runner.leave(second, stop=True)
        with pytest.raises(SkyportError, match="nothing was charged"):
            await ended(second)
        assert shop.ledger.reserved() == []
        await shop.begin(order(seed=2))
        await ended(first)

    shop.play.run(scene())


def test_who_is_cancelled_while_it_reserves_leaves_nothing_reserved(monkeypatch: Any) -> None:
    with Play(takes=1) as play:
        shop = Shop(play, monkeypatch, in_memory())
        shop.limit(tasks_per_day=2)

        async def scene() -> None:
            beginning = asyncio.ensure_future(shop.begin(order(), order(seed=1)))
            await asyncio.sleep(0.5)
            beginning.cancel()
            await asyncio.wait({beginning})
            await asyncio.sleep(5)

        play.run(scene())
        assert shop.ledger.reserved() == []
        assert shop.runner.under_way() == []


def test_what_a_failed_task_cost_is_read_from_its_last_answer(shop: Shop) -> None:
    class Failing(Cloud):
        def poll(self, task: Task) -> TaskState:
            return TaskState(Status.FAILED, "failed", cost=0.0)

    shop.limit(cost_per_day=1)
    shop.cloud = Failing(shop.play.loop.time)
    shop.play.run(shop.carry(order({"costs": 1})))
    shop.play.run(shop.carry(order({"costs": 1}, seed=1)))
    assert shop.cloud.counts["submit"] == 2


def test_a_price_list_that_cannot_be_read_matters_only_under_a_limit_of_cost(shop: Shop) -> None:
    def broken(request: Request, base_url: str) -> Price | None:
        raise InvalidInput("prices.json is broken")

    shop.runner = Runner(shop.play.engine, shop.ledger, price=broken)
    shop.limit(tasks_per_day=2)
    shop.play.run(shop.carry(order()))
    shop.limit(cost_per_month=1)
    with pytest.raises(InvalidInput, match=r"prices\.json is broken"):
        shop.play.run(shop.begin(order(seed=1)))
    shop.play.run(shop.carry(order()))  # it was delivered, and costs nothing
    assert shop.cloud.counts["submit"] == 1


def test_a_limit_that_is_set_while_an_order_is_prepared_holds_for_it_and_names_the_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Play(takes=1) as play:
        shop = Shop(play, monkeypatch, in_memory())

        async def scene() -> None:
            (job,) = await shop.begin(order())
            shop.limit(tasks_per_day=0)
            with pytest.raises(LimitReached, match=r"^Cloud: The limit for a day is 0 tasks\."):
                await ended(job)

        play.run(scene())
        assert shop.cloud.counts["submit"] == 0


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("moment", range(6, 20))
def test_an_order_after_one_that_ends_counts_its_price_whenever_it_is_made(
    monkeypatch: pytest.MonkeyPatch, moment: int, stopped: bool
) -> None:
    """An equal one may be refused or stopped while this one is reserved, or waits for its end."""
    with Play(takes=1) as play:
        shop = Shop(play, monkeypatch, in_memory())
        shop.limit(cost_per_day="0.5 CNY")
        shop.cloud.script["submit"] = [RateLimited("later", status=429, retry_after=8)]
        shop.cloud.script["submit"] += [None if stopped else InputRejected("no", status=400)]

        async def scene() -> None:
            (first,) = await shop.begin(order({"costs": 0.3}))
            if stopped:
                leave = partial(shop.runner.leave, first, stop=True)
                asyncio.get_running_loop().call_later(8, leave)
            await asyncio.sleep(moment)
            await shop.carry(order({"costs": 0.3}), order({"costs": 0.1}, seed=1))
            (use,) = shop.ledger.used(cost(1), local=True)
            assert use.unknown == 0
            assert use.micros <= 0.5 * MICRO

        play.run(scene())
        assert shop.ledger.reserved() == []


# -- what the settings say ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "caps"),
    [
        ("5", [Cap(5)]),
        ("0", [Cap(0)]),
        (
            "20, gpugeek=5; HAPPYHORSE = 3 USD",
            [Cap(20), Cap(5, "gpugeek"), Cap(3, "happyhorse", "USD")],
        ),
        ("all=0.5 CNY\uff0c 100 credits", [Cap(0.5, "", "CNY"), Cap(100, "", "credits")]),
        ("5$, 7 \u00a5, 9 gems", [Cap(5, "", "USD"), Cap(7, "", "CNY"), Cap(9, "", "gems")]),
        ('{"all": 20, "gpugeek": "5 CNY"}', [Cap(20), Cap(5, "gpugeek", "CNY")]),
        ("20, person=5 CNY", [Cap(20), Cap(5, "person", "CNY")]),
        ('{"haiyi": [1.5, "2 CNY"]}', [Cap(1.5, "haiyi"), Cap(2, "haiyi", "CNY")]),
    ],
)
def test_a_limit_of_cost_is_written_in_one_of_these_ways(
    monkeypatch: pytest.MonkeyPatch, text: str, caps: list[Cap]
) -> None:
    monkeypatch.setenv("SKYPORT_LIMIT_COST_PER_DAY", text)
    assert list(stored.load().limit_cost_per_day) == caps
    as_text = str(stored.load().limit_cost_per_day)
    monkeypatch.delenv("SKYPORT_LIMIT_COST_PER_DAY")
    assert list(stored.save({"limit_cost_per_day": as_text}).limit_cost_per_day) == caps


def test_a_limit_for_each_person_holds_for_all_platforms_of_that_person() -> None:
    stored.save({"limit_tasks_per_day": "20, person=5"})
    found = [(limit.most, limit.platform, limit.person) for limit in limits.current()]
    assert found == [(20, "", False), (5, "", True)]


@pytest.mark.parametrize("value", [20, "20, gpugeek=5", {"all": 20, "gpugeek": 5}, 20.0])
def test_a_limit_of_tasks_in_the_file_is_a_number_a_text_or_an_object(value: object) -> None:
    found = stored.save({"limit_tasks_per_queue": value}).limit_tasks_per_queue
    assert found[0] == Cap(20)
    assert found[1:] in ((), (Cap(5, "gpugeek"),))


@pytest.mark.parametrize(
    "value",
    [
        *(-1, True, "", "x", "5 6", "1,000", "1,000 CNY"),
        *(float("nan"), float("inf"), 1e12, [5], {}),
        *("gpugek=5", "gpugeek=5, gpugeek=6", "20 gpugeek=5"),
        *("1e3", "1e+3", "5k", "5_000", "5'000", "5%", "5-10", "5 CNY/day"),
        *({"gpugeek": None}, {"gpugeek": "5, haiyi=3"}),
    ],
)
def test_a_limit_that_cannot_be_read_is_refused_by_its_name(value: object) -> None:
    for name in ("limit_tasks_per_day", "limit_cost_per_month"):
        with pytest.raises(InvalidInput, match=name):
            stored.save({name: value})


@pytest.mark.parametrize("value", [2.5, "5 CNY"])
def test_a_limit_of_tasks_is_a_whole_number_without_a_unit(value: object) -> None:
    with pytest.raises(InvalidInput, match="limit_tasks_per_day must be whole numbers such as"):
        stored.save({"limit_tasks_per_day": value})


# -- many processes -----------------------------------------------------------------------------


SLOW: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
}


def spenders(folder: Path, limit: float, seed: int, orders: int, kill: bool) -> None:
    """Three processes order side by side, some are killed; what counts never exceeds the limit."""
    chance = random.Random(seed)
    with Children() as children:
        started = [
            children.start("spend", folder, limit, chance.randrange(10**6), orders)
            for _ in range(3)
        ]
        for child in started:
            assert child.line() == "ready"
        for child in started:
            child.go()
        for child in started[1:] if kill else ():
            for _ in range(chance.randrange(orders)):
                assert float(child.line() or 0) <= limit
            child.kill()
        for child in started[: 1 if kill else 3]:
            lines = list(iter(child.line, ""))
            assert len(lines) == orders
            assert max(map(float, lines)) <= limit + 1e-9
            assert child.finish() == 0
    owner = Owner(folder / "owners")
    store = Store(folder / "ledger.db", owner)
    try:
        assert store.reserved() == []
        sums = sum(use.micros for use in store.used(cost(limit), False))
        assert 0 < sums <= round(limit * MICRO)
    finally:
        store.close()
        owner.close()


@settings(max_examples=3, **SLOW)
@given(cents=st.integers(50, 2000), seed=st.integers(0, 10**6), kill=st.booleans())
def test_processes_side_by_side_hold_one_limit_to_the_cent_whoever_is_killed(
    tmp_path_factory: pytest.TempPathFactory, cents: int, seed: int, kill: bool
) -> None:
    spenders(tmp_path_factory.mktemp("spenders"), cents / 100, seed, 64, kill)


@pytest.mark.soak
@settings(max_examples=12, **SLOW)
@given(cents=st.integers(100, 5000), seed=st.integers(0, 10**9))
def test_many_killed_processes_leave_the_limit_and_no_reservation(
    tmp_path_factory: pytest.TempPathFactory, cents: int, seed: int
) -> None:
    spenders(tmp_path_factory.mktemp("spenders"), cents / 100, seed, 200, True)
