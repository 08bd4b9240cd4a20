"""Pins how often a platform is asked: soon enough to please, seldom enough, fairly."""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bench.lateness import noticed_late
from hypothesis import given, settings
from hypothesis import strategies as st
from skyport.engine.base.errors import InvalidInput, ServerFault
from skyport.engine.base.types import Result, Status, Task, TaskState
from skyport.engine.ledger.ledger import record_of
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.platforms.provider import LiveState
from skyport.engine.tasks.polling import (
    POLLS_A_MINUTE,
    ConcurrencyLimit,
    Forecast,
    Pace,
    RateLimiter,
)
from skyport.engine.tasks.shared_rate import SharedRate
from skyport.engine.tasks.waiting import Waiting
from virtual import Cloud, Play, VirtualLoop, ended, most_within, order

POLLS_A_SECOND = 12  # what a platform is promised
GOAL = 0.75  # seconds
LENGTHS = (3, 30, 58, 240, 3600)


def evenly(length: float, count: int = 300) -> list[float]:
    """Task lengths around `length` that meet every moment between two polls alike."""
    spread = 3.0  # two polls
    first = max(0.8, length - spread / 2)
    return [first + spread * (n + 0.5) / count for n in range(count)]


# -- how late an end is noticed -------------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
def test_half_of_all_tasks_nothing_is_known_of_are_noticed_within_the_goal(length: float) -> None:
    lates = [noticed_late(lasts) for lasts in evenly(length)]
    assert statistics.median(lates) <= GOAL
    assert max(lates) <= 1.51


@pytest.mark.parametrize("length", LENGTHS)
def test_a_forecast_never_makes_it_worse_however_wrong_it_is(length: float) -> None:
    chance = random.Random(length)
    for error in (0.02, 0.2, 1.0):
        lates = [
            noticed_late(lasts, usual=lasts * max(0.1, chance.gauss(1, error)))
            for lasts in evenly(length, 200 if length > 1000 else 1000)
        ]
        assert statistics.median(lates) <= GOAL * 1.05  # a sample's median is not exact


@pytest.mark.parametrize("length", [3, 30, 58])
def test_the_end_of_a_task_that_tells_its_progress_is_foreseen(length: float) -> None:
    lates = [noticed_late(lasts, tells=True) for lasts in evenly(length)]
    assert statistics.median(lates) <= GOAL / 2


def test_a_model_that_always_takes_as_long_is_soon_foreseen(tmp_path: Path) -> None:
    with Play() as play:
        cloud = play.cloud(lasts=20.3)
        lates = []
        for seed in range(12):
            play.result(cloud, order(seed=seed), tmp_path)
            lates.append(cloud.times("poll")[-1] - cloud.end(str(seed + 1)))
    assert statistics.median(lates[4:]) <= GOAL / 2 < lates[0]


def test_after_a_restart_the_ledger_tells_how_long_a_model_takes(tmp_path: Path) -> None:
    clock = [0.0]
    ledger = Store(None, Owner(None), lambda: clock[0])
    for seed in range(6):
        ledger.record_intent(known := record_of(order(seed=seed), "http://127.0.0.1:1"))
        ledger.record_accepted(known, Task("cloud", "make", str(seed)))
        clock[0] += 20.3
        ledger.record_result(known.fingerprint, Result(str(seed)))
    with Play(ledger) as play:
        cloud = play.cloud(lasts=20.3)
        play.result(cloud, order(seed=7), tmp_path)
        assert cloud.times("poll")[-1] - cloud.end("1") <= GOAL / 2
    assert ledger.past_durations("cloud", "make", "another model") == []


