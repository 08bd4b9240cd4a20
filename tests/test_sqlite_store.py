"""Pins what a ledger keeps: states, one open row an order, files, sums, old schemas."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _clock import StoppedClock
from _postgres import Postgres
from _waiting import PATIENCE
from bench import ledger as bench
from processes import Children
from skyport.engine.base.types import (
    Kind,
    Output,
    Request,
    Result,
    ResultFile,
    ResultText,
    Status,
    Task,
    TaskState,
)
from skyport.engine.ledger.budget import Limit, Period
from skyport.engine.ledger.ledger import (
    ATTACHABLE,
    EVERYTHING,
    OPEN,
    Query,
    Row,
    Source,
    Spent,
    State,
    TaskRecord,
    by_content,
    fingerprint_of,
    record_of,
)
from skyport.engine.ledger.migrations import VERSION, NewerSchema
from skyport.engine.ledger.postgres_store import PostgresStore
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from virtual import clip

PLACE = "https://cloud.example"
DAY = 86400.0
DAILY = Limit("limit_tasks_per_day", Period.DAY, 9, "tasks")


class Stores:
    """Stores on one data folder, as several processes have them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = StoppedClock(1_700_000_000.0)  # seconds since the epoch
        self._open: list[tuple[Store, Owner]] = []

    @property
    def path(self) -> Path:
        return self.folder / "ledger.db"

    def open(self) -> Store:
        """The ledger as a process that starts now finds it."""
        owner = Owner(self.folder / "owners")
        try:
            store = Store(self.path, owner, self.clock)
        except BaseException:
            owner.close()
            raise
        self._open.append((store, owner))
        return store

    def die(self, store: Store) -> None:
        """What becomes of the process that had `store`: others see it dead."""
        mine = next(each for each in self._open if each[0] is store)
        self._open.remove(mine)
        mine[0].close()
        mine[1].close()

    def close(self) -> None:
        for store, _ in list(self._open):
            self.die(store)


