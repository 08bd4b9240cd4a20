"""Pins at the nodes that a batch beyond a limit is refused whole, before the platform is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from host import Host, graph, link, node
from sandboxes import environment, failed
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

OURS = {"X-Skyport": "1"}
WORKFLOW = """{
 "73": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
 "9": {"class_type": "SaveImage", "inputs": {"images": ["73", 0], "filename_prefix": "x"}}
}"""


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "gpugeek")


@pytest.fixture
def limited(cloud: Host) -> Iterator[Host]:
    yield cloud
    set_limits(cloud, limit_tasks_per_day=None, limit_tasks_per_queue=None, limit_cost_per_day=None)


def set_limits(host: Host, **limits: Any) -> dict[str, Any]:
    answer = host.route("POST", "/skyport/setup/settings", json=limits, headers=OURS)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["settings"]
    return found


def batch(count: int, seed: int) -> dict[str, Any]:
    return graph(
        picture=node("ProbeImage", seed=seed, width=32, height=24, batch=count),
        image=node("SkyportRemoteInput", value=link("picture"), target="73.image"),
        run=node(
            "SkyportGpugeekRunWorkflow",
            workflow_id=str(WORKFLOW_ID),
            workflow=WORKFLOW,
            inputs=link("image"),
            seed=seed,
        ),
        seen=node("ProbeSink", value=link("run")),
    )


def spent_today(host: Host) -> int:
    sums = host.route("GET", "/skyport/spend", params={"by": "graph"}).json()["today"]
    return sum(one["tasks"] for one in sums)


def test_a_batch_of_eight_under_five_tasks_a_day_is_refused_before_anything_is_sent(
    limited: Host, sandbox: Sandbox
) -> None:
    before = spent_today(limited)
    settings = set_limits(limited, limit_tasks_per_day=before + 5)
    assert settings["limit_tasks_per_day"]["value"] == str(before + 5)
    failed(
        limited,
        batch(8, seed=1),
        "LimitReached",
        f"GPUGeek: The limit for a day is {before + 5} tasks. Today has {before} task",
        "this asks for 8 tasks more. Nothing was sent, and nothing was charged.",
        "limit_tasks_per_day",
    )
    assert sandbox.log.all() == []
    assert spent_today(limited) == before


def test_a_batch_within_a_limit_runs_and_is_reused_under_any(limited: Host) -> None:
    before = spent_today(limited)
    set_limits(limited, limit_tasks_per_queue=2, limit_tasks_per_day=before + 2)
    assert limited.run(batch(2, seed=2)).status == "success"
    assert spent_today(limited) == before + 2
    set_limits(limited, limit_tasks_per_day=0, limit_cost_per_day=0)
    assert limited.run(batch(2, seed=2)).status == "success"


def test_the_price_that_the_platform_told_before_is_reserved(
    limited: Host, sandbox: Sandbox
) -> None:
    assert limited.run(batch(1, seed=3)).status == "success"
    set_limits(limited, limit_cost_per_day="0.05 CNY")
    sandbox.log.clear()
    failed(limited, batch(1, seed=4), "LimitReached", "The limit for a day is 0.05 CNY")
    assert sandbox.log.all() == []


@pytest.mark.parametrize("asked", [{"by": "colour"}, {"days": "0"}, {"days": "many"}])
def test_a_report_that_cannot_be_asked_for_is_refused(limited: Host, asked: Any) -> None:
    answer = limited.route("GET", "/skyport/spend", params=asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


def test_a_limit_of_a_platform_that_does_not_exist_is_refused_by_the_settings_page(
    limited: Host,
) -> None:
    changes = {"limit_tasks_per_day": "gpugek=5"}
    answer = limited.route("POST", "/skyport/setup/settings", json=changes, headers=OURS)
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert (
        "limit_tasks_per_day gpugek must be one of: all, person, comfyui, gpugeek, haiyi" in message
    )
