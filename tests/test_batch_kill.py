"""Pins the promise of a batch: stopped anywhere, the same command goes on, and each row is one
order. Only what was cut in the middle of its submit is left unknown, and is not sent again.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from batches import Batch, fast_sandbox
from skyport.sandbox import Sandbox


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with fast_sandbox() as box:
        yield box


def killed_again_and_again(batch: Batch, rows: int, kills: int, patience: float) -> None:
    batch.write(rows)
    chance = random.Random(rows)
    for moment in sorted(chance.sample(range(1, rows), kills)):
        batch.run_and_signal(moment, patience=patience)
    last = batch.run(patience)
    states = batch.states()
    unknown = states.pop("unknown", 0)
    assert states == {"done": rows - unknown}, last.err
    assert unknown <= kills * 8
    assert last.code == (1 if unknown else 0), last.err
    assert set(batch.box.orders.values()) == {1}
    assert batch.box.charges["haiyi"] <= rows
    assert len(batch.box.orders) >= rows - unknown
    assert {line["row"] for line in batch.lines()} == set(range(1, rows + 1))
    named = [name for line in batch.lines() for name in line["files"]]
    assert sorted(named) == sorted(path.name for path in batch.output.glob("*.png"))
    assert len(named) == rows - unknown

    charged = batch.box.charges["haiyi"]
    batch.run(patience)
    assert batch.box.charges["haiyi"] == charged


def test_killed_at_any_point_the_same_command_goes_on_and_pays_for_no_row_twice(
    tmp_path: Path, box: Sandbox
):
    killed_again_and_again(Batch(tmp_path, box), rows=60, kills=4, patience=60)


@pytest.mark.soak
def test_ten_thousand_rows_survive_fifty_kills(tmp_path: Path, box: Sandbox):
    killed_again_and_again(Batch(tmp_path, box), rows=10_000, kills=50, patience=900)


def test_ctrl_c_waits_for_submits_under_way_and_leaves_nothing_unknown(
    tmp_path: Path, box: Sandbox
):
    batch = Batch(tmp_path, box)
    batch.write(40)
    stopped = batch.run_and_signal(10, signal.SIGINT)
    assert stopped.code == 130, stopped.err
    assert "the same command goes on" in stopped.err
    assert len(batch.lines()) < 40
    assert batch.run().code == 0
    assert batch.states() == {"done": 40}
    assert box.charges["haiyi"] == 40
