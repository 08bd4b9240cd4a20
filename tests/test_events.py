"""Pins who hears of changes: whoever listens, and never at the cost of what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from skyport.engine.base import events
from skyport.engine.base.types import Task
from skyport.engine.ledger.ledger import State, TaskRecord
from skyport.engine.ledger.resilient import ResilientLedger

ORDER = TaskRecord("mark-1", "haiyi", "https://cloud.example", "/make", "kling-v3", {})


@pytest.fixture
def keeper(tmp_path: Path) -> Any:
    keeper = ResilientLedger(tmp_path)
    yield keeper
    for store in (keeper.disk, keeper.memory):
        store.close()
    keeper.owner.close()


def test_every_change_of_a_row_is_told_by_its_fingerprint(keeper: ResilientLedger):
    received: list[str] = []
    end = events.subscribe(received.append)
    keeper.record_intent(ORDER)
    keeper.record_accepted(ORDER, Task("haiyi", "/make", "1"))
    keeper.record_end(ORDER.fingerprint, State.FAILED, "no")
    end()
    keeper.record_intent(ORDER)
    assert received == ["mark-1"] * 3


def test_a_listener_that_fails_costs_no_fact_and_no_other_listener(
    keeper: ResilientLedger, caplog: Any
):
    received: list[str] = []

    def broken(fingerprint: str) -> None:
        raise RuntimeError(fingerprint)

    ends = [events.subscribe(broken), events.subscribe(received.append)]
    keeper.record_accepted(ORDER, Task("haiyi", "/make", "1"))
    for end in ends:
        end()
    row = keeper.find("mark-1")
    assert row is not None
    assert (row.state, received) == (State.SUBMITTED, ["mark-1"])
    assert "could not notify" in caplog.text
