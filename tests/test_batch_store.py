"""Pins that the record of batches is the same in a file and in the database of a team."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from skyport.engine.base.errors import InvalidInput
from skyport.engine.batch.store import BatchStore, RowState, StoredBatch, StoredRow
from skyport.engine.batch.team_store import TeamBatchStore

BATCH = StoredBatch("b1", "rows.csv", "haiyi", "a model", 3, "/out", "me")
DONE = StoredRow(2, 3, "x", "x", RowState.DONE, job=7, cost=0.5, unit="USD", result={"files": []})
Opened = Callable[[], BatchStore]


@pytest.fixture(params=["file", "team"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the record as one more process."""
    opened: list[BatchStore] = []

    def open_one() -> BatchStore:
        if request.param == "team":
            url = request.getfixturevalue("postgres").url
            opened.append(TeamBatchStore(url, now=lambda: 5.0))
        else:
            opened.append(BatchStore(tmp_path / "batches.db", lambda: 5.0))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def test_what_one_process_writes_every_other_reads(open_store: Opened) -> None:
    mine, theirs = open_store(), open_store()
    mine.begin(BATCH)
    mine.write("b1", StoredRow(2, 3, "x", "x"))
    mine.write("b1", DONE)
    theirs.write("b1", StoredRow(1, 2, "x", "x", RowState.REFUSED, error="no"))
    assert [(row.number, row.state) for row in mine.rows("b1")] == [
        (1, RowState.REFUSED),
        (2, RowState.DONE),
    ]
    assert list(theirs.rows("b1", RowState.DONE)) == [DONE]
    assert theirs.find("b1", 2) == theirs.find_done("x") == DONE
    assert theirs.find_equal("b1", "x", RowState.UNKNOWN) is None
    assert theirs.find_equal("b1", "x") is not None
    assert theirs.copies_before("b1", "x", 2) == 1


def test_a_batch_that_goes_on_keeps_its_rows_and_sums(open_store: Opened) -> None:
    store = open_store()
    store.begin(BATCH)
    store.write("b1", DONE)
    store.begin(StoredBatch("b1", "rows.csv", "haiyi", "a model", 4, "/out", "another"))
    [batch] = store.batches(5)
    assert (batch.total, batch.owner, batch.created, batch.updated) == (4, "another", 5.0, 5.0)
    assert store.sums("b1").states == {RowState.DONE: 1}
    assert store.sums("b1").costs == {"USD": 0.5}


def test_costs_that_are_none_have_a_sum_all_the_same(open_store: Opened) -> None:
    store = open_store()
    store.begin(BATCH)
    for number in range(3):
        store.write("b1", replace(DONE, number=number, mark=f"{number}", cost=1e308))
    assert store.sums("b1").costs == {"USD": 3e9}


def test_other_batches_tell_what_was_ordered_and_whose_a_folder_is(open_store: Opened) -> None:
    store = open_store()
    store.begin(replace(BATCH, id="table1-command-content"))
    store.write("table1-command-content", StoredRow(1, 2, "x", "x", RowState.REFUSED))
    store.write("table1-command-content", StoredRow(2, 3, "y", "y", RowState.WAITING))
    assert not store.was_ordered("x")
    assert not store.was_ordered("y")
    store.write("table1-command-content", StoredRow(3, 4, "x", "x", RowState.FAILED))
    assert store.was_ordered("x")
    found = [store.is_taken(*one) for one in (("/out", "table2"), ("/out", "table1"), ("/o", "t"))]
    assert found == [True, False, False]


def test_a_database_that_is_away_for_a_moment_loses_no_row(postgres: Any) -> None:
    postgres.run("DROP ROLE IF EXISTS batch")
    postgres.run("CREATE ROLE batch SUPERUSER LOGIN")
    pauses: list[float] = []

    def back_again(seconds: float) -> None:
        pauses.append(seconds)
        postgres.run("ALTER ROLE batch LOGIN")

    url = postgres.url.replace("postgres:@", "batch:@")
    with closing(TeamBatchStore(url, sleep=back_again)) as store:
        store.begin(BATCH)
        postgres.run("ALTER ROLE batch NOLOGIN")
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'batch'"
        )
        store.write("b1", DONE)
        assert store.find("b1", 2) == DONE
    assert pauses == [0.5]


def test_a_database_that_stays_away_is_an_error_in_words() -> None:
    url = "postgresql://me@127.0.0.1:1/db?connect_timeout=2"
    with pytest.raises(InvalidInput, match="The team's ledger cannot be used"):
        TeamBatchStore(url, sleep=lambda seconds: None)


# -- what is forgotten ----------------------------------------------------------------------------


def test_a_finished_batch_is_forgotten_after_the_last_of_its_jobs(open_store: Opened) -> None:
    store = open_store()
    store.begin(replace(BATCH, total=2))
    store.write("b1", DONE)
    store.write("b1", replace(DONE, number=1, mark="y"))
    store.begin(replace(BATCH, id="b2", total=1))
    store.write("b2", replace(DONE, mark="z"))
    assert store.prune(1.0, lambda mark: False) == 0  # not old enough
    assert store.prune(0.0, lambda mark: mark in ("y", "z")) == 0
    assert store.prune(0.0, lambda mark: mark == "z") == 1
    assert [batch.id for batch in store.batches(5)] == ["b2"]
    assert list(store.rows("b1")) == []
    assert store.find("b2", 2) is not None


@pytest.mark.parametrize("state", [one for one in RowState if one is not RowState.DONE])
def test_a_batch_that_still_lacks_a_result_is_never_forgotten(
    open_store: Opened, state: RowState
) -> None:
    store = open_store()
    store.begin(replace(BATCH, total=2))
    store.write("b1", DONE)
    assert store.prune(0.0, lambda mark: False) == 0  # a row was never begun
    store.write("b1", replace(DONE, number=3, state=state))
    assert store.prune(0.0, lambda mark: False) == 0
    assert [row.number for row in store.rows("b1")] == [2, 3]
