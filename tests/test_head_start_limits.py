"""Pins that a head start keeps to limits, to practice mode, to ComfyUI's cache and to what a prompt
runs, and that a kill loses nothing of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from _clock import Clock
from _waiting import until
from ahead import (
    OURS,
    TEXT,
    accepted,
    cancels,
    change_settings,
    finish,
    run_node,
    standing_still,
    submits,
    task,
)
from gate import behind_a_gate, shut
from host import Host, graph, link, node, open_host
from sandboxes import environment
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return {**environment(sandbox, "gpugeek"), "SKYPORT_MAX_PARALLEL": "20"}


@pytest.fixture
def cloud(cloud: Host, clock: Clock) -> Iterator[Host]:
    with standing_still(cloud, clock):
        yield cloud


# -- limits and practice mode -------------------------------------------------------------------


def spent_today(host: Host) -> int:
    sums = host.route("GET", "/skyport/spend", params={"by": "graph"}).json()["today"]
    return sum(one["tasks"] for one in sums)


def new_tasks(host: Host, prompt: dict[str, Any]) -> int:
    """How many tasks of the prompt have not been ordered yet, as its estimate says."""
    answer = host.route("POST", "/skyport/estimate", json={"prompt": prompt}, headers=OURS)
    return int(answer.json()["tasks"])


def test_an_order_beyond_a_limit_is_not_begun_and_its_node_says_why(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    change_settings(cloud, limit_tasks_per_day=spent_today(cloud) + 2)
    with behind_a_gate(cloud):
        handles = [cloud.start(task()) for _ in range(3)]
        accepted(sandbox, 2)
    *good, refused = finish(clock, *handles)
    assert [run.status for run in good] == ["success"] * 2
    assert refused.error is not None
    assert refused.error.type == "LimitReached"
    assert len(submits(sandbox)) == 2


def test_an_order_that_a_limit_has_kept_back_is_sent_by_its_node_once_there_is_room(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    change_settings(cloud, limit_tasks_per_day=spent_today(cloud) + 1)
    with behind_a_gate(cloud):
        first, kept_back = cloud.start(task()), cloud.start(task())
        accepted(sandbox, 1)
        change_settings(cloud, limit_tasks_per_day=None)
    assert finish(clock, first)[0].status == "success"
    accepted(sandbox, 2)
    assert finish(clock, kept_back)[0].status == "success"
    assert len(submits(sandbox)) == 2


def test_an_order_begun_ahead_counts_as_paid_when_it_is_queued_again(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    known = task()
    assert new_tasks(cloud, known) == 1
    with behind_a_gate(cloud):
        handle = cloud.start(known)
        accepted(sandbox, 1)
        assert new_tasks(cloud, known) == 0
    finish(clock, handle)


def test_practice_mode_begins_ahead_at_no_platform(cloud: Host, sandbox: Sandbox) -> None:
    change_settings(cloud, sandbox=True)
    known = task()
    with behind_a_gate(cloud):
        handle = cloud.start(known)
        until(lambda: new_tasks(cloud, known) == 0)
    assert handle.result().status == "success"
    assert submits(sandbox) == []


def test_an_order_begun_ahead_is_kept_where_practice_mode_is_on_when_its_node_runs(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    known = task()
    with behind_a_gate(cloud):
        handle = cloud.start(known)
        accepted(sandbox, 1)
        change_settings(cloud, sandbox=True)
    assert handle.result().status == "success"
    change_settings(cloud, sandbox=None)
    assert finish(clock, cloud.start(known))[0].status == "success"
    assert (len(submits(sandbox)), cancels(sandbox)) == (1, 0)


# -- what a prompt runs -------------------------------------------------------------------------


def forget_all_jobs(host: Host) -> None:
    with closing(sqlite3.connect(host.home / "ledger.db")) as db, db:
        db.execute("DELETE FROM tasks")


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["in the ledger", "pruned"])
def test_nothing_is_begun_for_a_node_that_comfyui_serves_from_its_cache(
    cloud: Host, sandbox: Sandbox, clock: Clock, is_forgotten: bool
) -> None:
    known = task()
    first = cloud.start(known)
    accepted(sandbox, 1)
    finish(clock, first)
    with behind_a_gate(cloud, **known):
        if is_forgotten:
            forget_all_jobs(cloud)
        cached, other = cloud.start(known), cloud.start(task())
        accepted(sandbox, 2)
    runs = finish(clock, cached, other)
    assert [run.status for run in runs] == ["success"] * 2
    assert "run" not in runs[0].ran()
    assert len(submits(sandbox)) == 2


def test_an_equal_node_of_other_ids_is_served_from_the_cache_as_well(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    known = run_node()
    first = cloud.start(graph(run=known, seen=node("ProbeSink", value=link("run"))))
    accepted(sandbox, 1)
    finish(clock, first)
    with behind_a_gate(cloud, renamed=known, again=node("ProbeSink", value=link("renamed"))):
        forget_all_jobs(cloud)
        prompt = graph(copied=known, seen=node("ProbeSink", value=link("copied")))
        copied, other = cloud.start(prompt), cloud.start(task())
        accepted(sandbox, 2)
    finish(clock, copied, other)
    assert len(submits(sandbox)) == 2


def test_only_the_outputs_that_are_to_run_are_begun(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    both = graph(
        wanted=run_node(),
        other=run_node(),
        seen=node("ProbeSink", value=link("wanted")),
        unseen=node("ProbeSink", value=link("other")),
    )
    with behind_a_gate(cloud):
        partial = cloud.start(both, partial_execution_targets=["seen"])
        last = cloud.start(task())
        accepted(sandbox, 2)
    runs = finish(clock, partial, last)
    assert [run.status for run in runs] == ["success"] * 2
    assert "seen" in runs[0].ui
    assert "unseen" not in runs[0].ui
    assert len(submits(sandbox)) == 2


def test_a_part_that_runs_in_the_cloud_is_begun_as_it_was_split(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    size = {"width": 16, "height": 8, "batch_size": 1, "color": 7}
    where = {"where": "GPUGeek", "where.workflow_id": str(WORKFLOW_ID)}
    prompt = graph(
        made=node("EmptyImage", size),
        turned=node("ImageInvert", image=link("made")),
        cloud=node("SkyportRunInCloud", where, value=link("turned")),
        seen=node("ProbeSink", value=link("cloud")),
    )
    types = [{"id": name, "type": "", "outputs": [{"type": "IMAGE"}]} for name in prompt]
    workflow = {"nodes": types, "links": []}
    with behind_a_gate(cloud):
        handle = cloud.start(prompt, extra_data={"extra_pnginfo": {"workflow": workflow}})
        accepted(sandbox, 1)
        handle.wait_for_text("cloud", TEXT)
    run = finish(clock, handle)[0]
    assert run.probe("seen")["shape"] == [1, 8, 16, 3]
    assert len(submits(sandbox)) == 1


# -- after a kill ---------------------------------------------------------------------------------


def test_after_a_kill_the_same_queue_pays_for_nothing_again(
    sandbox: Sandbox, clock: Clock, host_env: dict[str, str], tmp_path: Path
) -> None:
    sandbox.log.clear()
    prompts = [task() for _ in range(3)]
    with clock.still():
        with open_host("comfyui", tmp_path, env=host_env) as host:
            shut(host)
            for prompt in prompts:
                host.start(prompt)
            accepted(sandbox, 3)
            host.process._process.kill()
            host.process._process.wait()
        with open_host("comfyui", tmp_path, env=host_env) as host:
            with behind_a_gate(host):
                handles = [host.start(prompt) for prompt in prompts]
            runs = finish(clock, *handles)
    assert [run.status for run in runs] == ["success"] * 3
    assert (len(submits(sandbox)), cancels(sandbox)) == (3, 0)
