"""Pins that as many orders run side by side as the platform takes, and that none is lost."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from skyport.engine.base.errors import (
    ApiError,
    InputRejected,
    OutOfCredit,
    RateLimited,
    ServerFault,
    TaskCancelled,
)
from skyport.engine.base.types import Report, Request, Task, TaskState, no_report
from skyport.engine.http.client import Http
from skyport.engine.http.error_answers import api_error
from skyport.engine.http.retry import is_too_many
from skyport.engine.ledger.ledger import State, record_of
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.resilient import ResilientLedger
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.tasks.room import Room
from virtual import Cloud, Play, ended, in_memory, order


class Small(Cloud):
    """A platform that holds `holds` tasks, and refuses more in words of its own.

    refused  how many submits it has refused
    most     the most tasks that it held at once
    """

    def __init__(self, play: Play, holds: int, **how: Any) -> None:
        super().__init__(play.loop.time, how.pop("lasts", 10.0), **how)
        self.holds, self.refused, self.most = holds, 0, 0
        self.seeds: list[int] = []
        self.words: ApiError | None = None

    def submit(self, request: Request, report: Report = no_report) -> str:
        held = sum(end > self.clock() for end in self._ends.values())
        if held >= self.holds:
            self.refused += 1
            raise self.words or api_error(
                self.label, 429, "Too many requests", http=429, own_form=True
            )
        self.most = max(self.most, held + 1)
        self.seeds.append(request.seed or 0)
        return super().submit(request, report)

    def poll(self, task: Task) -> TaskState:
        return super().poll(task)


async def ordered(play: Play, cloud: Cloud, into: Path, seeds: list[int]) -> None:
    jobs = await play.runner.begin_all(cloud, [order(seed=seed) for seed in seeds], into)
    await asyncio.gather(*map(ended, jobs))


def batch(play: Play, cloud: Cloud, into: Path, size: int) -> float:
    """Seconds until all are there."""
    began = play.loop.time()
    play.run(ordered(play, cloud, into, list(range(size))))
    return play.loop.time() - began


# -- with a platform -------------------------------------------------------------------------


def test_a_batch_waits_for_no_slot_that_the_platform_would_give(play: Play, tmp_path: Path) -> None:
    cloud = Small(play, holds=1000)
    assert batch(play, cloud, tmp_path, 60) < 20
    assert (cloud.most, cloud.refused) == (60, 0)


@pytest.mark.parametrize("holds", [1, 3, 12])
def test_a_platform_that_refuses_some_gets_each_of_them_once_it_has_room(
    play: Play, tmp_path: Path, holds: int
) -> None:
    cloud = Small(play, holds)
    seconds = batch(play, cloud, tmp_path, 36)
    assert cloud.counts["submit"] == 36
    assert cloud.most == holds
    assert seconds < 36 / holds * 10 * 1.35  # each slot is filled again soon after it is free
    assert cloud.refused < 36 + 36  # the first burst, and a try now and then


def test_what_was_refused_is_sent_again_in_the_order_it_came(play: Play, tmp_path: Path) -> None:
    cloud = Small(play, holds=2)
    batch(play, cloud, tmp_path, 12)
    assert cloud.seeds == list(range(12))


@pytest.mark.parametrize(
    "words",
    [
        api_error("Cloud", 503, "busy", http=503, own_form=True),
        api_error("Cloud", 200, "The system is busy", "77", http=200, own_form=True),
        api_error("Cloud", 400, "concurrent task limit exceeded", http=400, own_form=True),
        api_error(
            "Cloud",
            200,
            "\u5e76\u53d1\u4efb\u52a1\u6570\u5df2\u8fbe\u4e0a\u9650",
            http=200,
            own_form=True,
        ),
    ],
    ids=["503", "busy", "concurrent", "Chinese"],
)
def test_whatever_its_words_for_too_many_are_nothing_fails(
    play: Play, tmp_path: Path, words: ApiError
) -> None:
    cloud = Small(play, holds=2)
    cloud.words = words
    batch(play, cloud, tmp_path, 6)
    assert cloud.counts["submit"] == 6


@pytest.mark.parametrize(
    "words",
    [
        OutOfCredit("no balance", status=429, own_form=True),
        InputRejected("at most 30 frames per second", status=400, own_form=True),
        InputRejected("too many images", status=422, own_form=True),
        ServerFault("concurrency", status=500, own_form=True),
        RateLimited("a page of a gateway", status=429),
    ],
    ids=lambda words: words.what,
)
def test_what_is_no_proof_or_no_matter_of_room_is_not_sent_again(words: ApiError) -> None:
    assert not is_too_many(words)


def test_an_order_that_waits_for_room_can_be_stopped_and_costs_nothing(
    play: Play, tmp_path: Path
) -> None:
    cloud = Small(play, holds=1, lasts=100.0)

    async def scene() -> None:
        first, second = await play.runner.begin_all(cloud, [order(), order(seed=1)], tmp_path)
        await play.pause(20)
        assert second.snapshot.stage == "waiting"
        play.runner.leave(second, stop=True)
        with pytest.raises(TaskCancelled, match="nothing was charged"):
            await ended(second)
        await ended(first)

    play.run(scene())
    assert cloud.counts["submit"] == 1


def test_an_order_waits_for_room_that_another_process_takes(tmp_path: Path) -> None:
    ledger = in_memory()
    with Play(ledger) as play:
        cloud = Small(play, holds=1)
        other = record_of(order(seed=99), cloud.http.base_url)
        ledger.record_intent(other)
        ledger.record_accepted(other, Task("cloud", "make", "99"))
        cloud._ends["99"] = play.loop.time() + 300
        assert batch(play, cloud, tmp_path, 1) > 300
        assert cloud.counts["submit"] == 1


# -- what is remembered -----------------------------------------------------------------------


def test_the_next_process_begins_with_what_the_platform_took(tmp_path: Path) -> None:
    ledger = in_memory()
    with Play(ledger) as play:
        batch(play, Small(play, holds=4), tmp_path, 12)
    with Play(ledger) as play:
        cloud = Small(play, holds=4)
        play.run(ordered(play, cloud, tmp_path, list(range(100, 112))))
        assert cloud.refused < 12 - 4  # no burst of all that are asked for


def test_another_key_is_another_account_and_no_key_is_kept(tmp_path: Path) -> None:
    ledger = Store(tmp_path / "ledger.db", Owner(tmp_path / "owners"))
    with Play(ledger) as play:
        cloud = Small(play, holds=2)
        cloud.http = Http("Cloud", "http://127.0.0.1:1", {"Authorization": "Bearer top-secret-key"})
        batch(play, cloud, tmp_path, 6)
    scopes = [row[0] for row in ledger._db.execute("SELECT scope FROM rooms")]
    assert len(scopes) == 1
    assert "top-secret" not in scopes[0]
    with Play(ledger) as play:
        other = Small(play, holds=50)
        other.http = Http("Cloud", "http://127.0.0.1:1", {"Authorization": "Bearer another-key"})
        play.run(ordered(play, other, tmp_path, list(range(100, 120))))
        assert (other.most, other.refused) == (20, 0)
    ledger.close()


# -- what a death leaves ----------------------------------------------------------------------


def test_an_order_that_died_while_it_waited_for_room_was_surely_not_taken(tmp_path: Path) -> None:
    dead = Owner(None)
    store = Store(tmp_path / "ledger.db", dead)
    waiting, sent = (record_of(order(seed=n), "http://127.0.0.1:1") for n in range(2))
    for one in (waiting, sent):
        store.record_intent(one)
        store.record_refused(one.fingerprint)
    assert store.confirm_intent(sent.fingerprint)  # it was being sent again
    store.close()
    after = Store(tmp_path / "ledger.db", Owner(tmp_path / "owners"))
    after.recover()
    found = after.find(waiting.fingerprint)
    assert found is not None
    assert found.state is State.FAILED
    assert "Nothing was charged" in found.error
    again = after.find(sent.fingerprint)
    assert again is not None
    assert again.state is State.UNKNOWN
    after.close()


def test_nothing_is_sent_while_the_disk_says_of_it_that_it_was_refused(tmp_path: Path) -> None:
    ledger = ResilientLedger(tmp_path)
    record = record_of(order(), "http://127.0.0.1:1")
    ledger.record_intent(record)
    ledger.record_refused(record.fingerprint)
    assert ledger.disk is not None
    ledger.disk.close()  # the disk fails
    assert not ledger.confirm_intent(record.fingerprint)


# -- the decisions ----------------------------------------------------------------------------


def test_refusals_of_one_burst_halve_the_limit_once() -> None:
    room = Room()
    assert room.limit(0, 0) == float("inf")
    for at in (1.0, 1.1, 1.2):
        room.refuse(at, sent=0.5, taken=3, under_way=40)
    assert room.most == 20
    room.refuse(9.0, sent=8.0, taken=12, under_way=20)
    assert room.most == 12


def test_it_never_falls_below_what_the_platform_holds_nor_below_one() -> None:
    room = Room(most=2)
    for at in count(1):
        room.refuse(at, sent=at, taken=0, under_way=1)
        if at == 5:
            break
    assert room.most == 1
    held = Room(most=9)
    held.refuse(1.0, sent=1.0, taken=9, under_way=10)
    assert (held.most, held.limit(1.5, 9), held.limit(1.5, 8)) == (9, 9, 9)


def test_after_a_pause_it_tries_one_more_and_goes_on_as_long_as_that_is_taken() -> None:
    room = Room()
    room.refuse(0.0, sent=0.0, taken=5, under_way=10)
    assert room.limit(0.5, 5) == 5
    for now, taken in enumerate(range(6, 10), 2):
        assert room.limit(now, taken - 1) == taken
        assert room.accept(now, taken)


def test_the_pauses_grow_while_nothing_more_is_taken_and_retry_after_is_obeyed() -> None:
    room, now, pauses = Room(), 0.0, []
    for _ in range(7):
        room.refuse(now, sent=now, taken=5, under_way=6)
        pauses.append(room.closed_until - now)
        now = room.closed_until
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    room.refuse(now, sent=now, taken=5, under_way=6, retry_after=7.0)
    assert room.closed_until == now + 7
