"""Pins what becomes of the work of other processes: brought home if they died, else theirs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from skyport.engine.base.errors import (
    AuthRejected,
    MissingKey,
    OutcomeUnknown,
    TaskCancelled,
)
from skyport.engine.base.types import Request, Task
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import Query, Row, State, record_of
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.platforms.provider import Provider
from skyport.engine.tasks.collector import INTERVAL, collect, collect_forever
from virtual import Cloud, Play, ended, order

DAY = 86400.0


class Process:
    """A process with its ledger and its runner; `die` ends it like a crash."""

    def __init__(self, home: Path) -> None:
        self.keeper = ResilientLedger(home)
        self.play = Play(self.keeper)
        self.into = home / "results"
        self._alive = True

    def connect(self, cloud: Provider) -> Callable[[str], Provider]:
        return lambda platform: cloud

    def collects_for(self, seconds: float, connect: Callable[[str], Provider]) -> None:
        """The collector at work for so long, and then no more."""
        runner, results = self.play.runner, lambda: self.into
        work = collect_forever(runner, self.keeper, connect, results)
        with pytest.raises(asyncio.TimeoutError):
            self.play.run(asyncio.wait_for(work, seconds))

    def collects_once(self, cloud: Provider) -> int:
        connect = self.connect(cloud)
        return self.play.run(collect(self.play.runner, self.keeper, connect, self.into))

    def rests(self, seconds: float) -> None:
        self.play.run(asyncio.sleep(seconds))

    def begins(self, cloud: Provider, request: Request, seconds: float = 2.0) -> None:
        """Queue a request and wait a little."""
        self.play.run(self.play.runner.begin(cloud, request, self.into))
        self.rests(seconds)

    def cloud(self, before: Cloud | None = None, **how: Any) -> Cloud:
        """A platform as this process reaches it; `before`: the one that another process reached."""
        cloud = before or self.play.cloud(**how)
        cloud.clock = self.play.loop.time
        return cloud

    def row(self, fingerprint: str) -> Row:
        row = self.keeper.find(fingerprint)
        assert row is not None
        return row

    def die(self) -> None:
        if self._alive:
            self._alive = False
            self.play.__exit__()
            assert self.keeper.disk is not None
            self.keeper.disk.close()
            self.keeper.owner.close()


@pytest.fixture
def process(home: Path) -> Iterator[Callable[[], Process]]:
    """Starts a process on the data folder that all of them share."""
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(home))
        return started[-1]

    yield start
    for each in started:
        each.die()


def fingerprint(request: Request | None = None) -> str:
    return record_of(request or order(), "http://127.0.0.1:1").fingerprint


# -- brought home -------------------------------------------------------------------------------


def test_a_task_whose_process_died_is_filed_by_the_next_without_any_queue(
    process: Callable[[], Process],
) -> None:
    first = process()
    cloud = first.cloud(lasts=100)
    first.begins(cloud, order())
    first.die()
    second = process()
    second.collects_for(150, second.connect(second.cloud(cloud)))
    assert second.row(fingerprint()).state is State.SUCCEEDED
    result = second.play.result(cloud, order(), second.into)
    assert (result.texts, result.reused) == (("done",), True)
    assert cloud.counts["submit"] == 1


def test_a_task_whose_process_dies_while_we_run_is_taken_up_at_the_next_look(
    process: Callable[[], Process],
) -> None:
    first, second = process(), process()
    cloud = first.cloud(lasts=1000)
    first.begins(cloud, order())
    second.cloud(cloud)
    assert second.collects_once(cloud) == 0
    first.die()
    assert second.collects_once(cloud) == 1
    assert second.row(fingerprint()).owner == second.keeper.owner.id
    assert second.collects_once(cloud) == 0  # it is carried already


def test_a_task_of_our_own_whose_job_broke_off_is_taken_up_again(
    process: Callable[[], Process],
) -> None:
    ours = process()
    cloud = ours.cloud(lasts=40)
    cloud.script["poll"] = [AuthRejected("no", status=401)]
    with pytest.raises(AuthRejected):
        ours.play.result(cloud, order(), ours.into)
    ours.collects_for(60, ours.connect(cloud))
    assert ours.row(fingerprint()).state is State.SUCCEEDED
    assert cloud.counts["submit"] == 1


def test_an_intent_of_a_process_that_dies_while_we_run_becomes_unknown(
    process: Callable[[], Process],
) -> None:
    first, second = process(), process()
    first.keeper.record_intent(record_of(order(), "http://127.0.0.1:1"))
    cloud = second.cloud()
    second.collects_once(cloud)
    assert second.row(fingerprint()).state is State.INTENT
    first.die()
    second.collects_once(cloud)
    assert second.row(fingerprint()).state is State.UNKNOWN
    assert cloud.log == []  # and nothing is ever sent for it


def test_a_queue_joins_what_the_collector_carries(process: Callable[[], Process]) -> None:
    first = process()
    cloud = first.cloud(lasts=100)
    first.begins(cloud, order())
    first.die()
    second = process()
    second.cloud(cloud)
    assert second.collects_once(cloud) == 1
    assert not second.play.result(cloud, order(), second.into).reused
    assert cloud.counts["submit"] == 1
    assert second.row(fingerprint()).state is State.DELIVERED


# -- left alone ---------------------------------------------------------------------------------


def test_with_nothing_to_do_an_hour_passes_without_a_call_or_a_byte_written(
    process: Callable[[], Process], home: Path
) -> None:
    alone = process()
    cloud = alone.cloud()
    before = {path: path.read_bytes() for path in home.glob("ledger.db*")}
    began = alone.play.loop.time()
    alone.collects_for(3600, alone.connect(cloud))
    assert alone.play.loop.time() - began == pytest.approx(3600)
    assert cloud.log == []
    assert {path: path.read_bytes() for path in home.glob("ledger.db*")} == before


def test_a_task_of_a_living_process_is_left_alone(process: Callable[[], Process]) -> None:
    first, second = process(), process()
    cloud = first.cloud(lasts=1000)
    first.begins(cloud, order())
    polls = cloud.counts["poll"]
    second.collects_for(600, second.connect(cloud))
    assert cloud.counts["poll"] == polls
    assert second.row(fingerprint()).owner == first.keeper.owner.id


def test_a_task_at_another_address_is_left_alone(process: Callable[[], Process]) -> None:
    first = process()
    cloud = first.cloud(lasts=1000)
    first.begins(cloud, order())
    polls, owner = cloud.counts["poll"], first.keeper.owner.id
    first.die()
    second = process()
    elsewhere = second.cloud(cloud)
    elsewhere.http = Http("Cloud", "http://127.0.0.1:2", {})
    second.collects_for(600, second.connect(elsewhere))
    assert cloud.counts["poll"] == polls
    assert second.row(fingerprint()).owner == owner


def test_without_a_key_a_task_waits_until_there_is_one(process: Callable[[], Process]) -> None:
    first = process()
    cloud = first.cloud(lasts=10)
    first.begins(cloud, order())
    first.die()
    second = process()
    second.cloud(cloud)

    def connect(platform: str) -> Provider:
        if second.play.loop.time() < 1000 + 10 * INTERVAL:
            raise MissingKey("no key")
        return cloud

    second.collects_for(9 * INTERVAL, connect)
    assert second.row(fingerprint()).state is State.RUNNING
    second.collects_for(3 * INTERVAL, connect)
    assert second.row(fingerprint()).state is State.SUCCEEDED


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.UNKNOWN])
def test_what_ends_before_its_turn_comes_is_not_submitted_anew(
    state: State, process: Callable[[], Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = process()
    cloud = first.cloud(lasts=100)
    first.begins(cloud, order())
    first.die()
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    second = process()
    second.cloud(cloud)
    second.begins(cloud, order(seed=2))  # has the only place
    assert second.collects_once(cloud) == 1
    second.keeper.record_end(fingerprint(), state, "meanwhile")
    second.rests(1000)
    assert cloud.counts["submit"] == 2
    assert second.row(fingerprint()).state is state


# -- waited for ---------------------------------------------------------------------------------


def test_an_order_that_another_process_is_submitting_is_waited_for_and_its_task_shared(
    process: Callable[[], Process],
) -> None:
    first, second = process(), process()
    cloud, wanted = second.cloud(lasts=10), record_of(order(), "http://127.0.0.1:1")
    first.keeper.record_intent(wanted)
    second.begins(cloud, order(), seconds=30)
    assert cloud.log == []
    cloud._ends["theirs"] = second.play.loop.time() + 10
    first.keeper.record_accepted(wanted, Task("cloud", "make", "theirs"))
    assert second.play.result(cloud, order(), second.into).task_id == "theirs"
    assert cloud.counts["submit"] == 0


def test_if_that_process_dies_nothing_is_sent_again_but_by_a_person(
    process: Callable[[], Process],
) -> None:
    first, second = process(), process()
    cloud = second.cloud()
    first.keeper.record_intent(record_of(order(), "http://127.0.0.1:1"))
    job = second.play.run(second.play.runner.begin(cloud, order(), second.into))
    second.rests(10)
    first.die()
    with pytest.raises(OutcomeUnknown, match="may have been charged"):
        second.play.run(ended(job))
    assert cloud.log == []
    second.play.runner.record_told(job)
    result = second.play.result(cloud, order(), second.into)
    assert cloud.counts["submit"] == 1
    assert "may have been charged" in result.warnings[0]


def test_who_waits_for_another_process_can_be_stopped(process: Callable[[], Process]) -> None:
    first, second = process(), process()
    cloud = second.cloud()
    first.keeper.record_intent(record_of(order(), "http://127.0.0.1:1"))
    job = second.play.run(second.play.runner.begin(cloud, order(), second.into))
    second.rests(10)
    second.play.runner.leave(job, stop=True)
    with pytest.raises(TaskCancelled):
        second.play.run(ended(job))
    assert second.row(fingerprint()).state is State.INTENT


def test_interrupt_while_another_process_submits_ends_at_once_and_leaves_it_its_task(
    process: Callable[[], Process],
) -> None:
    first, second = process(), process()
    cloud, wanted = second.cloud(lasts=10, cancels=True), record_of(order(), "http://127.0.0.1:1")
    first.keeper.record_intent(wanted)

    async def interrupted() -> float:
        job = await second.play.runner.begin(cloud, order(), second.into)
        await asyncio.sleep(10.2)  # between two looks
        began = second.play.loop.time()
        second.play.runner.leave(job, stop=True)
        with pytest.raises(TaskCancelled, match="nothing was charged"):
            await asyncio.wait_for(ended(job), 60)
        return second.play.loop.time() - began

    assert second.play.run(interrupted()) < 0.1
    assert second.play.runner.under_way() == []
    cloud._ends["theirs"] = second.play.loop.time() + 10
    first.keeper.record_accepted(wanted, Task("cloud", "make", "theirs"))
    assert second.play.result(cloud, order(), second.into).task_id == "theirs"
    assert (cloud.counts["submit"], cloud.counts["cancel"]) == (0, 0)


# -- what goes wrong ----------------------------------------------------------------------------


def test_a_task_that_cannot_be_brought_home_is_tried_ever_more_seldom(
    process: Callable[[], Process],
) -> None:
    first = process()
    cloud = first.cloud(lasts=10)
    first.begins(cloud, order())
    first.die()
    second = process()
    second.cloud(cloud).script["poll"] = [AuthRejected("no", status=401)] * 1000
    polls = cloud.counts["poll"]
    second.collects_for(600, second.connect(cloud))
    soon = cloud.counts["poll"] - polls
    second.collects_for(DAY, second.connect(cloud))
    in_a_day = cloud.counts["poll"] - polls - soon
    assert 3 <= soon <= 5
    assert 24 <= in_a_day <= 32
    assert second.row(fingerprint()).state is State.RUNNING  # and never given up


def test_settings_that_cannot_be_read_do_not_end_it(
    process: Callable[[], Process], home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = process()
    cloud = first.cloud(lasts=10)
    first.begins(cloud, order())
    first.die()
    second = process()
    second.cloud(cloud)
    settings = home / "settings.json"
    settings.write_text("{")

    def mend() -> None:
        settings.unlink()

    second.play.loop.call_later(100, mend)
    second.collects_for(400, second.connect(cloud))
    assert "could not collect" in caplog.text
    assert second.row(fingerprint()).state is State.SUCCEEDED


def test_old_rows_are_forgotten_at_the_start_and_every_day(
    process: Callable[[], Process], home: Path
) -> None:
    (home / "settings.json").write_text(json.dumps({"keep_days": 30}))
    alone = process()
    cloud = alone.cloud()
    connect = alone.connect(cloud)
    for seed in range(7):
        alone.play.result(cloud, order(seed=seed), alone.into)
    age(alone, {1: 40, 2: 29.5, 3: 24, 4: 18, 5: 12, 6: 6})
    alone.collects_for(60, connect)
    assert kept(alone) == [7, 6, 5, 4, 3, 2]
    age(alone, {2: 31})
    alone.collects_for(DAY + 60, connect)
    assert kept(alone) == [7, 6, 5, 4, 3]


def age(process: Process, days: Mapping[int, float]) -> None:
    """Make rows older than they are."""
    disk = process.keeper.disk
    assert disk is not None
    for number, past in days.items():
        disk._db.execute(
            "UPDATE tasks SET created = created - ?1, ended = ended - ?1, "
            "delivered = delivered - ?1 WHERE id = ?2",
            (past * DAY, number),
        )


def kept(process: Process) -> list[int]:
    assert process.keeper.disk is not None
    return [row.id for row in process.keeper.disk.rows(Query())]
