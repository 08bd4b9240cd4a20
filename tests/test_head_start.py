"""Pins that what queued prompts order is sent at once, once, and for no prompt that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _clock import Clock
from _waiting import until
from ahead import (
    TEXT,
    accepted,
    cancels,
    change_settings,
    delete,
    finish,
    run_node,
    serial,
    standing_still,
    submits,
    task,
)
from gate import behind_a_gate
from host import Host, graph, link, node
from PIL import Image
from sandboxes import environment
from skyport.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return {**environment(sandbox, "gpugeek", "opencomputing"), "SKYPORT_MAX_PARALLEL": "20"}


@pytest.fixture
def cloud(cloud: Host, clock: Clock) -> Iterator[Host]:
    with standing_still(cloud, clock):
        yield cloud


def test_all_of_twenty_queued_prompts_are_at_work_before_the_first_runs(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    with behind_a_gate(cloud):
        handles = [cloud.start(task()) for _ in range(20)]
        accepted(sandbox, 20)
    runs = finish(clock, *handles)
    assert [run.status for run in runs] == ["success"] * 20
    assert all(run.probe("seen")["shape"] == [1, 24, 32, 3] for run in runs)
    assert len(submits(sandbox)) == 20
    assert any(TEXT in text for text in handles[0].texts["run"])


def test_a_prompt_deleted_before_its_submit_is_not_sent(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    with behind_a_gate(cloud):
        handles = [cloud.start(task()) for _ in range(22)]
        accepted(sandbox, 20)
        delete(cloud, handles[21])
    clock.forward()  # a slot is free
    accepted(sandbox, 21)
    runs = finish(clock, *handles[:21])
    assert [run.status for run in runs] == ["success"] * 21
    assert len(submits(sandbox)) == 21
    assert cancels(sandbox) == 0


def test_a_prompt_deleted_after_its_submit_has_its_task_cancelled(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    with behind_a_gate(cloud):
        kept, deleted = cloud.start(task()), cloud.start(task())
        accepted(sandbox, 2)
        delete(cloud, deleted)
        until(lambda: cancels(sandbox) == 1)
    assert finish(clock, kept)[0].status == "success"
    assert (len(submits(sandbox)), cancels(sandbox)) == (2, 1)


def test_a_cleared_queue_cancels_all_that_was_begun_for_it(cloud: Host, sandbox: Sandbox) -> None:
    with behind_a_gate(cloud):
        for _ in range(3):
            cloud.start(task())
        accepted(sandbox, 3)
        cloud.route("POST", "/queue", json={"clear": True}).raise_for_status()
        until(lambda: cancels(sandbox) == 3)
    assert len(submits(sandbox)) == 3


def test_an_order_of_two_queued_prompts_lives_on_for_the_one_that_is_left(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    equal = task()
    with behind_a_gate(cloud):
        first, second, third = (cloud.start(one) for one in (equal, equal, task()))
        accepted(sandbox, 2)  # they are begun in this order
        delete(cloud, first)
        fourth = cloud.start(task())
        accepted(sandbox, 3)
    assert [run.status for run in finish(clock, second, third, fourth)] == ["success"] * 3
    assert (len(submits(sandbox)), cancels(sandbox)) == (3, 0)


def test_interrupt_of_the_running_prompt_leaves_the_orders_of_the_others(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    running = cloud.start(task())
    running.wait_for_text("run")
    waiting = cloud.start(task())
    accepted(sandbox, 2)
    cloud.interrupt()
    assert running.result().status == "interrupted"
    until(lambda: cancels(sandbox) == 1)
    assert finish(clock, waiting)[0].status == "success"
    assert (len(submits(sandbox)), cancels(sandbox)) == (2, 1)


def test_a_node_says_how_its_order_gets_on_while_it_waits_in_the_queue(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    with behind_a_gate(cloud):
        handle = cloud.start(task())
        shown = handle.wait_for_text("run", TEXT)
        assert shown.startswith("GPUGeek")
        deleted = cloud.start(graph(other=run_node(), seen=node("ProbeSink", value=link("other"))))
        deleted.wait_for_text("other", TEXT)
        accepted(sandbox, 2)
        delete(cloud, deleted)
        deleted.wait_for_text("other", "cancelled on the platform")
    finish(clock, handle)
    assert (len(submits(sandbox)), cancels(sandbox)) == (2, 1)


def test_interrupt_stops_a_task_that_was_begun_ahead(cloud: Host, sandbox: Sandbox) -> None:
    with behind_a_gate(cloud):
        ahead = cloud.start(task())
        accepted(sandbox, 1)
    ahead.wait_for_text("run", TEXT)
    cloud.interrupt()
    assert ahead.result().status == "interrupted"
    until(lambda: cancels(sandbox) == 1)
    assert len(submits(sandbox)) == 1


def test_a_refused_prompt_begins_nothing(cloud: Host, sandbox: Sandbox, clock: Clock) -> None:
    with behind_a_gate(cloud):
        assert cloud.start(graph(run=run_node(seed="x"))).result().status == "refused"
        good = cloud.start(task())
        accepted(sandbox, 1)
    assert finish(clock, good)[0].status == "success"
    assert len(submits(sandbox)) == 1


def test_what_another_node_has_to_make_first_is_not_begun(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    computed = graph(
        picture=node("ProbeImage", seed=next(serial)),
        image=node("SkyportRemoteInput", value=link("picture"), target="73.color"),
        run=run_node(inputs=link("image")),
        seen=node("ProbeSink", value=link("run")),
    )
    with behind_a_gate(cloud):
        first, second = cloud.start(computed), cloud.start(task())
        accepted(sandbox, 1)
        assert submits(sandbox)[0]["prompt"]["73"]["inputs"]["color"] == 255
    finish(clock, first, second)
    assert TEXT not in str(first.texts)


def test_constants_of_a_remote_input_go_along(cloud: Host, sandbox: Sandbox, clock: Clock) -> None:
    known = graph(
        image=node("SkyportRemoteInput", value=16, target="73.width"),
        other=node("SkyportRemoteInput", value=8, target="73.height", inputs=link("image")),
        run=run_node(inputs=link("other")),
        seen=node("ProbeSink", value=link("run")),
    )
    with behind_a_gate(cloud):
        handle = cloud.start(known)
        accepted(sandbox, 1)
    assert finish(clock, handle)[0].probe("seen")["shape"] == [1, 8, 16, 3]
    assert len(submits(sandbox)) == 1


@pytest.mark.parametrize("name", ["head_start", "reuse_results"])
def test_switched_off_nothing_is_begun_ahead(
    cloud: Host, sandbox: Sandbox, clock: Clock, name: str
) -> None:
    change_settings(cloud, **{name: False})
    with behind_a_gate(cloud):
        handle = cloud.start(task())
    until(lambda: submits(sandbox))
    assert finish(clock, handle)[0].status == "success"
    assert TEXT not in str(handle.texts)
    assert len(submits(sandbox)) == 1


def test_a_refusal_of_what_was_begun_ahead_is_told_by_the_node_and_not_sent_again(
    cloud: Host, sandbox: Sandbox
) -> None:
    sandbox.faults.add("POST /api/v1/prompt", "status", status=400, body={"msg": "no such thing"})
    with behind_a_gate(cloud):
        handle = cloud.start(task())
        accepted(sandbox, 1)
    run = handle.result()
    assert run.status == "error"
    assert run.error is not None
    assert "no such thing" in run.error.message
    assert len(submits(sandbox)) == 1


def test_a_delivered_result_is_not_ordered_ahead_again(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    known = task()
    first = cloud.start(known)
    accepted(sandbox, 1)
    finish(clock, first)
    with behind_a_gate(cloud):
        again, other = cloud.start(known), cloud.start(task())
        accepted(sandbox, 2)
    assert [run.status for run in finish(clock, again, other)] == ["success"] * 2
    assert len(submits(sandbox)) == 2


def input_picture(cloud: Host) -> Path:
    """A new file in its input folder, a picture of 16 by 8."""
    path = cloud.base / "input" / f"picture{next(serial)}.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (16, 8), "red").save(path)
    return path


def test_a_file_changed_after_its_prompt_was_queued_is_not_paid_for_twice(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    path = input_picture(cloud)
    with behind_a_gate(cloud):
        handle = cloud.start(task(path.name))
        accepted(sandbox, 1)
        Image.new("RGB", (24, 8), "blue").save(path)
    run = finish(clock, handle)[0]
    assert run.probe("seen")["shape"] == [1, 8, 16, 3]
    assert any("An input has changed since this was queued" in one for one in handle.texts["run"])
    assert len(submits(sandbox)) == 1


def test_what_was_queued_in_practice_mode_is_sent_nowhere_once_that_is_left(
    cloud: Host, sandbox: Sandbox
) -> None:
    with behind_a_gate(cloud):
        change_settings(cloud, sandbox=True)
        handle = cloud.start(task())
        change_settings(cloud, sandbox=None)
    run = handle.result()
    assert run.error is not None
    assert "queued in practice mode, which has been left" in run.error.message
    assert submits(sandbox) == []


def test_after_the_result_of_an_earlier_file_the_file_as_it_is_can_be_had(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    path = input_picture(cloud)
    known = task(path.name)
    with behind_a_gate(cloud):
        first = cloud.start(known)
        accepted(sandbox, 1)
        Image.new("RGB", (24, 8), "blue").save(path)
        second = cloud.start(known)
        accepted(sandbox, 2)
    runs = finish(clock, first, second)
    assert [run.probe("seen")["shape"] for run in runs] == [[1, 8, 16, 3], [1, 8, 24, 3]]
    assert len(submits(sandbox)) == 2


def test_rows_that_were_changed_while_they_waited_each_bring_their_own_result(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    path = cloud.base / "input" / f"rows{next(serial)}.csv"
    path.parent.mkdir(exist_ok=True)
    prompts = [f"{word} {next(serial)}" for word in ("crow", "fox", "owl", "hare")]
    path.write_text("\n".join(["prompt", *prompts[1:]]))
    rows = node("SkyportLoadRows", file=path.name, columns="prompt", start=1, rows=0)
    seed = next(serial)
    known = graph(rows=rows, **picture(link("rows"), seed))
    with behind_a_gate(cloud):
        handle = cloud.start(known)
        until(lambda: ordered(sandbox) == sorted(prompts[1:]))
        path.write_text("\n".join(["prompt", *prompts]))
    until(lambda: len(ordered(sandbox)) == 4)
    run = finish(clock, handle)[0]
    assert run.status == "success", run.error
    assert ordered(sandbox) == sorted(prompts)
    assert any("what is new was ordered now" in one for one in handle.texts["run"])
    alone = [cloud.run(graph(**picture(prompt, seed))).probe("seen") for prompt in prompts]
    assert [seen["sha256"] for seen in run.probe("seen")] == [seen["sha256"] for seen in alone]
    assert ordered(sandbox) == sorted(prompts)


def picture(prompt: Any, seed: int) -> dict[str, Any]:
    """Nodes that order a picture of it and look at that."""
    model = {"model": "wan2.2-t2i-plus", "model.negative_prompt": ""}
    run = node("SkyportOpenComputingTextToImage", model, prompt=prompt, seed=seed)
    return {"run": run, "seen": node("ProbeSink", value=link("run"))}


def ordered(sandbox: Sandbox) -> list[str]:
    """The prompts of OpenComputing's orders, which come in any order; one is read bit by bit."""
    sent = (seen.fields for seen in sandbox.log.of("POST", "/image/generations"))
    return sorted(fields["prompt"] for fields in sent if fields)


def test_pictures_of_loaders_are_those_that_the_node_would_send(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    if cloud.kind == "standin":
        pytest.skip("it has no loaders")
    known = graph(
        load=node("LoadImage", image=input_picture(cloud).name),
        local=node("SkyportKeepLocal", value=link("load")),
        image=node("SkyportRemoteInput", value=link("local"), target="73.image"),
        run=run_node("replaced.png", inputs=link("image")),
        seen=node("ProbeSink", value=link("run")),
    )
    with behind_a_gate(cloud):
        handle = cloud.start(known)
        accepted(sandbox, 1)
    run = finish(clock, handle)[0]
    assert run.probe("seen")["shape"] == [1, 8, 16, 3]
    assert not any("An input has changed" in one for one in handle.texts["run"])
    assert len(submits(sandbox)) == 1