def test_the_middle_between_two_polls_is_what_is_learnt_of_a_task() -> None:
    pace = Pace(100.0)
    pace.record_poll(101.0)
    assert pace.duration() == 0.5
    pace.record_poll(103.0)
    assert pace.duration() == 2.0
    pace.record_poll(120.0, is_told=True)
    assert pace.duration() == 20.0


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.15])
@pytest.mark.parametrize("length", [1, 3, 10, 30, 60])
def test_the_end_of_a_model_that_varies_little_is_noticed_within_a_blink(
    length: float, spread: float
) -> None:
    chance = random.Random(length)
    known = [length * chance.gauss(1, spread) for _ in range(20)]
    waits = [waited(length * max(0.3, chance.gauss(1, spread)), known) for _ in range(400)]
    assert statistics.median(late for late, _ in waits) <= (0.3 if length * spread < 6 else 0.4)
    assert max(late for late, _ in waits) <= 6.0
    assert max(polls for _, polls in waits) <= 40 if length <= 30 else 80


@given(
    st.lists(st.floats(1, 300), min_size=10, max_size=20),
    st.floats(0.1, 900),
)
@settings(max_examples=200)
def test_polls_saved_up_for_the_end_are_no_more_than_40_a_minute_of_the_task(
    known: list[float], lasts: float
) -> None:
    late, polls = waited(lasts, known)
    assert polls <= 40 * max(1.0, (lasts + late) / 60.0) + 1  # the first one is early


def test_a_model_that_varies_much_or_is_hardly_known_is_polled_steadily() -> None:
    assert Forecast(0.0, [20.0] * 9).spread is None
    assert Forecast(0.0, [20.0] * 10).spread == 0.0
    assert Forecast(0.0, [10.0, 20.0, 30.0, 40.0, 50.0] * 3).spread is None


def waited(lasts: float, known: list[float]) -> tuple[float, int]:
    """How late the end of a task is noticed after tasks of `known` lengths, and its polls."""
    pace, forecast, polls = Pace(0.0), Forecast(0.0, known), 0
    while True:
        now = pace.next_poll(forecast.expected_end(), forecast.spread)
        pace.record_poll(now)
        polls += 1
        if now >= lasts:
            return now - lasts, polls


# -- how often it asks ----------------------------------------------------------------------


def polls_of(pace: Pace, ends: list[float | None], until: float) -> list[float]:
    """When `pace` polls, told another expected end (seconds from now) after each poll."""
    times: list[float] = []
    while not times or times[-1] < until:
        end = ends[len(times) % len(ends)]
        now = times[-1] if times else 0.0
        due = pace.next_poll(None if end is None else now + end)
        times.append(max(now, due))
        pace.record_poll(times[-1])
    return times


@given(st.lists(st.none() | st.floats(-100, 100), min_size=1, max_size=60))
@settings(max_examples=200)
def test_whatever_is_expected_a_minute_never_holds_more_than_40_polls(
    ends: list[float | None],
) -> None:
    times = polls_of(Pace(0.0), ends, until=300.0)
    assert most_within(times, 60.0) <= POLLS_A_MINUTE == 40
    assert all(b > a for a, b in pairwise(times))
    assert most_within(times, 10.0) >= 5  # and it never falls asleep


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
@settings(max_examples=30)
def test_polls_made_again_after_an_error_count_too(failures: list[int]) -> None:
    with Play() as play:
        cloud = play.cloud(lasts=200)
        for count in failures * 30:
            cloud.script["poll"] += [ServerFault("busy", status=500)] * count + [None]
        play.result(cloud, order(), Path())
        assert most_within(cloud.times("poll"), 60.0) <= 40


def test_a_fresh_look_for_an_expired_link_keeps_to_the_allowance_too() -> None:
    pace = Pace(0.0)
    polls_of(pace, [None], until=60.0)
    assert pace.next_poll() >= pace.earliest_poll()


# -- a platform's share ---------------------------------------------------------------------


