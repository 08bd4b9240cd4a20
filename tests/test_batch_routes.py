"""Pins what the sidebar is told of batches: those of the data folder, how far they are, no key."""

from __future__ import annotations

from pathlib import Path

import pytest
from host import Host
from sandboxes import environment
from skyport.engine.batch.store import BatchStore, RowState, StoredBatch, StoredRow
from skyport.sandbox import Sandbox


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi")


def test_a_batch_is_told_with_its_rows_by_state_and_its_cost_once_an_order(own_host: Host):
    host = own_host
    assert host.route("GET", "/skyport/batches").json() == {"batches": []}
    store = BatchStore(Path(host.process.env["SKYPORT_HOME"]) / "batches.db", lambda: 5.0)
    store.begin(StoredBatch("b1", "rows.csv", "haiyi", "kling-v3", 9, "/out", "dead"))
    for number, mark in enumerate(("a", "a", "b"), 1):
        row = StoredRow(number, mark=mark, state=RowState.DONE, cost=0.5, unit="CNY")
        store.write("b1", row)
    store.write("b1", StoredRow(4, 6, mark="c", state=RowState.FAILED, error="no luck", job=7))
    store.close()
    rows = host.route("GET", "/skyport/batches/b1/rows").json()
    failed = {"row": 4, "line": 6, "state": "failed", "error": "no luck", "job": 7}
    assert rows == {"rows": [failed], "more": 0}
    assert host.route("GET", "/skyport/batches").json()["batches"] == [
        {
            "id": "b1",
            "name": "rows.csv",
            "title": "kling-v3",
            "label": "HaiYi",
            "total": 9,
            "states": {"done": 3, "failed": 1},
            "costs": [{"unit": "CNY", "cost": 1.0}],
            "running": False,
            "updated": 5.0,
        }
    ]


def test_of_many_rows_without_a_result_the_first_are_told_and_no_key(own_host: Host):
    home = Path(own_host.process.env["SKYPORT_HOME"])
    key = own_host.process.env["HAIYI_API_KEY"]
    assert own_host.route("GET", "/skyport/batches/none/rows").json() == {"rows": [], "more": 0}
    store = BatchStore(home / "batches.db")
    store.begin(StoredBatch("b2", "rows.csv", "haiyi", "kling-v3", 70, ""))
    for number in range(1, 61):
        store.write("b2", StoredRow(number, state=RowState.REFUSED, error=f"it was {key}"))
    store.write("b2", StoredRow(61, state=RowState.WAITING))
    store.close()
    found = own_host.route("GET", "/skyport/batches/b2/rows").json()
    assert [row["row"] for row in found["rows"]] == list(range(1, 51))
    assert found["more"] == 10
    assert key not in str(found)
