"""Pins who hears of changes: whoever listens, and never at the cost of what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from skyport.engine.base import events
from skyport.engine.base.types import Task
from skyport.engine.ledger.ledger import Order, State
from skyport.engine.ledger.resilient import Keeper

ORDER = Order("mark-1", "haiyi", "https://cloud.example", "/make", "kling-v3", {})


@pytest.fixture
def keeper(tmp_path: Path) -> Any:
    keeper = Keeper(tmp_path)
    yield keeper
    for store in (keeper.disk, keeper.memory):
        store.close()
    keeper.owner.close()


def test_every_change_of_a_row_is_told_by_its_fingerprint(keeper: Keeper):
    heard: list[str] = []
    end = events.listen(heard.append)
    keeper.intend(ORDER)
    keeper.accepted(ORDER, Task("haiyi", "/make", "1"))
    keeper.ended(ORDER.mark, State.FAILED, "no")
    end()
    keeper.intend(ORDER)
    assert heard == ["mark-1"] * 3


def test_a_listener_that_fails_costs_no_fact_and_no_other_listener(keeper: Keeper, caplog: Any):
    heard: list[str] = []

    def broken(mark: str) -> None:
        raise RuntimeError(mark)

    ends = [events.listen(broken), events.listen(heard.append)]
    keeper.accepted(ORDER, Task("haiyi", "/make", "1"))
    for end in ends:
        end()
    row = keeper.find("mark-1")
    assert row is not None
    assert (row.state, heard) == (State.SUBMITTED, ["mark-1"])
    assert "could not tell" in caplog.text
