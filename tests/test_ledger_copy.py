"""Pins that a ledger is copied whole, may be copied again, and never over another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from _postgres import Postgres
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Amount, Kind, Result, ResultFile, Task
from skyport.engine.ledger.copying import copy
from skyport.engine.ledger.ledger import EVERYTHING, Row, State, TaskRecord
from skyport.engine.ledger.postgres_store import PostgresStore
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Store]:
    """The ledger of a machine whose Skyport has ended."""
    owner = Owner(tmp_path / "owners")
    with closing(Store(tmp_path / "ledger.db", owner)) as store:
        ordered(store)
        owner.close()
    with closing(opened(tmp_path)) as store:
        yield store


@pytest.fixture
def team(postgres: Postgres) -> Iterator[PostgresStore]:
    with closing(PostgresStore(postgres.url)) as store:
        yield store


def opened(folder: Path) -> Store:
    folder.mkdir(exist_ok=True)
    return Store(folder / "ledger.db", Owner(folder / "owners"))


def record(name: str) -> TaskRecord:
    return TaskRecord(
        name,
        "cloud",
        "https://cloud",
        "make",
        "thing",
        {"a": name},
        unit="CNY",
        price=Amount(0.5, "CNY"),
    )


def ordered(store: Store) -> None:
    for number in range(5):
        store.record_intent(record(f"{number}"))
        store.record_accepted(record(f"{number}"), Task("cloud", "make", f"task-{number}"))
    picture = ResultFile(Path("/a.png"), Kind.IMAGE, "image/png", 3, "ab" * 32)
    store.record_result("0", Result("task-0", files=(picture,), texts=("\u597d",), cost=0.25))
    store.record_delivered("0")
    store.record_end("1", State.FAILED, "no")
    store.record_intent(record("sent last"))


def rows(store: Store) -> list[Row]:
    return store.rows(EVERYTHING)


def test_a_copy_holds_every_job_with_its_number_and_files(file: Store, team: PostgresStore) -> None:
    assert copy(file, team) == (6, 0)
    assert rows(team) == rows(file)
    assert team.spending(0) == file.spending(0)
    team.record_intent(record("next"))
    assert rows(team)[0].id == 7


def test_a_copy_of_a_copy_on_a_disk_is_the_same(
    file: Store, team: PostgresStore, tmp_path: Path
) -> None:
    copy(file, team)
    with closing(opened(tmp_path / "back")) as back:
        assert copy(team, back) == (6, 0)
        assert rows(back) == rows(file)


def test_a_copy_that_was_cut_short_is_finished_and_one_that_is_whole_is_left_alone(
    file: Store, team: PostgresStore, postgres: Postgres
) -> None:
    copy(file, team)
    postgres.run("DELETE FROM tasks WHERE id > 3")
    assert copy(file, team) == (3, 3)
    assert copy(file, team) == (0, 6)
    assert rows(team) == rows(file)


def test_a_job_that_ended_in_the_copy_has_ended_after_the_way_back(
    file: Store, team: PostgresStore, postgres: Postgres
) -> None:
    copy(file, team)
    team.record_end("2", State.FAILED, "no", "task-2")
    picture = ResultFile(Path("/b.png"), Kind.IMAGE, "image/png", 3, "cd" * 32)
    team.record_result("3", Result("task-3", files=(picture,), cost=0.5))
    team.record_intent(record("2"))  # equal to the one that failed
    team.record_accepted(record("2"), Task("cloud", "make", "task-2b"))
    with team.outbox() as outbox:
        outbox.settle(outbox.pending())
    postgres.expire(team._owner.id)
    with closing(PostgresStore(postgres.url)) as whole:
        assert copy(whole, file) == (3, 4)
        assert rows(file) == rows(whole)
    assert pending(file) == []
    assert copy(team, file) == (0, 7)


def test_an_older_copy_changes_nothing_of_a_job_that_went_on(
    file: Store, team: PostgresStore
) -> None:
    copy(file, team)
    team.record_result("3", Result("task-3", texts=("done",)))
    before = rows(team)
    assert copy(file, team) == (0, 6)
    assert rows(team) == before


def test_an_order_that_went_on_in_both_ledgers_is_told_before_anything_is_copied(
    file: Store, team: PostgresStore, postgres: Postgres
) -> None:
    copy(file, team)
    team.record_end("2", State.FAILED, "no", "task-2")
    postgres.run("DELETE FROM tasks WHERE id = 3")  # forgotten there, and ordered once more
    team.record_intent(record("2"))
    team.record_accepted(record("2"), Task("cloud", "make", "task-2b"))
    postgres.expire(team._owner.id)
    before = rows(file)
    with (
        closing(PostgresStore(postgres.url)) as whole,
        pytest.raises(InvalidInput, match=r"Job 3 went on in both"),
    ):
        copy(whole, file)
    assert rows(file) == before


@pytest.mark.parametrize("own", [1, 8])
def test_nothing_is_copied_over_jobs_of_another_ledger(
    own: int, file: Store, team: PostgresStore
) -> None:
    for number in range(own):
        team.record_intent(record(f"theirs {number}"))
    before = rows(team)
    with pytest.raises(InvalidInput, match=r"jobs of its own, such as job 1\."):
        copy(file, team)
    assert rows(team) == before


def pending(store: Store) -> list[str]:
    with store.outbox() as outbox:
        return sorted(f"{one.fingerprint} {one.event}" for one in outbox.pending())


def test_notices_that_are_open_are_sent_from_the_copy_and_only_there(
    file: Store, team: PostgresStore
) -> None:
    with file.outbox() as outbox:
        [first, *_] = outbox.pending()
        outbox.settle([first])
    still = pending(file)
    assert len(still) > 1
    copy(file, team)
    assert (pending(file), pending(team)) == ([], still)


def test_a_copy_that_is_repeated_brings_back_no_notice_that_was_sent(
    file: Store, team: PostgresStore
) -> None:
    copy(file, team)
    with team.outbox() as outbox:
        outbox.settle(outbox.pending())
    copy(file, team)
    assert pending(team) == []


def test_graphs_and_what_forgotten_jobs_have_cost_are_copied_however_many_they_are(
    file: Store, team: PostgresStore
) -> None:
    for number in range(250):
        file.keep_graph(f"prompt {number}", f"graph {number % 120}")
    with file._transaction():
        file._charges.keep_pruned("id = 1")
        for _ in range(8):
            file._db.execute("INSERT INTO pruned SELECT * FROM pruned")
    copy(file, team)
    copy(file, team)
    assert team.spending(0) == file.spending(0)
    graphs = {team.graph_of(f"prompt {number}") for number in range(250)}
    assert graphs == {f"graph {number}" for number in range(120)}


def test_a_ledger_in_use_is_not_copied(team: PostgresStore, file: Store) -> None:
    file.record_intent(record("under way"))
    with pytest.raises(InvalidInput, match="still works with the ledger"):
        copy(file, team)
    assert rows(team) == []


def test_the_command_copies_and_says_how_much(
    skyport: Any, file: Store, postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.url.replace(":@", "@")
    done = skyport("ledger", "copy", f"sqlite:{tmp_path / 'ledger.db'}", url)
    assert done.out == "Jobs copied: 6. Already there: 0.\n"


def test_the_command_takes_no_password_and_makes_no_ledger_out_of_nothing(
    skyport: Any, tmp_path: Path
) -> None:
    target = f"sqlite:{tmp_path / 'new.db'}"
    refused = skyport("ledger", "copy", "postgresql://me:secret@127.0.0.1/db", target)
    assert refused.code == 1
    assert "secret" not in refused.err
    assert "keys set ledger" in refused.err
    missing = skyport("ledger", "copy", f"sqlite:{tmp_path / 'none.db'}", target)
    assert "There is no file" in missing.err
    (tmp_path / "note.db").write_text("no ledger, whatever its name says" * 9)
    wrong = skyport("ledger", "copy", f"sqlite:{tmp_path / 'note.db'}", target)
    assert wrong.code == 1
    assert "note.db cannot be used: file is not a database" in wrong.err
    assert "Name the file ledger.db" in wrong.err