def crowd(count: int, lasts: float, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A platform that `count` tasks were waited for at once."""
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", str(count))
    with Play() as play:
        cloud = play.cloud(lasts=lasts)

        async def scene() -> None:
            tasks = (play.carried(cloud, order(seed=n), Path()) for n in range(count))
            await asyncio.gather(*tasks)

        play.run(scene())
    return cloud


def test_a_hundred_tasks_share_twelve_polls_a_second_fairly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud = crowd(100, 600.0, monkeypatch)
    assert most_within(cloud.times("poll"), 1.0) <= POLLS_A_SECOND
    waiting = [what for call, what, at in cloud.log if call == "poll" and at < 1600.0]
    shares = Counter(waiting).values()
    assert len(shares) == 100
    assert max(shares) - min(shares) <= 1
    late = [cloud.times("poll", task)[-1] - cloud.end(task) for task in map(str, range(1, 101))]
    assert max(late) <= 100 / 11 + 0.1  # once around


@pytest.mark.parametrize("tasks", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_thousands_of_tasks_wait_without_a_thread_each(
    monkeypatch: pytest.MonkeyPatch, tasks: int
) -> None:
    before = set(threading.enumerate())
    cloud = crowd(tasks, 300.0, monkeypatch)
    assert len(set(threading.enumerate()) - before) < 10  # those of other tests come and go
    assert cloud.counts["submit"] == tasks
    assert most_within(cloud.times("poll"), 1.0) <= POLLS_A_SECOND
    assert cloud.counts["poll"] <= max(2 * tasks, 500 * POLLS_A_SECOND)


def test_platforms_do_not_slow_each_other() -> None:
    async def scene() -> tuple[float, float]:
        one, other = RateLimiter(1.0), RateLimiter(1.0)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(one.wait(), other.wait(), one.wait())
        return began, asyncio.get_running_loop().time()

    began, ended = run(scene())
    assert ended - began == pytest.approx(1.0)


def test_a_gate_lets_callers_pass_in_the_order_they_came() -> None:
    passed: list[tuple[int, float]] = []

    async def one(gate: RateLimiter, number: int) -> None:
        await gate.wait()
        passed.append((number, asyncio.get_running_loop().time() - 1000.0))

    async def scene() -> None:
        gate = RateLimiter(4.0)
        await asyncio.gather(*(one(gate, n) for n in range(5)))

    run(scene())
    assert passed == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]


def test_callers_that_go_ahead_take_the_slots_of_others_and_are_bounded_too() -> None:
    passed: dict[str, float] = {}

    async def one(gate: RateLimiter, name: str, ahead: bool) -> None:
        await gate.wait(ahead=ahead)
        passed[name] = asyncio.get_running_loop().time() - 1000.0

    async def scene() -> None:
        gate = RateLimiter(4.0)
        ahead = (one(gate, f"told {n}", True) for n in range(18))
        await asyncio.gather(one(gate, "first", False), *ahead, one(gate, "last", False))

    run(scene())
    assert [passed[f"told {n}"] for n in range(18)] == [0.0] * 16 + [0.25, 0.5]
    assert passed["last"] == 19 * 0.25


def test_who_stops_waiting_for_a_slot_leaves_it_to_the_next() -> None:
    async def scene() -> float:
        gate = RateLimiter(4.0)
        await gate.wait()
        gone, stays = (asyncio.ensure_future(gate.wait()) for _ in range(2))
        await asyncio.sleep(0.2)
        gone.cancel()
        await stays
        return asyncio.get_running_loop().time() - 1000.0

    assert run(scene()) == 0.25


class Answers:
    """A ledger that has these answers to the question for a share, the last one for ever."""

    def __init__(self, *shares: float | None) -> None:
        self.shares = [*shares]
        self.given_back = 0

    async def in_thread(self, call: Any) -> Any:
        return call()

    def take_share(self, scope: str, allowed: float) -> float | None:
        return self.shares.pop(0) if len(self.shares) > 1 else self.shares[0]

    def give_back_share(self, scope: str) -> None:
        self.given_back += 1


@pytest.mark.parametrize(
    ("shares", "times"),
    [
        ([2.0], [0.0, 0.5, 1.0, 1.5]),
        ([None], [0.0, 1.0, 2.0, 3.0]),  # nobody can say
        ([1.0, None], [0.0, 1.0, 2.0, 3.0]),
        ([0.0, 2.0], [0.0, 5.0, 5.5, 6.0]),  # what is nothing at first grows soon
    ],
)
def test_callers_pass_at_the_share_of_now(shares: list[float | None], times: list[float]) -> None:
    ledger = Answers(*shares)
    passed: list[float] = []

    async def one(rate: SharedRate) -> None:
        await rate.wait()
        passed.append(asyncio.get_running_loop().time() - 1000.0)

    async def scene() -> None:
        rate = SharedRate(ledger, ledger.in_thread, "cloud", 11.0)
        await asyncio.gather(*(one(rate) for _ in range(4)))
        await asyncio.sleep(30.0)
        assert ledger.given_back == 1

    run(scene())
    assert passed == pytest.approx(times, abs=0.01)


def test_who_comes_as_a_share_is_given_back_takes_a_new_one() -> None:
    ledger = Answers(2.0)

    async def in_thread(call: Any) -> Any:
        await asyncio.sleep(1.0)
        return call()

    async def scene() -> float:
        rate = SharedRate(ledger, in_thread, "cloud", 11.0)
        await rate.wait()
        while not ledger.given_back:
            await asyncio.sleep(0.1)
            came = asyncio.get_running_loop().time()
        await rate.wait()
        return asyncio.get_running_loop().time() - came

    assert run(scene()) <= 2.2


# -- slots ----------------------------------------------------------------------------------


def run(scene):  # type: ignore[no-untyped-def]
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(scene)
    finally:
        loop.close()


def test_slots_are_given_in_the_order_they_were_asked_for() -> None:
    entered: list[int] = []

    async def one(slots: ConcurrencyLimit, number: int) -> None:
        await slots.acquire()
        entered.append(number)
        await asyncio.sleep(1)
        slots.release()

    async def scene() -> None:
        slots = ConcurrencyLimit(lambda: 2)
        await asyncio.gather(*(one(slots, n) for n in range(6)))

    run(scene())
    assert entered == [0, 1, 2, 3, 4, 5]


def test_a_raised_limit_lets_waiting_ones_in_when_the_next_one_asks() -> None:
    limit = 1

    async def scene() -> tuple[bool, bool]:
        nonlocal limit
        slots = ConcurrencyLimit(lambda: limit)
        await slots.acquire()
        second = asyncio.ensure_future(slots.acquire())
        await asyncio.sleep(1)
        before = second.done()
        limit = 3
        await slots.acquire()
        await asyncio.sleep(0)
        return before, second.done()

    assert run(scene()) == (False, True)


def test_one_who_stops_waiting_takes_no_slot_with_him() -> None:
    async def scene() -> None:
        slots = ConcurrencyLimit(lambda: 1)
        await slots.acquire()
        gone, stored = (asyncio.ensure_future(slots.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        slots.release()
        await stored
        at_once = [asyncio.ensure_future(slots.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        slots.release()
        at_once[0].cancel()  # its turn had just come
        await asyncio.sleep(0)
        await at_once[1]

    run(asyncio.wait_for(scene(), 5))


def test_settings_broken_while_tasks_run_strand_nobody() -> None:
    broken = False

    def limit() -> int:
        if broken:
            raise InvalidInput("settings.json is broken")
        return 1

    async def scene() -> None:
        nonlocal broken
        slots = ConcurrencyLimit(limit)
        await slots.acquire()
        waiting = asyncio.ensure_future(slots.acquire())
        await asyncio.sleep(0)
        broken = True
        slots.release()
        await waiting
        with pytest.raises(InvalidInput):
            await slots.acquire()
        slots.release()
        broken = False
        await slots.acquire()

    run(asyncio.wait_for(scene(), 5))


# -- the forecast ---------------------------------------------------------------------------


def test_progress_tells_the_end_better_than_habit() -> None:
    forecast = Forecast(0.0, (100.0,))
    assert forecast.expected_end() == 100.0
    forecast.observe(10.0, 0.2)
    assert forecast.expected_end() == 100.0  # one look tells no speed
    forecast.observe(20.0, 0.4)
    assert forecast.expected_end() == pytest.approx(50.0)


def test_progress_that_says_nothing_is_not_believed() -> None:
    forecast = Forecast(0.0)
    for now, share in ((1.0, 0.0), (2.0, None), (3.0, 1.0), (4.0, 0.9), (5.0, 0.1)):
        forecast.observe(now, share)
    assert forecast.expected_end() is None


# -- a status of no table -----------------------------------------------------------------------


def thinking(number: int, progress: float | None = None) -> TaskState:
    """An answer with an id and a counter of its own, as platforms number what they answer."""
    details = (("ran", f"{number} s"), ("traceid", f"5f2c{number}"))
    return TaskState(Status.RUNNING, "thinking", progress, known=False, details=details)


def test_an_id_of_each_answers_own_is_no_change_of_a_status_of_no_table() -> None:
    waiting = Waiting(0.0, submitted=0.0)
    taken = [waiting.take(thinking(now), now) for now in (0, 300, 599)]
    assert (taken, waiting.unresolved) == ([False] * 3, "")
    assert waiting.take(thinking(600), 600)
    assert '"thinking" for 10 minutes' in waiting.unresolved


def test_progress_is_a_change_of_a_status_of_no_table() -> None:
    waiting = Waiting(0.0, submitted=0.0)
    assert not any(waiting.take(thinking(now, now / 6000), now) for now in range(0, 3600, 300))


def test_news_of_the_end_of_a_task_end_the_wait_at_once(play: Play, tmp_path: Path) -> None:
    class Tells(Cloud):
        def on_end(self, task: Task, wake: Callable[[], None]) -> None:
            play.loop.call_at(self.end(task.id), wake)

    cloud = Tells(play.loop.time, lasts=10.3)
    play.result(cloud, order(), tmp_path)
    assert cloud.times("poll")[-1] == pytest.approx(cloud.end("1"), abs=0.001)


def test_tasks_that_end_together_and_tell_it_are_all_seen_at_once(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Tells(Cloud):
        def on_end(self, task: Task, wake: Callable[[], None]) -> None:
            play.loop.call_at(self.end(task.id), wake)

    async def scene() -> None:
        await asyncio.gather(*(play.carried(cloud, order(seed=n), tmp_path) for n in range(16)))

    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "16")
    cloud = Tells(play.loop.time, lasts=10.3)
    play.run(scene())
    lates = [cloud.times("poll", task)[-1] - cloud.end(task) for task in map(str, range(1, 17))]
    assert max(lates) == pytest.approx(0.0, abs=0.001)


def test_news_that_come_while_a_poll_waits_in_line_let_it_go_ahead_at_once(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Tells(Cloud):
        def on_end(self, task: Task, wake: Callable[[], None]) -> None:
            if task.id == "60":
                play.loop.call_at(self.end(task.id), wake)

    async def scene() -> None:
        others = (order({"lasts": 100.0}, seed=n) for n in range(59))
        tasks = [play.carried(cloud, one, tmp_path) for one in others]
        await asyncio.gather(*tasks, play.carried(cloud, order(seed=60), tmp_path))

    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "60")
    cloud = Tells(play.loop.time, lasts=20.0)
    play.run(scene())
    polls = cloud.times("poll", "60")
    assert polls[-1] - cloud.end("60") == pytest.approx(0.0, abs=0.001)
    assert most_within(cloud.times("poll"), 1.0) <= POLLS_A_SECOND


def test_each_server_of_a_platform_is_polled_as_often_as_one_alone(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Pool(Cloud):
        def polled_address(self, task: Task) -> str:
            return f"http://127.0.0.1:{int(task.id) % 10}"

    async def scene() -> None:
        tasks = (play.carried(cloud, order(seed=n), tmp_path) for n in range(160))
        await asyncio.gather(*tasks)

    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "160")
    cloud = Pool(play.loop.time, lasts=30.0)
    play.run(scene())
    lates = [cloud.times("poll", task)[-1] - cloud.end(task) for task in map(str, range(1, 161))]
    assert max(lates) <= 1.6
    for server in range(10):
        mine = [at for call, task, at in cloud.log if call == "poll" and int(task) % 10 == server]
        assert most_within(mine, 1.0) <= POLLS_A_SECOND


# -- a platform that tells the end itself -------------------------------------------------------


class Live(Cloud):
    """Tells the end of a task, with the node that runs, over a connection that may break.

    breaks  when it does, seconds after the submit
    loses   whether what it tells is lost on the way
    """

    def __init__(self, play: Play, lasts: float, breaks: float = 1e9, **how: Any) -> None:
        super().__init__(play.loop.time, lasts, **how)
        self.play, self.breaks, self.loses = play, breaks, how.get("loses", False)

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState:
        self.began = self.clock()
        if not self.loses and self.lasts < self.breaks:
            self.play.loop.call_at(self.end(task.id), wake)
        return self.live_state

    def live_state(self, state: TaskState) -> TaskState | None:
        passed = self.clock() - self.began
        return replace(state, node=f"{passed:.1f} s") if passed < self.breaks else None

    def polled(self) -> list[float]:
        return [round(at - self.began, 2) for at in self.times("poll")]


def test_a_task_whose_end_will_be_told_is_polled_seldom_and_its_end_is_seen_at_once(
    play: Play, tmp_path: Path
) -> None:
    cloud = Live(play, lasts=40.3)
    play.result(cloud, order(), tmp_path)
    assert cloud.polled() == [0.75, 15.75, 30.75, 40.3]


def test_a_task_whose_connection_breaks_is_polled_as_without_one_at_once(
    play: Play, tmp_path: Path
) -> None:
    cloud = Live(play, lasts=14.3, breaks=9.0)
    play.result(cloud, order(), tmp_path)
    assert cloud.polled() == [0.75, 9.75, 11.25, 12.75, 14.25, 15.75]


def test_an_end_that_is_lost_on_the_way_is_seen_by_a_poll_all_the_same(
    play: Play, tmp_path: Path
) -> None:
    cloud = Live(play, lasts=20.0, loses=True)
    play.result(cloud, order(), tmp_path)
    assert cloud.polled() == [0.75, 15.75, 30.75]


def test_polls_without_an_answer_are_repeated_whatever_the_connection_says(
    play: Play, tmp_path: Path
) -> None:
    cloud = Live(play, lasts=20.0, loses=True)
    cloud.script["poll"] = [None, *[ServerFault("busy", status=500)] * 2]
    play.result(cloud, order(), tmp_path)
    assert cloud.polled() == [0.75, 15.75, 17.25, 20.25]


def test_the_node_that_runs_is_shown_between_polls(play: Play, tmp_path: Path) -> None:
    cloud = Live(play, lasts=40.0)

    async def scene() -> list[str]:
        job = await play.runner.begin(cloud, order(), tmp_path)
        shown = []
        for _ in range(4):
            await play.pause(3.0)
            assert job.snapshot.state is not None
            shown.append(job.snapshot.state.node)
        await ended(job)
        return shown

    assert play.run(scene()) == ["2.2 s", "5.2 s", "8.2 s", "11.2 s"]


def test_a_task_that_waits_in_a_queue_is_polled_for_its_position(
    play: Play, tmp_path: Path
) -> None:
    class Queue(Live):
        def poll(self, task: Task) -> TaskState:
            state = super().poll(task)
            return state if state.status.terminal else replace(state, status=Status.QUEUED)

    cloud = Queue(play, lasts=12.0)
    play.result(cloud, order(), tmp_path)
    assert cloud.polled() == [0.75, 5.75, 10.75, 12.0]


def test_an_interrupt_between_seldom_polls_takes_nobody_for_silent(
    play: Play, tmp_path: Path
) -> None:
    cloud = Live(play, lasts=20.0)

    async def scene() -> Result:
        job = await play.runner.begin(cloud, order(), tmp_path)
        await play.pause(14.0)
        play.runner.leave(job, stop=True)
        return await ended(job)

    assert play.run(scene()).files is not None
    assert cloud.counts["cancel"] == 1


def test_a_crowd_whose_ends_will_be_told_is_seen_to_its_end_within_the_rate(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def scene() -> None:
        await asyncio.gather(*(play.carried(cloud, order(seed=n), tmp_path) for n in range(200)))

    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "200")
    cloud = Live(play, lasts=100.0)
    play.run(scene())
    assert cloud.counts["poll"] <= 110 * POLLS_A_SECOND
