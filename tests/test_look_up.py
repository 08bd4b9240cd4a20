"""Pins that an order whose answer was lost is looked up at its platform: found, it is waited for;
surely not there, it is sent again under the same id; and never twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from skyport.engine.base.errors import (
    InputRejected,
    OutcomeUnknown,
    ServerFault,
    SkyportError,
    TransportError,
)
from skyport.engine.base.types import Output, Report, Request, Status, Task, TaskState, no_report
from skyport.engine.ledger.ledger import EVERYTHING, Row, State, fingerprint_of
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.tasks import history
from skyport.engine.tasks.job import Job
from skyport.engine.tasks.look_up import SECOND_LOOK
from test_collector import Process
from test_outcomes import LOST, REFUSED, SILENT, Orders, Platform, World
from virtual import Cloud, Play, ended, order

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def cut() -> TransportError:
    return TransportError("the connection was cut")


class Asked(Cloud):
    """A platform that can be asked what became of an order.

    arrives  whether the next submits, in turn, arrive: their answer is lost; then all go well
    made     task ids by order id
    sent     the order ids of all submits, whether they arrived or not
    """

    def __init__(self, clock: Callable[[], float], **how: Any) -> None:
        super().__init__(clock, **how)
        self.http.has_answered = True  # it is no wrong address
        self.arrives: list[bool] = []
        self.made: dict[str, list[str]] = {}
        self.sent: list[str] = []
        self.asked: list[Request] = []

    def submit(self, request: Request, report: Report = no_report) -> str:
        self.sent.append(request.order_id)
        lost = bool(self.arrives)
        if lost and not self.arrives.pop(0):
            self._note("submit", "lost")
            raise cut()
        task_id = super().submit(request, report)
        self.made.setdefault(request.order_id, []).append(task_id)
        if lost:
            raise cut()
        return task_id

    def look_up(self, request: Request) -> str | TaskState | None:
        self.asked.append(request)
        self._note("look_up", request.order_id)
        return next(iter(self.made.get(request.order_id, ())), None)


@pytest.fixture
def asked(play: Play) -> Asked:
    return Asked(play.loop.time)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.die()


def rows_of(play: Play) -> list[Row]:
    return list(play.runner.ledger.rows(EVERYTHING))  # type: ignore[attr-defined]


# -- the order id -------------------------------------------------------------------------------


def test_every_order_is_prepared_and_sent_with_a_uuid_of_its_own(
    play: Play, tmp_path: Path
) -> None:
    seen: list[str] = []

    class Prepares(Cloud):
        def prepare(self, request: Request) -> Request:
            seen.append(request.order_id)
            return Request(request.platform, request.endpoint, request.payload)

    cloud = Prepares(play.loop.time)
    for seed in range(2):
        play.result(cloud, order(seed=seed), tmp_path)
    assert seen == [request.order_id for request in cloud.requests]
    assert all(map(UUID.fullmatch, seen))
    assert len(set(seen)) == 2


def test_the_order_id_is_no_part_of_what_makes_orders_equal() -> None:
    with_id = order(order_id="3f0c9d8e-0000-4000-8000-000000000000")
    assert fingerprint_of(with_id, "http://x") == fingerprint_of(order(), "http://x")
    assert with_id == order()


# -- an answer that is lost ---------------------------------------------------------------------


def test_a_task_whose_answer_was_lost_is_found_and_waited_for(
    play: Play, asked: Asked, tmp_path: Path
) -> None:
    asked.arrives = [True]
    result = play.result(asked, order(), tmp_path)
    assert (result.texts, result.warnings) == (("done",), ())
    assert asked.counts["submit"] == 1
    assert [row.state for row in rows_of(play)] == [State.DELIVERED]


def test_what_never_arrived_is_sent_again_under_its_id_once_a_second_look_says_so(
    play: Play, asked: Asked, tmp_path: Path
) -> None:
    asked.arrives = [False]
    assert play.result(asked, order(), tmp_path).warnings == ()
    first, second = asked.times("look_up")
    assert second - first == SECOND_LOOK
    assert asked.sent == [asked.sent[0]] * 2
    assert [row.state for row in rows_of(play)] == [State.DELIVERED]


def test_what_is_seen_at_the_second_look_only_is_not_sent_again(
    play: Play, asked: Asked, tmp_path: Path
) -> None:
    asked.arrives = [True]
    late = iter([None])
    found = asked.look_up
    asked.look_up = lambda request: next(late, found(request))  # type: ignore[method-assign]
    play.result(asked, order(), tmp_path)
    assert asked.counts["submit"] == 1


def test_what_never_arrives_is_sent_three_times_and_has_failed_uncharged(
    play: Play, asked: Asked, tmp_path: Path
) -> None:
    asked.arrives = [False] * 9
    with pytest.raises(TransportError, match="never arrived at the platform; nothing was charged"):
        play.result(asked, order(), tmp_path)
    assert asked.sent == [asked.sent[0]] * 3
    assert [row.state for row in rows_of(play)] == [State.FAILED]


@pytest.mark.parametrize("silence", [cut(), ServerFault("down", status=500), KeyError("jobs")])
def test_while_the_platform_does_not_say_the_order_is_unknown_and_never_sent_again(
    play: Play, asked: Asked, tmp_path: Path, silence: Exception
) -> None:
    asked.arrives = [True]
    asked.script["look_up"] = [silence] * 99
    for _ in range(3):  # each of these tells a person
        with pytest.raises(OutcomeUnknown, match="asked again in the background"):
            play.result(asked, order(), tmp_path)
    assert [row.state for row in rows_of(play)] == [State.UNKNOWN]
    asked.script["look_up"].clear()
    assert play.result(asked, order(), tmp_path).warnings == ()
    assert asked.counts["submit"] == 1


def test_an_order_that_can_be_looked_up_is_ordered_anew_by_a_person_only(
    play: Play, asked: Asked, tmp_path: Path
) -> None:
    asked.arrives = [True]
    asked.script["look_up"] = [cut()] * 99
    with pytest.raises(OutcomeUnknown):
        play.result(asked, order(), tmp_path)
    [row] = rows_of(play)
    play.run(history.order_anew(play.runner, row))
    assert play.result(asked, order(), tmp_path).texts == ("done",)
    assert asked.counts["submit"] == 2
    assert [row.state for row in rows_of(play)] == [State.DELIVERED, State.UNKNOWN]


def test_a_refusal_is_not_looked_up(play: Play, asked: Asked, tmp_path: Path) -> None:
    asked.script["submit"] = [InputRejected("no such node", status=400)]
    with pytest.raises(InputRejected):
        play.result(asked, order(), tmp_path)
    assert asked.counts["look_up"] == 0


def test_a_platform_that_cannot_be_asked_is_not(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.http.has_answered = True
    cloud.script["submit"] = [cut()]
    with pytest.raises(OutcomeUnknown, match="may have been charged"):
        play.result(cloud, order(), tmp_path)
    [row] = rows_of(play)
    assert (row.told, row.can_be_looked_up) == (True, False)


def test_an_order_that_has_its_result_already_is_found_with_it(
    play: Play, asked: Asked, tmp_path: Path
) -> None:
    asked.arrives = [False]
    done = TaskState(Status.SUCCEEDED, "success", outputs=(Output(text="there"),), task_id="7")
    asked.look_up = lambda request: done  # type: ignore[method-assign]
    assert play.result(asked, order(), tmp_path).texts == ("there",)
    assert (asked.counts["submit"], asked.counts["poll"]) == (1, 0)


# -- a process that died ------------------------------------------------------------------------


class Crashed(Exception):
    """The process has died: nothing it still does matters."""


def crash(process: Process, asked: Asked, *, arrived: bool, **request: Any) -> Process:
    """The process after one that died before the answer of its submit."""
    runner, submit = process.play.runner, asked.submit

    def dies(sent: Request, report: Report = no_report) -> str:
        if arrived:
            submit(sent, report)
        else:
            asked.sent.append(sent.order_id)
        runner.ledger.record_end = lambda *_: None  # type: ignore[method-assign]
        raise Crashed

    asked.submit = dies  # type: ignore[method-assign]
    asked.script["look_up"] = [cut()] * 99
    with pytest.raises(SkyportError):
        process.play.result(asked, order(**request), process.into)
    process.die()
    asked.submit = submit  # type: ignore[method-assign]
    asked.script["look_up"] = []
    after = Process(process.into.parent)
    asked.clock = after.play.loop.time
    return after


@pytest.mark.parametrize("arrived", [True, False])
def test_after_a_crash_the_next_queue_looks_the_order_up_and_asks_nobody(
    process: Process, arrived: bool
) -> None:
    asked = Asked(process.play.loop.time)
    after = crash(process, asked, arrived=arrived, seed=3)
    result = after.play.result(asked, order(seed=3), after.into)
    assert (result.texts, result.warnings) == (("done",), ())
    assert list(asked.made) == [asked.sent[0]]
    assert asked.sent == [asked.sent[0]] * (1 if arrived else 2)
    assert asked.counts["submit"] == 1
    after.die()


def test_after_a_crash_the_collector_finds_the_task_and_fetches_its_result(
    process: Process,
) -> None:
    asked = Asked(process.play.loop.time)
    after = crash(process, asked, arrived=True)
    after.collects_for(60.0, after.connect(asked))
    [row] = after.keeper.disk.rows(EVERYTHING)  # type: ignore[union-attr]
    assert (row.state, row.result and row.result.texts) == (State.SUCCEEDED, ("done",))
    assert asked.counts["submit"] == 1
    after.die()


def test_after_a_crash_the_collector_sends_nothing_again(process: Process) -> None:
    asked = Asked(process.play.loop.time)
    after = crash(process, asked, arrived=False)
    after.collects_for(60.0, after.connect(asked))
    [row] = after.keeper.disk.rows(EVERYTHING)  # type: ignore[union-attr]
    assert row.state is State.FAILED
    assert "nothing was charged" in row.error
    assert asked.counts["submit"] == 0
    assert after.play.result(asked, order(), after.into).texts == ("done",)
    after.die()


def test_a_silent_platform_is_asked_ever_more_seldom_by_the_collector(process: Process) -> None:
    asked = Asked(process.play.loop.time)
    after = crash(process, asked, arrived=True)
    asked.script["look_up"] = [ServerFault("down", status=500)] * 999
    before = asked.counts["look_up"]
    after.collects_for(3600.0, after.connect(asked))
    assert 5 * 4 <= asked.counts["look_up"] - before <= 5 * 8  # each look is repeated
    asked.script["look_up"] = []
    assert after.play.result(asked, order(), after.into).texts == ("done",)
    assert asked.counts["submit"] == 1
    after.die()


def test_the_job_itself_may_be_loaded_which_looks_it_up(process: Process) -> None:
    asked = Asked(process.play.loop.time)
    after = crash(process, asked, arrived=True)
    after.keeper.recover()
    row = history.find(after.keeper, "1")

    async def loaded() -> Any:
        runner, connect = after.play.runner, after.connect(asked)
        job = await history.fetch(runner, connect, row, after.into)
        return await ended(job)  # type: ignore[arg-type]

    assert after.play.run(loaded()).texts == ("done",)
    after.die()


def test_an_equal_order_waits_for_the_collectors_look_and_is_sent_then(process: Process) -> None:
    asked = Asked(process.play.loop.time)
    after = crash(process, asked, arrived=False)

    async def scene() -> Any:
        await after.play.engine.blocking(after.keeper.recover)
        row = after.row(fingerprint_of(order(), asked.http.base_url))
        await after.play.runner.resume(asked, row, after.into)
        job = await after.play.runner.begin(asked, order(), after.into)
        return await ended(job)

    assert after.play.run(scene()).texts == ("done",)
    assert asked.counts["submit"] == 1
    after.die()


def test_what_is_asked_after_a_crash_is_what_was_sent_and_where(process: Process) -> None:
    class Chooses(Asked):
        def prepare(self, request: Request) -> Request:
            return Request(request.platform, "attic", request.payload)

        def poll(self, task: Task) -> TaskState:
            assert task.endpoint == "attic"
            return super().poll(task)

    asked = Chooses(process.play.loop.time)
    after = crash(process, asked, arrived=True, payload={"prompt": "a fox"})
    after.play.result(asked, order({"prompt": "a fox"}), after.into)
    seen = asked.asked[-1]
    assert (seen.endpoint, seen.payload, seen.order_id) == (
        "attic",
        {"prompt": "a fox"},
        asked.sent[0],
    )
    after.die()


def test_a_task_is_polled_where_it_was_sent_after_a_restart_too(process: Process) -> None:
    class Chooses(Cloud):
        def prepare(self, request: Request) -> Request:
            return Request(request.platform, "attic", request.payload)

    cloud = Chooses(process.play.loop.time, lasts=30.0)
    process.begins(cloud, order())
    process.die()
    after = Process(process.into.parent)
    cloud.clock = after.play.loop.time
    row = after.row(fingerprint_of(order(), cloud.http.base_url))
    assert row.task == Task("cloud", "attic", "1")
    assert row.record.endpoint == "make"
    after.die()


def test_in_memory_the_id_is_kept_like_on_disk(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    with Play(ResilientLedger(tmp_path / "home")) as play:
        asked = Asked(play.loop.time)
        asked.arrives = [True]
        asked.script["look_up"] = [cut()] * 5
        with pytest.raises(OutcomeUnknown):
            play.result(asked, order(), tmp_path)
        assert play.result(asked, order(), tmp_path).texts == ("done",)
        assert asked.counts["submit"] == 1


# -- whatever happens ---------------------------------------------------------------------------


class AskedWorld(World):
    """looks  what the next look-ups come to; "gone" among the submits never arrives"""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[str] = []
        self.by_id: dict[str, str] = {}


class AskedPlatform(Platform):
    """A platform that answers at random, and can be asked what became of an order."""

    world: AskedWorld

    def submit(self, request: Request, report: Report = no_report) -> str | TaskState:
        if self.world.submits[:1] == ["gone"]:
            self.world.submits.pop(0)
            raise cut()
        before = len(self.world.tasks)
        try:
            return super().submit(request, report)
        finally:
            for task_id in list(self.world.tasks)[before:]:
                assert request.order_id not in self.world.by_id, "it was sent twice"
                self.world.by_id[request.order_id] = task_id

    def look_up(self, request: Request) -> str | None:
        if self.world.looks:
            raise SILENT[self.world.looks.pop(0)]()
        return self.world.by_id.get(request.order_id)


class AskedOrders(Orders):
    """Only a person who asks for it gets a second task."""

    world: AskedWorld

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.world = AskedWorld()

    @rule(how=st.sampled_from(["gone", *LOST, *REFUSED]), times=st.sampled_from([1, 2, 9]))
    def the_next_submits(self, how: str, times: int) -> None:
        self.world.submits += [how] * times

    @rule(how=st.sampled_from(sorted(SILENT)), times=st.sampled_from([1, 3, 12, 400]))
    def the_next_look_ups(self, how: str, times: int) -> None:
        self.world.looks += [how] * times

    @rule()
    def the_network_recovers(self) -> None:
        super().the_network_recovers()
        self.world.looks.clear()

    def platform(self, process: Process) -> AskedPlatform:
        return AskedPlatform(process.play.loop.time, self.world)

    def told(self, number: int, process: Process, job: Job) -> None:
        error = job.future.exception()
        if error is None:
            process.play.runner.record_delivered(job)
        else:
            assert isinstance(error, SkyportError), repr(error)


TestAskedOrders = AskedOrders.TestCase
TestAskedOrders.settings = settings(max_examples=60, stateful_step_count=15)
