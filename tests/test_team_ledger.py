"""Pins that machines which share a ledger send an order once, whoever dies or is paused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from _postgres import Postgres
from PIL import Image
from processes import Child, Children
from sandboxes import environment, set_environment
from skyport import providers
from skyport.engine.base.errors import LimitReached, NotRecorded, OutcomeUnknown
from skyport.engine.base.types import Result, Task
from skyport.engine.ledger.budget import Limit, Period
from skyport.engine.ledger.ledger import EVERYTHING, Row, State, TaskRecord
from skyport.engine.ledger.postgres import PostgresError
from skyport.engine.ledger.postgres_store import PostgresStore, holder
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.ledger.team import TeamLedger
from skyport.sandbox import start
from virtual import Play, clip, order

needs_pause = pytest.mark.skipif(os.name == "nt", reason="Windows cannot pause a process")
Machines = Callable[[], PostgresStore]


@pytest.fixture
def machine(postgres: Postgres) -> Iterator[Machines]:
    """Opens the ledger as one more machine."""
    opened: list[PostgresStore] = []

    def open_store() -> PostgresStore:
        opened.append(PostgresStore(postgres.url))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


def record(fingerprint: str = "a") -> TaskRecord:
    return TaskRecord(fingerprint, "cloud", "https://cloud", "make", "thing", {})


def task(number: str) -> Task:
    return Task("cloud", "make", number)


def states(store: PostgresStore) -> list[State]:
    return [row.state for row in store.rows(EVERYTHING)]


@pytest.mark.parametrize("kind", ["file", "team"])
def test_costs_that_are_none_have_a_sum_all_the_same(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """A platform that answers 1e308 must not take all sums away, nor give one that is no JSON."""
    shared = kind == "team"
    store = request.getfixturevalue("machine")() if shared else Store(None, Owner(None))
    for name in ("a", "b"):
        store.record_intent(record(name))
        store.record_accepted(record(name), task(name))
        store.record_result(name, Result(name, cost=1e308))
    [spent] = store.spent()
    assert (spent.tasks, spent.cost) == (2, 2e9)
    assert [charge.cost for charge in store.charges("cloud", 5)] == [1e9, 1e9]
    store.close()


# -- several machines ---------------------------------------------------------------------------


def test_of_machines_that_submit_the_same_order_at_once_exactly_one_does(
    postgres: Postgres, machine: Machines
) -> None:
    with Children() as children:
        racers = [children.start("intend", postgres.url, "a") for _ in range(3)]
        assert {racer.line() for racer in racers} == {"ready"}
        for racer in racers:
            racer.go()
        assert sorted(racer.line() for racer in racers) == ["mine", "taken", "taken"]
        assert states(machine()) == [State.INTENT]


def test_what_a_killed_machine_was_about_to_send_is_unknown_once_its_lease_ends(
    postgres: Postgres, machine: Machines
) -> None:
    store = machine()
    with Children() as children:
        child = children.start("hesitate", postgres.url, "a")
        assert child.line() == "mine"
        child.kill()
    store.recover()
    assert states(store) == [State.INTENT]
    (row,) = store.rows(EVERYTHING)
    postgres.expire(row.owner)
    store.recover()
    assert states(store) == [State.UNKNOWN]


@needs_pause
@pytest.mark.parametrize(("is_given_up", "then"), [(True, "sends nothing"), (False, "sends")])
def test_a_machine_paused_past_its_lease_sends_only_what_nobody_has_given_up(
    is_given_up: bool, then: str, postgres: Postgres, machine: Machines
) -> None:
    store = machine()
    with Children() as children:
        child = children.start("hesitate", postgres.url, "a")
        assert child.line() == "mine"
        child.process.send_signal(signal.SIGSTOP)
        (row,) = store.rows(EVERYTHING)
        postgres.expire(row.owner)
        if is_given_up:
            store.recover()
        child.process.send_signal(signal.SIGCONT)
        child.go()
        assert child.line() == then
        (after,) = store.rows(EVERYTHING)
        assert after.state is (State.UNKNOWN if is_given_up else State.INTENT)
        assert after.owner != row.owner or is_given_up


def test_what_a_machine_no_longer_owns_it_does_not_end(
    postgres: Postgres, machine: Machines
) -> None:
    paused, other = machine(), machine()
    paused.record_intent(record())
    postgres.expire(paused.owner.id)
    other.recover()
    other.record_told("a")
    other.record_intent(record())
    paused.record_end("a", State.FAILED, "refused")
    assert not paused.confirm_intent("a")
    assert not paused.record_intent_again(record())
    assert states(other) == [State.INTENT, State.UNKNOWN]
    assert other.confirm_intent("a")


def test_a_task_of_a_machine_given_up_is_kept_beside_the_order_made_anew(
    postgres: Postgres, machine: Machines
) -> None:
    paused, other = machine(), machine()
    paused.record_intent(record())
    postgres.expire(paused.owner.id)
    other.recover()
    other.record_intent(record())
    paused.record_accepted(record(), task("first"))
    other.record_accepted(record(), task("second"))
    rows = other.rows(EVERYTHING)
    assert {row.task.id: row.record.fingerprint for row in rows if row.task} == {
        "first": "a#first",
        "second": "a",
    }


def test_tasks_of_a_dead_machine_are_taken_up_by_one_other(
    postgres: Postgres, machine: Machines
) -> None:
    dead, one, other = machine(), machine(), machine()
    dead.record_accepted(record(), task("1"))
    assert one.abandoned() == []
    postgres.expire(dead.owner.id)
    (row,) = one.abandoned()
    assert one.adopt(row)
    assert not other.adopt(row)


def test_a_lease_outlives_a_time_in_which_the_database_was_down(
    postgres: Postgres, machine: Machines
) -> None:
    store, other = machine(), machine()
    store.record_intent(record())
    before = store.owner.id
    postgres.run("UPDATE leases SET until = pg_postmaster_start_time() - interval '5 seconds'")
    shut = postgres.run("SELECT clock_timestamp() - pg_postmaster_start_time() < '55 seconds'")
    other.recover()
    if shut == [(True,)]:  # for a minute after its start
        assert states(other) == [State.INTENT]
        assert store.confirm_intent("a")
        assert store.owner.id == before


def test_a_lease_that_ran_out_while_the_server_was_down_is_still_held(
    postgres: Postgres, machine: Machines
) -> None:
    store, other = machine(), machine()
    store.record_intent(record())
    before = store.owner.id
    postgres.run("UPDATE leases SET until = clock_timestamp()")
    postgres.kill()
    other.recover()
    assert states(other) == [State.INTENT]
    assert store.confirm_intent("a")
    assert store.owner.id == before


def test_a_machine_that_ends_normally_leaves_its_orders_to_the_others_at_once(
    postgres: Postgres, machine: Machines
) -> None:
    store = machine()
    with Children() as children:
        child = children.start("hesitate", postgres.url, "a")
        assert child.line() == "mine"
        child.go()
        assert child.line() == "sends"
        assert child.finish() == 0
    store.recover()
    assert states(store) == [State.UNKNOWN]


class Paused(PostgresStore):
    """A machine that is paused between its intent and the submit, and is given up meanwhile."""

    server: Postgres
    other: PostgresStore

    def record_intent(self, *what: Any) -> Row | None:
        taken = super().record_intent(*what)
        if self.other is not self:
            self.server.expire(self.owner.id)
            self.other.recover()
            self.other = self
        return taken


def test_an_order_given_up_before_its_submit_is_not_sent_and_then_once_a_person_knows(
    postgres: Postgres, machine: Machines, tmp_path: Path
) -> None:
    store = Paused(postgres.url)
    store.server, store.other = postgres, machine()
    with closing(store), Play(store) as play:
        cloud = play.cloud()
        wanted = order({"image": clip(tmp_path)})
        with pytest.raises(NotRecorded, match="paused or cut off"):
            play.result(cloud, wanted, tmp_path)
        assert cloud.counts["submit"] == 0
        with pytest.raises(OutcomeUnknown):
            play.result(cloud, wanted, tmp_path)
        assert play.result(cloud, wanted, tmp_path).texts == ("done",)
        assert cloud.counts["submit"] == 1


def test_two_colleagues_equal_order_is_one_task(
    postgres: Postgres, machine: Machines, tmp_path: Path
) -> None:
    wanted = order({"image": clip(tmp_path)})
    with Play(machine()) as mine, Play(machine()) as theirs:
        cloud, same = mine.cloud(), theirs.cloud()
        first = mine.result(cloud, wanted, tmp_path)
        second = theirs.result(same, wanted, tmp_path)
        assert (cloud.counts["submit"], same.counts["submit"]) == (1, 0)
        assert first.task_id == second.task_id


def test_an_order_queued_on_two_machines_at_once_is_one_charge_and_two_deliveries(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "picture.png"
    Image.linear_gradient("L").convert("RGB").save(picture)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"prompt": "for both", "picture": str(picture)}]))
    with start(pace=0.05) as box, Children() as children:
        env = {**environment(box, "haiyi"), "SKYPORT_LEDGER_URL": postgres.url}
        machines = []
        for name in ("one", "other"):  # each opens the picture that it gets
            own = {f"SKYPORT_{key}": str(tmp_path / name / key) for key in ("HOME", "RESULTS_DIR")}
            set_environment(monkeypatch, env | own)
            machines.append(children.start("work", plan))
        ended = [last_line(machine) for machine in machines]
        assert [line.split()[:2] for line in ended] == [["got", "0"]] * 2
        assert box.charges["haiyi"] == 1
    assert postgres.run("SELECT state, count(*) FROM tasks GROUP BY state") == [("delivered", 1)]


def last_line(child: Child) -> str:
    """Once it has ended."""
    said = ""
    while line := child.line():
        said = line
    return said


def test_a_limit_for_each_person_counts_what_that_person_orders_on_any_machine(
    postgres: Postgres,
) -> None:
    each = Limit("limit_tasks_per_day", Period.DAY, 2, "tasks", person=True)
    both = Limit("limit_tasks_per_day", Period.DAY, 4, "tasks")
    people = [PostgresStore(postgres.url, person=name) for name in ("ann@a", "ann@a", "bob@b")]
    ann, ann_too, bob = people
    try:
        ann.record_intent(record("1"), each, both)
        ann_too.reserve([record("2")], [each, both], reuse=True)
        with pytest.raises(LimitReached, match=r"is 2 tasks for each person\. Today has 2 tasks"):
            ann.record_intent(record("3"), each, both)
        bob.record_intent(record("4"), each, both)
        bob.record_intent(record("5"), each, both)
        bob.record_end("5", State.FAILED, "refused")
        bob.record_intent(record("6"), each, both)
        with pytest.raises(LimitReached, match="for each person"):
            bob.record_intent(record("7"), each)
        with pytest.raises(LimitReached, match=r"is 4 tasks\. Today has 4 tasks"):
            bob.record_intent(record("7"), both)
    finally:
        for store in people:
            store.close()


def test_everybody_sees_who_ordered_what(
    postgres: Postgres, machine: Machines, skyport: Any, monkeypatch: Any
) -> None:
    machine().record_intent(record())
    monkeypatch.setenv("SKYPORT_LEDGER_URL", postgres.url)
    for cached in (providers.ledger, providers.runner):
        cached.cache_clear()
    try:
        assert holder() in skyport("jobs").out
        assert f"ordered by: {holder()}" in skyport("jobs", "show", "1").out
    finally:
        store = providers.ledger().disk
        assert store is not None
        store.close()
        providers.ledger.cache_clear()


# -- calls a second -----------------------------------------------------------------------------


def sharing(children: Children, postgres: Postgres, machines: int) -> list[Child]:
    """So many that share 11 calls a second, each waiting to renew its share."""
    sharers = [children.start("share", postgres.url, 11) for _ in range(machines)]
    assert {sharer.line() for sharer in sharers} == {"ready"}
    return sharers


def test_machines_share_a_rate_and_whoever_comes_next_has_something_at_once(
    postgres: Postgres,
) -> None:
    with Children() as children:
        sharers = sharing(children, postgres, 3)
        one, other, third = sharers
        assert renewed(one) == 5.5
        assert renewed(one) == pytest.approx(9.9)  # alone
        for newcomer in (other, third):
            assert renewed(newcomer) > 0
        assert sum(shares(postgres)) <= 11
        for _ in range(2):
            for sharer in sharers:
                renewed(sharer)
                assert sum(shares(postgres)) <= 11
        assert shares(postgres) == pytest.approx([3.3, 3.3, 3.3])


def test_machines_that_begin_at_once_never_have_more_than_is_allowed_together(
    postgres: Postgres,
) -> None:
    with Children() as children:
        sharers = sharing(children, postgres, 4)
        for _ in range(3):
            for sharer in sharers:
                sharer.go()
            assert all(float(sharer.line()) > 0 for sharer in sharers)
            assert sum(shares(postgres)) <= 11
        assert shares(postgres) == pytest.approx([9.9 / 4] * 4)


def test_the_share_of_a_killed_machine_is_free_once_its_lease_ends(
    postgres: Postgres, machine: Machines
) -> None:
    store = machine()
    with Children() as children:
        (child,) = sharing(children, postgres, 1)
        assert [renewed(child), renewed(child)] == pytest.approx([5.5, 9.9])
        child.kill()
    assert store.take_share("cloud", 11.0) == pytest.approx(0.55)
    assert store.take_share("cloud", 11.0) == pytest.approx(1.1)
    [(owner,)] = postgres.run("SELECT owner FROM rates WHERE owner != %s", store.owner.id)
    postgres.expire(owner)
    assert store.take_share("cloud", 11.0) == pytest.approx(9.9)
    assert len(shares(postgres)) == 1


def test_a_share_is_free_once_it_is_given_back_or_its_machine_ends_and_addresses_have_their_own(
    machine: Machines,
) -> None:
    one, other, third = machine(), machine(), machine()
    for store in (one, other):
        store.take_share("cloud", 11.0)
    assert third.take_share("another cloud", 11.0) == 5.5
    one.give_back_share("cloud")
    other.close()
    third.take_share("cloud", 11.0)
    assert third.take_share("cloud", 11.0) == pytest.approx(9.9)


def renewed(child: Child) -> float:
    child.go()
    return float(child.line())


def shares(postgres: Postgres) -> list[float]:
    return [share for (share,) in postgres.run("SELECT share FROM rates")]


def test_a_machine_polls_no_faster_than_its_share_which_grows_when_another_leaves(
    postgres: Postgres, machine: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "40")
    other = machine()
    scope = "cloud http://127.0.0.1:1"
    for _ in range(2):
        other.take_share(scope, 11.0)
    with Play(machine()) as play:
        cloud = play.cloud(lasts=400.0)

        async def scene() -> float:
            jobs = asyncio.gather(
                *(play.carried(cloud, order(seed=n), tmp_path) for n in range(40))
            )
            await asyncio.sleep(200)
            other.give_back_share(scope)
            given_back = play.loop.time()
            await jobs
            return given_back

        given_back = play.run(scene())
        polls = cloud.times("poll")
        before = [at for at in polls if given_back - 100 <= at < given_back]
        after = [at for at in polls if given_back + 10 <= at < given_back + 110]
        assert len(before) == pytest.approx(110, abs=2)
        assert len(after) == pytest.approx(990, abs=2)
        play.run(asyncio.sleep(30))
    assert shares(postgres) == []  # nothing is polled any more


def test_servers_of_ones_own_are_polled_by_each_machine_as_if_it_were_alone(
    postgres: Postgres, machine: Machines, tmp_path: Path
) -> None:
    with Play(machine()) as play:
        cloud = play.cloud()
        cloud.is_free = True
        play.result(cloud, order(), tmp_path)
        assert shares(postgres) == []


# -- the database is away -----------------------------------------------------------------------


@pytest.fixture
def team(postgres: Postgres) -> Iterator[Postgres]:
    """The database by a role that can be locked out."""
    postgres.run("DROP ROLE IF EXISTS team")
    postgres.run("CREATE ROLE team SUPERUSER LOGIN")
    yield postgres
    postgres.run("ALTER ROLE team LOGIN")


def lock_out(postgres: Postgres) -> None:
    postgres.run("ALTER ROLE team NOLOGIN")
    cut(postgres)


def cut(postgres: Postgres) -> None:
    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'team'")


@pytest.fixture
def ledger(team: Postgres, tmp_path: Path) -> Iterator[TeamLedger]:
    url = team.url.replace("postgres:@", "team:@")
    ledger = TeamLedger(tmp_path / "home", url, sleep=lambda seconds: None)
    yield ledger
    assert ledger.disk is not None
    ledger.disk.close()


def test_a_connection_that_was_cut_is_opened_again(ledger: TeamLedger, team: Postgres) -> None:
    assert ledger.record_intent(record()) is None
    cut(team)
    assert ledger.confirm_intent("a")
    cut(team)
    ledger.record_accepted(record(), task("1"))
    assert team.run("SELECT state, task_id FROM tasks") == [("submitted", "1")]


def test_nothing_is_sent_while_the_database_is_away(
    ledger: TeamLedger, team: Postgres, tmp_path: Path
) -> None:
    with Play(ledger) as play:
        cloud = play.cloud()
        lock_out(team)
        with pytest.raises(NotRecorded, match=r"nothing is sent until it answers"):
            play.result(cloud, order(), tmp_path)
        assert cloud.counts["submit"] == 0
        team.run("ALTER ROLE team LOGIN")
        assert play.result(cloud, order(), tmp_path).texts == ("done",)
        assert cloud.counts["submit"] == 1


def test_polls_go_on_at_the_last_share_while_the_database_is_away(
    ledger: TeamLedger, team: Postgres, tmp_path: Path
) -> None:
    with Play(ledger) as play:
        cloud = play.cloud(lasts=100.0)

        async def scene() -> Result:
            result = asyncio.ensure_future(play.carried(cloud, order(), tmp_path))
            await asyncio.sleep(20)
            assert shares(team) == pytest.approx([9.9])
            lock_out(team)
            return await result

        assert play.run(scene()).texts == ("done",)
        assert max(late - soon for soon, late in pairwise(cloud.times("poll"))) < 2.0


def test_what_became_of_an_order_is_written_once_the_database_is_back(
    ledger: TeamLedger, team: Postgres
) -> None:
    ledger.record_intent(record())
    lock_out(team)
    ledger.record_accepted(record(), task("1"))
    ledger.record_result("a", Result("1", texts=("done",)))
    assert "cannot be reached" in ledger.trouble
    team.run("ALTER ROLE team LOGIN")
    ledger.record_delivered("a")
    assert team.run("SELECT state, task_id FROM tasks") == [("delivered", "1")]
    assert ledger.trouble == ""


def test_an_attempt_whose_answer_was_lost_is_still_the_own_intent(
    ledger: TeamLedger, team: Postgres
) -> None:
    store = ledger.disk
    assert isinstance(store, PostgresStore)
    intend, left = store.record_intent, [1]

    def lose_the_answer(*what: Any) -> Row | None:
        taken = intend(*what)
        if left and left.pop():
            raise PostgresError("the connection was cut")
        return taken

    store.record_intent = lose_the_answer  # type: ignore[method-assign]
    assert ledger.record_intent(record()) is None
    assert team.run("SELECT state FROM tasks") == [("intent",)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s%40cret@127.0.0.1:1/db?connect_timeout=1",
        "postgresql://me:s%40cret@127.0.0.1:none/db",
        "postgresql://me:s%40cret@127.0.0.1:1/db?no_such=option",
    ],
)
def test_no_error_shows_the_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PostgresError) as refused:
        PostgresStore(url).find("a")
    shown = f"{refused.value} {refused.value.__context__} {caplog.text}"
    assert "s%40cret" not in shown
    assert "s@cret" not in shown
