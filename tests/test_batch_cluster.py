"""Pins that a batch over a Ray cluster orders each row once, whichever machine dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import Batch, fast_sandbox
from clusters import Cluster, cluster
from sandboxes import environment
from skyport.sandbox import Sandbox


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with fast_sandbox() as box:
        yield box


def env_of(folder: Path, box: Sandbox, url: str) -> dict[str, str]:
    return {
        **environment(box, "haiyi"),
        "SKYPORT_LEDGER_URL": url,
        "SKYPORT_HOME": str(folder / "home"),
        "SKYPORT_RESULTS_DIR": str(folder / "results"),
    }


@pytest.fixture
def machines(box: Sandbox, postgres: Any, tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'skyport[ray]'")
    env = env_of(tmp_path, box, postgres.url)
    Path(env["SKYPORT_HOME"]).mkdir()
    with cluster(2, env) as machines:
        yield machines


def test_rows_are_ordered_once_over_all_machines_and_again_at_no_charge(
    machines: Cluster, box: Sandbox, postgres: Any, tmp_path: Path
) -> None:
    options = ("--at-once", "4", "--executor", "ray", "--address", machines.address)
    batch = Batch(tmp_path, box, options, env={"SKYPORT_LEDGER_URL": postgres.url})
    batch.write(24)
    done = batch.run()
    assert done.code == 0, done.err
    assert batch.states() == {"done": 24}
    assert box.charges["haiyi"] == 24
    owners = postgres.run("SELECT count(DISTINCT owner) FROM tasks")
    assert owners == [(2,)], "both machines had a share"
    again = batch.run()
    assert (again.code, box.charges["haiyi"]) == (0, 24)