class TeamStores(Stores):
    """The same in PostgreSQL: a process holds a lease."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        super().__init__(folder)
        self._server = server
        self._all: list[PostgresStore] = []

    def open(self) -> Store:
        store = PostgresStore(self._server.url, now=self.clock)
        self._all.append(store)
        return store

    def die(self, store: Store) -> None:
        store.close()
        self._server.expire(store._owner.id)

    def close(self) -> None:
        for store in self._all:
            store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def stores(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stores]:
    in_team = request.param == "postgres"
    stores = TeamStores(tmp_path, request.getfixturevalue("postgres")) if in_team else None
    stores = stores or Stores(tmp_path)
    yield stores
    stores.close()


only_sqlite = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.open()


def order(fingerprint: str = "a", **more: Any) -> TaskRecord:
    how = {"platform": "cloud", "base_url": PLACE, "endpoint": "make", "title": "thing", **more}
    return TaskRecord(
        fingerprint=fingerprint, request=how.pop("request", {"prompt": fingerprint}), **how
    )


def task(number: str = "7", *sent: str) -> Task:
    return Task("cloud", "make", number, frozenset(sent))


def result(task_id: str = "7", **more: Any) -> Result:
    return Result(task_id, **more)


def known(store: Store, fingerprint: str = "a") -> Row:
    row = store.find(fingerprint)
    assert row is not None
    return row


# How to bring an order into a state, from nothing.
WAYS: dict[State, Callable[[Store, str], object]] = {
    State.INTENT: lambda s, m: s.record_intent(order(m)),
    State.SUBMITTED: lambda s, m: s.record_accepted(order(m), task(m)),
    State.RUNNING: lambda s, m: (bring(s, State.SUBMITTED, m), s.record_progress(m, State.RUNNING)),
    State.DETACHED: lambda s, m: (
        bring(s, State.SUBMITTED, m),
        s.record_progress(m, State.DETACHED),
    ),
    State.UNRESOLVED: lambda s, m: (
        bring(s, State.RUNNING, m),
        s.record_unresolved(m, "", "no result", "{}"),
    ),
    State.SUCCEEDED: lambda s, m: (bring(s, State.RUNNING, m), s.record_result(m, result(m))),
    State.DELIVERED: lambda s, m: (bring(s, State.SUCCEEDED, m), s.record_delivered(m)),
    State.FAILED: lambda s, m: (bring(s, State.RUNNING, m), s.record_end(m, State.FAILED, "no")),
    State.CANCELLED: lambda s, m: (
        bring(s, State.RUNNING, m),
        s.record_end(m, State.CANCELLED, "no"),
    ),
    State.UNKNOWN: lambda s, m: (bring(s, State.INTENT, m), s.record_end(m, State.UNKNOWN, "no")),
}


def bring(store: Store, state: State, fingerprint: str = "a") -> Row:
    WAYS[state](store, fingerprint)
    return known(store, fingerprint)


# -- the way of an order ------------------------------------------------------------------------


def test_what_was_never_ordered_is_not_known(store: Store) -> None:
    assert store.find("a") is None
    assert store.get(1) is None
    assert store.rows(Query()) == []


def test_an_order_goes_its_way_and_every_time_is_kept(store: Store, stores: Stores) -> None:
    wanted = order(source=Source("12", "prompt-1"), request={"prompt": "\u706f\u5854", "n": 1.5})
    began = stores.clock.now
    assert store.record_intent(wanted) is None
    stores.clock.now += 1
    store.record_accepted(wanted, task("24317", "https://in.example/a.png"))
    stores.clock.now += 1
    store.record_progress("a", State.RUNNING, cost=0.11)
    running = known(store)
    stores.clock.now += 1
    store.record_result("a", result("24317", texts=("\u597d",), warnings=("careful",)))
    stores.clock.now += 1
    store.record_delivered("a")
    assert running.state is State.RUNNING
    assert running.result is None
    assert known(store) == Row(
        id=1,
        state=State.DELIVERED,
        record=wanted,
        task=task("24317", "https://in.example/a.png"),
        result=result("24317", texts=("\u597d",), warnings=("careful",), cost=0.11),
        owner=running.owner,
        person=running.person,
        created=began,
        submitted=began + 1,
        ended=began + 3,
        delivered=began + 4,
        cost=0.11,
    )


def test_texts_keep_the_nodes_that_showed_them(stores: Stores) -> None:
    store = stores.open()
    store.record_intent(order())
    store.record_accepted(order(), task("24317"))
    texts = (ResultText("a boat", "7"), ResultText("", "9"), ResultText("plain"), "old")
    store.record_result("a", result("24317", texts=texts))
    stores.die(store)
    back = known(stores.open()).result.texts
    assert back == ("a boat", "", "plain", "old")
    assert [one.node_id for one in back if isinstance(one, ResultText)] == ["7", "9"]


@pytest.mark.parametrize("state", WAYS)
def test_every_state_is_there_after_a_restart(state: State, stores: Stores) -> None:
    first = stores.open()
    before = bring(first, state)
    assert before.state is state
    stores.die(first)
    after = known(stores.open())
    if state is State.INTENT:
        assert after.state is State.UNKNOWN
    else:
        assert after == before


@pytest.mark.parametrize("state", WAYS)
def test_an_order_is_open_until_it_is_over(state: State, store: Store) -> None:
    before = bring(store, state)
    taken = store.record_intent(order())
    if state in OPEN:
        assert taken == before
        assert known(store) == before
    else:
        assert taken is None
        assert known(store).state is State.INTENT
        assert store.get(before.id) == before


def changes(store: Store) -> dict[str, Callable[[], object]]:
    """Every call that says something of an order which was begun."""
    return {
        "seen": lambda: store.record_progress("a", State.RUNNING, 5.0),
        "doubted": lambda: store.record_unresolved("a", "", "late", "late"),
        "finished": lambda: store.record_result("a", result("a", texts=("late",))),
        "ended": lambda: store.record_end("a", State.FAILED, "late"),
        "spoiled": lambda: store.mark_files_lost("a"),
        "delivered": lambda: store.record_delivered("a"),
    }


# What the calls above make of each state; all others leave it as it is.
MOVES = {
    **{(s, "seen"): State.RUNNING for s in ATTACHABLE},
    **{(s, "doubted"): State.UNRESOLVED for s in ATTACHABLE},
    **{(s, "finished"): State.SUCCEEDED for s in ATTACHABLE},
    **{(s, "ended"): State.FAILED for s in OPEN},
    (State.SUCCEEDED, "delivered"): State.DELIVERED,
    (State.SUCCEEDED, "spoiled"): State.DETACHED,
    (State.DELIVERED, "spoiled"): State.DETACHED,
}


@pytest.mark.parametrize("call", ["seen", "doubted", "finished", "ended", "spoiled", "delivered"])
@pytest.mark.parametrize("state", WAYS)
def test_a_call_moves_a_row_only_where_that_makes_sense(
    state: State, call: str, store: Store
) -> None:
    before = bring(store, state)
    changes(store)[call]()
    assert known(store).state is MOVES.get((state, call), state)
    if (state, call) not in MOVES and (state, call) != (State.SUCCEEDED, "finished"):
        assert replace(known(store), delivered=0) == replace(before, delivered=0)


def test_a_call_about_an_order_never_made_does_nothing(store: Store) -> None:
    for call in changes(store).values():
        call()
    assert store.rows(Query()) == []


def test_what_a_task_costs_is_not_forgotten_by_an_end_that_does_not_tell(store: Store) -> None:
    bring(store, State.SUBMITTED)
    store.record_progress("a", State.RUNNING, 0.5)
    store.record_progress("a", State.RUNNING)
    store.record_result("a", result("a"))
    assert known(store).cost == 0.5
    assert known(store).result == result("a", cost=0.5)


def test_how_many_orders_a_lane_takes_is_kept_and_replaced(store: Store) -> None:
    assert store.known_room("lane") is None
    for most in (12, 5):
        store.record_room("lane", most)
        assert store.known_room("lane") == most
    assert store.known_room("another lane") is None


def test_an_order_is_under_way_at_its_address_until_it_ends(store: Store) -> None:
    base_url = bring(store, State.RUNNING).record.base_url
    assert store.is_any_under_way(base_url)
    assert not store.is_any_under_way("https://elsewhere.example")
    store.record_end("a", State.FAILED, "no")
    assert not store.is_any_under_way(base_url)


def test_an_answer_is_kept_even_where_the_intent_was_lost(store: Store) -> None:
    bring(store, State.UNKNOWN)
    store.record_accepted(order(), task())
    assert known(store).state is State.SUBMITTED
    assert [row.state for row in store.rows(Query())] == [State.SUBMITTED, State.UNKNOWN]


def test_the_result_of_another_task_is_not_taken_for_this_ones(store: Store) -> None:
    store.record_accepted(order(), task("new"))
    store.record_result("a", result("old"))
    assert known(store).state is State.SUBMITTED


def test_a_result_handed_over_again_was_delivered_just_now(store: Store, stores: Stores) -> None:
    bring(store, State.DELIVERED)
    stores.clock.now += 50
    store.record_delivered("a")
    assert known(store).delivered == stores.clock.now


# -- orders in doubt ----------------------------------------------------------------------------


def test_an_unresolved_order_keeps_since_when_and_the_last_answer_there_was(
    store: Store, stores: Stores
) -> None:
    bring(store, State.RUNNING)
    since = stores.clock.now
    store.record_unresolved("a", "", "no result", '{"status": "success"}')
    stores.clock.now += 60
    store.record_unresolved("a", "", "no answer", "")
    row = known(store)
    assert (row.ended, row.error, row.answer) == (since, "no answer", '{"status": "success"}')
    stores.clock.now += 60
    store.record_progress("a", State.RUNNING)  # it lives after all
    store.record_unresolved("a", "", "lost again", "{}")
    assert known(store).ended == stores.clock.now


def test_a_result_ends_every_doubt(store: Store) -> None:
    bring(store, State.UNRESOLVED)
    store.record_result("a", result("a"))
    row = known(store)
    assert (row.state, row.error, row.answer) == (State.SUCCEEDED, "", "")


def test_an_order_set_apart_makes_room_for_an_equal_one_and_may_still_bring_a_result(
    store: Store,
) -> None:
    before = bring(store, State.UNRESOLVED)
    assert store.set_apart(before.id)
    assert store.find("a") is None
    assert store.record_intent(order()) is None
    apart = store.get(before.id)
    assert apart is not None
    mark = apart.record.fingerprint
    assert replace(apart, record=before.record) == before
    store.record_result(mark, result("a"))
    assert known(store, mark).state is State.SUCCEEDED
    assert known(store).state is State.INTENT


@pytest.mark.parametrize("state", WAYS)
def test_only_an_unresolved_order_is_set_apart(state: State, store: Store) -> None:
    before = bring(store, state)
    assert store.set_apart(before.id) is (state is State.UNRESOLVED)
    assert (store.find("a") == before) is (state is not State.UNRESOLVED)


@pytest.mark.parametrize("state", WAYS)
def test_only_an_unknown_order_can_have_been_told_of(state: State, stores: Stores) -> None:
    store = stores.open()
    before = bring(store, state)
    store.record_told("a")
    after = replace(before, told=state is State.UNKNOWN)
    assert known(store) == after
    if state is not State.INTENT:
        stores.die(store)
        assert known(stores.open()) == after


def test_an_order_made_anew_has_not_been_told_of(store: Store) -> None:
    bring(store, State.UNKNOWN)
    store.record_told("a")
    bring(store, State.UNKNOWN)
    assert [row.told for row in store.rows(EVERYTHING)] == [False, True]


def test_where_the_results_are_is_kept_until_they_are_here(stores: Stores) -> None:
    store = stores.open()
    bring(store, State.RUNNING)
    outputs = (
        Output(url="https://out.example/\u706f.png?Signature=%2F+x", node_id="9", title="Save"),
        Output(text="a fox"),
    )
    state = TaskState(
        Status.SUCCEEDED,
        "success",
        1.0,
        cost=0.25,
        outputs=outputs,
        warnings=("careful",),
        details=(("queue", "3 s"),),
    )
    store.record_success("a", "", state)
    stores.die(store)
    again = stores.open()
    assert known(again).success == state
    again.record_result("a", result("a"))
    assert known(again).success is None
    again.mark_files_lost("a")
    assert known(again).success is None  # the addresses may have ended by now


def test_results_that_came_inside_the_answer_are_asked_for_again(store: Store) -> None:
    bring(store, State.RUNNING)
    state = TaskState(Status.SUCCEEDED, "success", 1.0, outputs=(Output(data=b"png"),))
    store.record_success("a", "", state)
    assert known(store).success is None


def test_results_inside_an_answer_that_cannot_be_asked_for_again_are_kept(store: Store) -> None:
    outputs = (Output(data=b"\x89PNG\x00"), Output(text="a fox"))
    state = TaskState(Status.SUCCEEDED, "success", 1.0, outputs=outputs)
    store.record_accepted(order(), Task("cloud", "make", "at once"), state)
    assert known(store).success == state


def test_what_becomes_of_a_task_set_apart_does_not_touch_the_order_made_anew(store: Store) -> None:
    bring(store, State.UNRESOLVED)
    old = known(store)
    assert old.task is not None
    assert store.set_apart(old.id)
    store.record_accepted(order(), Task("cloud", "make", "new"))
    late = TaskState(Status.SUCCEEDED, "success", 1.0, outputs=(Output(text="late"),))
    store.record_success("a", old.task.id, late)
    store.record_unresolved("a", old.task.id, "still nothing", "{}")
    store.record_end("a", State.FAILED, "it failed after all", old.task.id)
    row = known(store)
    assert (row.state, row.success, row.error) == (State.SUBMITTED, None, "")


def test_an_address_that_ever_accepted_an_order_is_known(store: Store) -> None:
    bring(store, State.INTENT)
    assert not store.has_accepted(PLACE)
    bring(store, State.SUBMITTED, "b")
    store.record_end("b", State.FAILED, "no")
    assert store.has_accepted(PLACE)
    assert not store.has_accepted("https://elsewhere.example")


def test_no_text_that_comes_in_keeps_a_row_from_being_written(store: Store) -> None:
    half = "half a pair \ud83d"
    store.record_intent(order(title=half, request={"prompt": half}))
    store.record_accepted(order(), task(half))
    store.record_unresolved("a", "", half, half)
    whole = "half a pair \ufffd"
    row = known(store)
    assert row.task == task(whole)
    assert (row.record.title, row.error, row.answer) == (whole, whole, whole)


# -- several processes --------------------------------------------------------------------------


@only_sqlite
@pytest.mark.parametrize("attempt", range(3))
def test_of_processes_that_submit_the_same_order_at_once_exactly_one_does(
    attempt: int, stores: Stores
) -> None:
    with Children() as children:
        racers = [children.start("intend", stores.folder, "a") for _ in range(4)]
        assert {racer.line() for racer in racers} == {"ready"}
        for racer in racers:
            racer.go()
        lines = sorted(racer.line() for racer in racers)
        assert lines == ["mine", "taken", "taken", "taken"]
        store = stores.open()
        assert [row.state for row in store.rows(Query())] == [State.INTENT]


@only_sqlite
def test_the_intent_of_a_living_process_stays_and_that_of_a_killed_one_is_unknown(
    store: Store, stores: Stores
) -> None:
    with Children() as children:
        child = children.start("intend", stores.folder, "a")
        child.go()
        assert [child.line(), child.line()] == ["ready", "mine"]
        store.recover()
        assert known(store).state is State.INTENT
        child.kill()
        store.recover()
    assert known(store).state is State.UNKNOWN
    assert known(store).ended == stores.clock.now
    assert store.record_intent(order()) is None  # a person may order it again


@only_sqlite
def test_a_new_ledger_may_be_opened_by_many_at_once(stores: Stores) -> None:
    with Children() as children:
        many = [children.start("open", stores.folder) for _ in range(5)]
        assert {one.line() for one in many} == {"ready"}
        for one in many:
            one.go()
        assert {one.line() for one in many} == {"disk"}


def test_tasks_of_a_living_process_are_left_to_it(stores: Stores) -> None:
    mine, others = stores.open(), stores.open()
    bring(others, State.RUNNING, "b")
    bring(mine, State.DETACHED, "c")
    assert [row.record.fingerprint for row in mine.abandoned()] == ["c"]
    stores.die(others)
    assert [row.record.fingerprint for row in mine.abandoned()] == ["b", "c"]


@pytest.mark.parametrize("state", WAYS)
def test_only_what_may_still_bring_a_result_can_be_abandoned(state: State, stores: Stores) -> None:
    dead = stores.open()
    bring(dead, state)
    stores.die(dead)
    found = [row.state for row in stores.open().abandoned()]
    assert found == ([state] if state in ATTACHABLE else [])


def test_an_abandoned_task_is_adopted_by_one_process_only(stores: Stores) -> None:
    dead, one, other = stores.open(), stores.open(), stores.open()
    bring(dead, State.RUNNING)
    stores.die(dead)
    [seen_by_one], [seen_by_other] = one.abandoned(), other.abandoned()
    assert one.adopt(seen_by_one)
    assert not other.adopt(seen_by_other)
    assert other.abandoned() == []
    assert one.adopt(known(one))  # its own, once more


def test_a_task_that_ended_meanwhile_is_not_adopted(stores: Stores) -> None:
    dead, one, other = stores.open(), stores.open(), stores.open()
    bring(dead, State.RUNNING)
    stores.die(dead)
    [found] = one.abandoned()
    other.record_end("a", State.FAILED, "no")
    assert not one.adopt(found)


def test_who_looks_after_a_task_owns_it(stores: Stores) -> None:
    dead, one, other = stores.open(), stores.open(), stores.open()
    bring(dead, State.RUNNING)
    stores.die(dead)
    one.record_progress("a", State.RUNNING)  # attached to it, and polls
    assert other.abandoned() == []


@only_sqlite
def test_a_writer_waits_for_another_process_that_is_writing(store: Store, stores: Stores) -> None:
    blocker = sqlite3.connect(stores.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.record_intent, order())
        wait([writing], 0.3)  # time in which it would fail, or get past
        assert not writing.done()
        blocker.execute("COMMIT")
        assert writing.result(PATIENCE) is None
    assert known(store).state is State.INTENT
    blocker.close()


@only_sqlite
def test_a_reader_does_not_wait_for_a_writer(store: Store, stores: Stores) -> None:
    bring(store, State.RUNNING)
    blocker = sqlite3.connect(stores.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    blocker.execute("UPDATE tasks SET state = 'failed'")
    assert known(store).state is State.RUNNING  # who waits for the writer waits in vain, and fails
    assert blocker.in_transaction
    blocker.close()


def test_many_threads_and_two_stores_write_at_once(stores: Stores) -> None:
    both = [stores.open(), stores.open()]

    def whole_way(number: int) -> bool:
        fingerprint, mine = str(number % 60), both[number % 2]
        if mine.record_intent(order(fingerprint)) is not None:
            return False
        mine.record_accepted(order(fingerprint), task(fingerprint))
        mine.record_progress(fingerprint, State.RUNNING, 1.0)
        mine.record_result(fingerprint, result(fingerprint))
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(whole_way, range(120)))
    assert sum(won) == 60
    assert {row.state for row in both[0].rows(Query(limit=-1))} == {State.SUCCEEDED}
    assert both[1].count(Query()) == 60


# -- results ------------------------------------------------------------------------------------


def test_files_come_back_as_they_were_given(store: Store, tmp_path: Path) -> None:
    picture = ResultFile(
        tmp_path / "\u706f\u5854 1.png",
        Kind.IMAGE,
        "image/png",
        3_000_000_000,
        "ab" * 32,
        "https://out.example/a.png?Signature=%2F+x",
        "9",
        "Save Image",
    )
    tune = ResultFile(tmp_path / "b.mp3", Kind.AUDIO, "audio/mpeg", 5, "cd" * 32)
    brought = result("a", files=(tune, picture), texts=("x", ""), warnings=("w",), cost=0.25)
    brought = replace(brought, details=(("tokens", "12"),))
    bring(store, State.RUNNING)
    store.record_result("a", brought)
    assert known(store).result == brought
    store.record_delivered("a")
    assert known(store).result == brought


def test_a_spoiled_result_is_forgotten_and_its_task_is_not(store: Store, tmp_path: Path) -> None:
    first = ResultFile(tmp_path / "a.png", Kind.IMAGE, "image/png", 1, "ab" * 32)
    second = replace(first, path=tmp_path / "a_2.png")
    bring(store, State.RUNNING)
    store.record_result("a", result("a", files=(first, first)))
    store.record_delivered("a")
    store.mark_files_lost("a")
    assert known(store).result is None
    assert known(store).task == task("a")
    store.record_result("a", result("a", files=(second,)))
    assert known(store).result == result("a", files=(second,))


def test_a_task_whose_result_is_fetched_again_has_ended_when_it_did(
    store: Store, stores: Stores
) -> None:
    bring(store, State.RUNNING)
    store.record_result("a", result("a"))
    ended = known(store).ended
    store.record_delivered("a")
    stores.clock.now += 3600
    store.mark_files_lost("a")
    store.record_result("a", result("a"))
    assert known(store).ended == ended


# -- for people ---------------------------------------------------------------------------------


def filled(store: Store) -> None:
    for number in range(10):
        platform = "haiyi" if number % 2 else "gpugeek"
        about = {"prompt": f"wish {number} \u706f\u5854"}
        wanted = order(str(number), platform=platform, title=f"Kling-v{number}", request=about)
        store.record_accepted(wanted, Task(platform, "make", f"task-{number}"))
    for number in range(5):
        store.record_end(str(number), State.FAILED, "no")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (Query(), "9876543210"),
        (Query(limit=3), "987"),
        (Query(limit=3, offset=3), "654"),
        (Query(limit=3, offset=9), "0"),
        (Query(offset=10), ""),
        (Query(limit=-1), "9876543210"),
        (Query(states=(State.FAILED,)), "43210"),
        (Query(states=(State.FAILED, State.SUBMITTED), limit=2), "98"),
        (Query(platform="haiyi"), "97531"),
        (Query(platform="haiyi", states=(State.FAILED,)), "31"),
        (Query(text="kling-V7"), "7"),
        (Query(text="TASK-2"), "2"),
        (Query(text="wish 4"), "4"),
        (Query(text="\u706f\u5854", limit=2), "98"),
        (Query(text="100%_'\""), ""),
    ],
)
def test_rows_are_listed_newest_first_and_filtered(
    query: Query, numbers: str, store: Store
) -> None:
    filled(store)
    assert "".join(row.record.fingerprint for row in store.rows(query)) == numbers
    everything = replace(query, limit=-1, offset=0)
    assert store.count(query) == len(store.rows(everything))


def test_a_row_is_found_by_its_number(store: Store) -> None:
    filled(store)
    row = store.get(3)
    assert row is not None
    assert row.record.fingerprint == "2"


def test_spent_sums_a_day_and_platform(store: Store, stores: Stores) -> None:
    def pay(fingerprint: str, platform: str, cost: float | None) -> None:
        store.record_accepted(
            order(fingerprint, platform=platform), Task(platform, "make", fingerprint)
        )
        store.record_progress(fingerprint, State.RUNNING, cost)

    stores.clock.now = time.mktime((2026, 11, 19, 23, 59, 0, 0, 0, -1))
    pay("a", "haiyi", 0.5)
    pay("b", "haiyi", 0.25)
    pay("c", "gpugeek", 3.0)
    pay("d", "haiyi", None)
    store.record_end("b", State.FAILED, "it cost all the same")
    stores.clock.now += 120
    pay("e", "haiyi", 1.0)
    assert store.spent() == [
        Spent("2026-11-20", "haiyi", 1, 1.0),
        Spent("2026-11-19", "gpugeek", 1, 3.0),
        Spent("2026-11-19", "haiyi", 2, 0.75),
    ]


# -- old rows -----------------------------------------------------------------------------------


def go_on_ordering(store: Store, stores: Stores, days: int) -> None:
    """Orders of every fifth day, for so many days: their results are never fetched."""
    for _ in range(0, days, 5):
        stores.clock.now += 5 * DAY
        store.record_accepted(order(f"{stores.clock.now}"), task(f"{stores.clock.now}"))


@only_sqlite
@pytest.mark.parametrize("state", WAYS)
def test_only_what_is_over_is_ever_forgotten(state: State, store: Store, stores: Stores) -> None:
    before = bring(store, state)
    go_on_ordering(store, stores, 1000)
    forgotten = store.prune(90 * DAY)
    if state in OPEN:
        assert (forgotten, store.find("a")) == (0, before)
    else:
        assert (forgotten, store.find("a")) == (1, None)


@only_sqlite
def test_what_ended_lately_is_kept(store: Store, stores: Stores) -> None:
    bring(store, State.RUNNING)
    go_on_ordering(store, stores, 85)
    store.record_end("a", State.FAILED, "after all this time")
    go_on_ordering(store, stores, 85)
    assert store.prune(90 * DAY) == 0
    go_on_ordering(store, stores, 5)
    assert store.prune(90 * DAY) == 1


@only_sqlite
def test_a_result_that_is_still_used_is_kept(store: Store, stores: Stores) -> None:
    bring(store, State.DELIVERED)
    for _ in range(4):
        go_on_ordering(store, stores, 80)
        store.record_delivered("a")
        assert store.prune(90 * DAY) == 0


@pytest.mark.parametrize("orders", [0, 1, 12])
def test_a_clock_that_runs_ahead_makes_nothing_old(
    orders: int, store: Store, stores: Stores
) -> None:
    """Not even where the orders of a whole batch were written with it."""
    bring(store, State.DELIVERED)
    right = stores.clock.now
    stores.clock.now += 3650 * DAY
    for number in range(orders):
        store.record_accepted(order(f"ahead {number}"), task(f"ahead {number}"))
        store.record_end(f"ahead {number}", State.FAILED, "no")
    assert store.prune(90 * DAY) == 0
    stores.clock.now = right + 60
    assert store.prune(90 * DAY) == 0
    store.record_accepted(order("b"), task("8"))
    assert store.prune(90 * DAY) == 0
    assert known(store).state is State.DELIVERED


@only_sqlite
def test_what_was_written_with_a_clock_of_the_future_keeps_nothing_else_for_ever(
    store: Store, stores: Stores
) -> None:
    right = stores.clock.now
    stores.clock.now += 3650 * DAY
    bring(store, State.DELIVERED)
    stores.clock.now = right
    store.record_accepted(order("old"), task("8"))
    store.record_end("old", State.FAILED, "no")
    go_on_ordering(store, stores, 100)
    assert store.prune(90 * DAY) == 1
    assert store.find("old") is None


def test_a_pause_counts_a_week_at_most(store: Store, stores: Stores) -> None:
    bring(store, State.DELIVERED)
    stores.clock.now += 400 * DAY
    store.record_accepted(order("b"), task("8"))
    assert store.prune(7 * DAY + 1) == 0
    assert store.prune(7 * DAY) == 1


@only_sqlite
def test_the_files_of_a_forgotten_row_are_forgotten_with_it(store: Store, stores: Stores) -> None:
    bring(store, State.RUNNING)
    file = ResultFile(Path("a.png"), Kind.IMAGE, "image/png", 1, "ab" * 32)
    store.record_result("a", result("a", files=(file,)))
    store.record_delivered("a")
    go_on_ordering(store, stores, 5)
    store.prune(DAY)
    with sqlite3.connect(stores.path) as db:
        assert db.execute("SELECT count(*) FROM files").fetchone() == (0,)
    db.close()


# -- the file -----------------------------------------------------------------------------------


@only_sqlite
@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such modes")
def test_nobody_else_can_read_the_file(store: Store, stores: Stores) -> None:
    bring(store, State.RUNNING)
    files = list(stores.folder.glob("ledger.db*"))
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@only_sqlite
def test_an_empty_file_becomes_a_ledger(stores: Stores) -> None:
    stores.path.touch()
    bring(stores.open(), State.RUNNING)
    assert version(stores.path) == VERSION


@only_sqlite
def test_a_step_of_a_migration_is_done_whole_or_not_at_all(stores: Stores) -> None:
    with sqlite3.connect(stores.path) as db:
        db.execute("CREATE TABLE files (mine TEXT)")  # the second table of the step is in the way
    db.close()
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        stores.open()
    assert version(stores.path) == 0
    assert tables(stores.path) == ["files"]


@only_sqlite
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_newer_file_is_refused_with_a_clear_error_and_not_touched(
    stores: Stores, mode: str
) -> None:
    with sqlite3.connect(stores.path) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("CREATE TABLE things (new TEXT)")
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    os.chmod(stores.path, 0o640)
    before = (stores.path.read_bytes(), stores.path.stat().st_mode, stores.path.stat().st_mtime_ns)
    with pytest.raises(NewerSchema, match=f"newer Skyport, schema {VERSION + 1}: update"):
        stores.open()
    after = (stores.path.read_bytes(), stores.path.stat().st_mode, stores.path.stat().st_mtime_ns)
    assert after == before


@only_sqlite
def test_what_is_written_survives_a_power_cut(store: Store) -> None:
    # Nothing short of a power cut shows it: asked of SQLite itself.
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def version(path: Path) -> int:
    db = sqlite3.connect(path)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return int(found)


def tables(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    db.close()
    return sorted(name for (name,) in found)


# -- the fingerprint ----------------------------------------------------------------------------


def wanted(**more: Any) -> Request:
    how = {"payload": {"prompt": "x", "size": 1}, "title": "thing", "seed": 1, **more}
    return Request("cloud", how.pop("endpoint", "make"), how.pop("payload"), **how)


def test_what_is_the_same_order_has_the_same_fingerprint(tmp_path: Path) -> None:
    one, other = clip(tmp_path, name="a.png"), clip(tmp_path, name="b.png")
    same = [
        (wanted(), wanted(payload={"size": 1, "prompt": "x"})),
        (wanted(), wanted(title="renamed")),
        (wanted(payload={"image": [one]}), wanted(payload={"image": (other,)})),
    ]
    for a, b in same:
        assert fingerprint_of(a, PLACE) == fingerprint_of(b, PLACE)


def test_what_is_another_order_has_another_fingerprint(tmp_path: Path) -> None:
    one, other = clip(tmp_path, b"one"), clip(tmp_path, b"other")
    orders = [
        wanted(),
        wanted(seed=2),
        wanted(copy=1),
        wanted(endpoint="edit"),
        wanted(payload={"prompt": "y", "size": 1}),
        wanted(payload={"prompt": "x", "size": "1"}),
        wanted(payload={"image": one}),
        wanted(payload={"image": other}),
        wanted(payload={"images": [one, other]}),
        wanted(payload={"images": [other, one]}),
    ]
    marks = {fingerprint_of(each, PLACE) for each in orders}
    assert len(marks) == len(orders)
    assert fingerprint_of(wanted(), "https://elsewhere.example") not in marks


def test_an_order_holds_the_hash_of_a_file_and_nothing_of_this_disk(tmp_path: Path) -> None:
    picture = clip(tmp_path)
    record = record_of(wanted(payload={"image": picture}), PLACE, Source("3", "p"))
    assert record.request == {"image": {"sha256": picture.sha256}} == by_content({"image": picture})
    assert record.source == Source("3", "p")
    assert record.base_url == PLACE


# -- what a page costs; how fast that is, tests/bench/ledger.py tells ----------------------------

PAGE = 50


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    """A short ledger and one ten times as long."""
    folder = tmp_path_factory.mktemp("lists")
    short, long = (bench.filled(folder / f"{rows}.db", rows) for rows in (200, 2000))
    return short, long


def steps(store: Store, query: Query) -> int:
    """What SQLite does to find these rows, in hundreds of its instructions."""
    done: list[None] = []
    store._db.set_progress_handler(lambda: done.append(None), 100)
    store.rows(query)
    store._db.set_progress_handler(None, 0)
    return len(done)


@pytest.mark.parametrize(
    "query",
    [
        Query(limit=PAGE),
        Query(limit=PAGE, offset=2 * PAGE),
        Query(limit=PAGE, before=2 * PAGE),
        Query((State.DELIVERED,), limit=PAGE),
        Query(platform="haiyi", limit=PAGE),
        Query(text="lighthouse", limit=PAGE),
    ],
)
def test_a_page_costs_no_more_in_a_long_list_than_in_a_short_one(
    query: Query, lists: tuple[Store, Store]
) -> None:
    short, long = lists
    assert len(long.rows(query)) == PAGE
    assert steps(long, query) <= steps(short, query) + 2


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (Query(limit=PAGE, offset=2000 - PAGE), 0.1),
        (Query(text="1911", limit=PAGE), 0.3),
        (Query(text="no such word", limit=PAGE), 0.3),
    ],
)
def test_what_must_look_at_every_row_reads_none_of_them_that_it_does_not_give(
    query: Query, part: float, lists: tuple[Store, Store]
) -> None:
    _, long = lists
    assert steps(long, query) < part * steps(long, EVERYTHING)


# -- those who only read ------------------------------------------------------------------------


def test_those_who_only_read_see_what_was_written_last(store: Store) -> None:
    for fingerprint, state in (("a", State.SUBMITTED), ("b", State.DELIVERED), ("c", State.FAILED)):
        before = store.view.changes()
        bring(store, state, fingerprint)
        assert store.view.rows(EVERYTHING) == store.rows(EVERYTHING)
        assert store.view.changes() != before


def test_a_write_that_is_under_way_holds_up_nobody_who_only_reads(store: Store) -> None:
    bring(store, State.DELIVERED)
    before = store.rows(EVERYTHING)
    with ThreadPoolExecutor(1) as pool, store._transaction():
        store._db.execute("UPDATE tasks SET title = 'another'")
        assert pool.submit(store.view.rows, EVERYTHING).result(PATIENCE) == before
        assert pool.submit(store.view.abandoned).result(PATIENCE) == []
        assert pool.submit(store.view.graph_of, "p").result(PATIENCE) is None
        assert pool.submit(store.view.used, DAILY, local=False).result(PATIENCE)
    assert store.view.rows(EVERYTHING) != before


def test_nothing_is_written_by_the_connection_of_those_who_only_read(store: Store) -> None:
    with pytest.raises((sqlite3.OperationalError, OSError), match=r"read.?only"):
        store.view.keep_graph("p", "{}")


def test_a_ledger_in_memory_has_one_connection_for_all(tmp_path: Path) -> None:
    with closing(Store(None, Owner(tmp_path))) as store:
        bring(store, State.FAILED)
        assert store.view.rows(EVERYTHING) == store.rows(EVERYTHING) != []


def test_a_ledger_that_is_closed_is_read_no_more(stores: Stores) -> None:
    store = stores.open()
    bring(store, State.FAILED)
    view = store.view
    stores.die(store)
    if isinstance(stores, TeamStores):
        assert not view._db.is_open
    else:
        with pytest.raises(sqlite3.ProgrammingError):
            view.rows(EVERYTHING)


def test_the_latest_rows_of_many_orders_are_found_at_once(store: Store) -> None:
    names = [f"order {number}" for number in range(250)]
    for name in names:
        store.record_intent(order(name))
    store.record_end("order 7", State.FAILED, "no")
    store.record_intent(order("order 7"))
    found = store.view.find_all([*names, "nobody's"])
    latest = [known(store, name) for name in names]
    assert sorted(found, key=lambda row: row.id) == sorted(latest, key=lambda row: row.id)
    assert store.view.find_all([]) == []
