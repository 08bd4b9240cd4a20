"""Pins what is said of spending: by day and kind, units apart, what is expected, what is left."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest
from skyport import providers
from skyport.engine.base.types import Amount, Result, Task
from skyport.engine.ledger.ledger import Source, TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.engine.spend.report import Sum, report

NOON = 1_795_600_800.0
DAY = 86400.0
CLOUD = "https://cloud"


@pytest.fixture(autouse=True)
def own_process(process: Any) -> None:
    """A ledger of the test's own."""


def bought(
    store: Any, name: str, price: float | None = None, told: float | None = None, **more: Any
) -> None:
    how = {"platform": "gpugeek", "base_url": CLOUD, "unit": "CNY", "title": "kling-v3", **more}
    amount = None if price is None else Amount(price, how["unit"])
    record = TaskRecord(name, endpoint="make", request={}, price=amount, **how)
    store.record_intent(record)
    store.record_accepted(record, Task(record.platform, "make", name))
    if told is not None:
        store.record_result(name, Result(name, cost=told))


def mixed(store: Any) -> None:
    bought(store, "a", 0.5, 0.25, source=Source("1", "prompt-1"))
    bought(store, "b", 0.5, source=Source("2", "prompt-1"))
    bought(store, "c", title="wan", source=Source("1", "prompt-2"))
    bought(store, "d", 7, 3, platform="opencomputing", unit="credits")
    bought(store, "e", 0.75, 0.5, base_url="http://127.0.0.1:8377")


def test_a_report_keeps_units_and_this_machine_apart_and_says_what_is_expected(tmp_path):
    now = [NOON - 2 * DAY]
    store = Store(tmp_path / "ledger.db", Owner(tmp_path / "owners"), lambda: now[0])
    bought(store, "before", 1, 1)
    now[0] = NOON
    mixed(store)
    found = report(store, "graph", 2, NOON)
    assert found.today == [
        Sum("", False, "CNY", 3, 0.25, 0.5, 1),
        Sum("", False, "credits", 1, 3, 0, 0),
        Sum("", True, "CNY", 1, 0.5, 0, 0),
    ]
    assert [one.tasks for one in found.month] == [4, 1, 1]
    assert {one.name for one in found.days} == {time.strftime("%Y-%m-%d", time.localtime(NOON))}
    assert len({one.name for one in report(store, "platform", 3, NOON).days}) == 2
    assert [(one.name, one.tasks) for one in found.kinds] == [
        ("prompt-1", 2),
        ("prompt-2", 1),
        ("", 1),
        ("", 1),
    ]
    store.close()


def test_a_server_of_ones_own_has_no_unknown_price(tmp_path):
    store = Store(tmp_path / "ledger.db", Owner(tmp_path / "owners"), lambda: NOON)
    bought(store, "a", platform="comfyui", unit="")
    bought(store, "b", platform="haiyi", unit="")
    assert report(store, "platform", 2, NOON).today == [Sum("", False, "", 2, 0, 0, 1)]
    store.close()


def test_the_limits_are_said_with_what_is_left_of_each(skyport, monkeypatch):
    monkeypatch.setenv("SKYPORT_LIMIT_TASKS_PER_QUEUE", "3")
    monkeypatch.setenv("SKYPORT_LIMIT_TASKS_PER_DAY", "10, gpugeek=3")
    monkeypatch.setenv("SKYPORT_LIMIT_COST_PER_MONTH", "1")
    mixed(providers.ledger())
    views = json.loads(skyport("spend", "--json").out)["limits"]
    keys = ("setting", "platform", "unit", "local", "used", "left", "unknown")
    assert [[view[key] for key in keys] for view in views] == [
        ["limit_tasks_per_queue", "", "", False, None, None, 0],
        ["limit_tasks_per_day", "", "", False, 4, 6, 1],
        ["limit_tasks_per_day", "", "", True, 1, 9, 0],
        ["limit_tasks_per_day", "gpugeek", "", False, 3, 0, 1],
        ["limit_tasks_per_day", "gpugeek", "", True, 1, 2, 0],
        ["limit_cost_per_month", "", "CNY", False, 0.75, 0.25, 1],
        ["limit_cost_per_month", "", "credits", False, 3, 0, 1],
        ["limit_cost_per_month", "", "CNY", True, 0.5, 0.5, 0],
    ]
    rows = [line.split() for line in skyport("spend").lines]
    assert ["limit_cost_per_month", "all", "CNY", "1", "0.75", "0.25"] in rows
    assert ["limit_tasks_per_queue", "all", "tasks", "3"] in rows


def test_the_command_prints_sums_by_period_kind_and_day(skyport):
    mixed(providers.ledger())
    result = skyport("spend", "--by", "model")
    assert result.code == 0, result.all
    rows = [line.split() for line in result.lines]
    assert rows[0] == ["period", "tasks", "charged", "expected", "unit", "unknown", "price"]
    assert rows[2] == ["today", "3", "0.25", "0.5", "CNY", "1"]
    assert ["kling-v3", "2", "0.25", "0.5", "CNY", "0"] in rows
    assert ["wan", "1", "0", "0", "CNY", "1"] in rows
    assert [time.strftime("%Y-%m-%d"), "1", "3", "0", "credits", "0"] in rows


def test_the_csv_holds_every_sum(skyport):
    mixed(providers.ledger())
    rows = list(csv.DictReader(io.StringIO(skyport("spend", "--csv").out)))
    assert [row["of"] for row in rows].count("today") == 3
    assert {
        "of": "platform",
        "name": "opencomputing",
        "local": "False",
        "unit": "credits",
        "tasks": "1",
        "charged": "3.0",
        "expected": "0.0",
        "unknown": "0",
    } in rows


def test_where_nothing_was_ordered_the_command_says_so(skyport):
    assert skyport("spend").out == "Nothing was ordered this month.\n"


@pytest.mark.parametrize("given", [("--days", "0"), ("--by", "colour"), ("--json", "--csv")])
def test_a_command_line_that_makes_no_sense_is_refused(skyport, given):
    assert skyport("spend", *given).code == 2
