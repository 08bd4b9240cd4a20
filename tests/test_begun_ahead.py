"""Pins the turn of orders begun ahead, what becomes of them without their prompt, and which nodes
of a prompt are sure to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import standin  # noqa: F401  (makes ComfyUI's modules importable)
from skyport.engine.base.errors import (
    AuthRejected,
    BadResult,
    InputRejected,
    LimitReached,
    OutcomeUnknown,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
    TaskUnresolved,
    TransportError,
)
from skyport.engine.ledger.ledger import NOBODY, State, record_of
from skyport.engine.tasks.job import Job
from skyport.nodes._base import begun_ahead
from skyport.nodes._base.known_values import KnownValues, surely_run
from skyport.nodes._base.node import CloudNode
from skyport.nodes._base.registry import all_nodes
from virtual import Cloud, Play, ended, order

import nodes as comfyui_nodes


@pytest.fixture
def cloud(play: Play, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    return play.cloud(lasts=10)


async def ahead(play: Play, cloud: Cloud, seed: int, rank: float = 1.0) -> Job:
    request = order(seed=seed)
    return (await play.runner.begin_ahead(cloud, [request], Path(), NOBODY, rank))[0]


def sent(cloud: Cloud) -> list[int | None]:
    return [request.seed for request in cloud.requests]


def test_a_free_slot_goes_to_a_running_node_first_and_then_in_the_order_of_the_queue(
    play: Play, cloud: Cloud
) -> None:
    async def scene() -> None:
        jobs = [await play.runner.begin(cloud, order(seed=0), Path())]
        await asyncio.sleep(1)
        jobs += [await ahead(play, cloud, seed, rank) for seed, rank in ((3, 3.0), (2, 2.0))]
        jobs.append(await play.runner.begin(cloud, order(seed=1), Path()))
        for job in jobs:
            await ended(job)

    play.run(scene())
    assert sent(cloud) == [0, 1, 2, 3]


def test_of_two_hundred_the_oldest_are_sent_first_and_no_more_at_once_than_may_be(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "20")
    cloud = play.cloud(lasts=10)

    async def scene() -> None:
        jobs = [await ahead(play, cloud, n, float(n)) for n in range(200, 180, -1)]
        await asyncio.sleep(1)
        jobs += [await ahead(play, cloud, n, float(n)) for n in range(180, 0, -1)]
        for job in jobs:
            await ended(job)

    play.run(scene())
    assert sent(cloud) == [*range(200, 180, -1), *range(1, 181)]
    times = cloud.times("submit")
    assert all(after - before >= 10 for before, after in zip(times, times[20:], strict=False))


def test_what_was_begun_ahead_moves_up_when_its_node_runs(play: Play, cloud: Cloud) -> None:
    async def scene() -> None:
        first = await play.runner.begin(cloud, order(seed=0), Path())
        await asyncio.sleep(1)
        earlier, later = await ahead(play, cloud, 1, 1.0), await ahead(play, cloud, 2, 2.0)
        assert await play.runner.begin_all(cloud, [later], Path()) == [later]
        for job in (first, earlier, later):
            await ended(job)

    play.run(scene())
    assert sent(cloud) == [0, 2, 1]


def test_a_node_gets_what_became_of_a_job_that_has_ended(play: Play, cloud: Cloud) -> None:
    async def scene() -> str:
        job = await ahead(play, cloud, 1)
        await ended(job)
        return (await ended((await play.runner.begin_all(cloud, [job], Path()))[0])).texts[0]

    assert play.run(scene()) == "done"
    assert cloud.counts["submit"] == 1


def test_withdrawn_before_it_is_sent_it_never_is(play: Play, cloud: Cloud) -> None:
    async def scene() -> None:
        first = await play.runner.begin(cloud, order(seed=0), Path())
        await asyncio.sleep(1)
        job = await ahead(play, cloud, 1)
        play.runner.withdraw(job)
        with pytest.raises(TaskCancelled):
            await ended(job)
        await ended(first)

    play.run(scene())
    assert sent(cloud) == [0]


def test_withdrawn_after_it_was_sent_it_goes_on(play: Play) -> None:
    cloud = play.cloud(lasts=10, cancels=True)

    async def scene() -> State:
        job = await ahead(play, cloud, 1)
        await asyncio.sleep(5)
        play.runner.withdraw(job)
        await ended(job)
        row = play.runner.ledger.find(job.fingerprint)
        assert row is not None
        return row.state

    assert play.run(scene()) is State.SUCCEEDED
    assert cloud.counts["cancel"] == 0


def test_what_nobody_wants_any_more_is_not_sent(play: Play, cloud: Cloud) -> None:
    async def scene() -> None:
        first = await play.runner.begin(cloud, order(seed=0), Path())
        await asyncio.sleep(1)
        job = await ahead(play, cloud, 1)
        job.is_wanted = lambda: False
        with pytest.raises(TaskCancelled, match="nothing was charged"):
            await ended(job)
        await ended(first)

    play.run(scene())
    assert sent(cloud) == [0]


def of_task(error: SkyportError) -> SkyportError:
    error.task_id = "7"
    return error


@pytest.mark.parametrize(
    ("stage", "error", "is_taken"),
    [
        ("running", TaskFailed("bad words", task_id="7"), True),
        ("running", TaskCancelled("by a person", task_id="7"), True),
        ("waiting", TaskCancelled("by a person"), True),
        ("submitting", InputRejected("no such size", status=400), True),
        ("submitting", OutcomeUnknown("cut off"), True),
        ("submitting", LimitReached("twenty a day"), False),
        ("submitting", TransportError("no network"), False),
        ("uploading", InputRejected("no such file", status=400), False),
        ("running", TaskTimeout("an hour", task_id="7"), False),
        ("running", TaskUnresolved("who knows", task_id="7"), False),
        ("running", of_task(AuthRejected("the key has changed", status=401)), False),
        ("downloading", BadResult("cut off", task_id="7"), False),
    ],
)
def test_a_node_takes_an_end_that_would_be_ordered_anew_and_tries_all_others_itself(
    play: Play, cloud: Cloud, stage: str, error: SkyportError, is_taken: bool
) -> None:
    request = order()
    job = Job(cloud, request, record_of(request, cloud.http.base_url))
    job.enter(stage)
    job.future.set_exception(error)
    taken = begun_ahead._Order(request, job).or_request()
    assert taken is (job if is_taken else request)


# -- which nodes ----------------------------------------------------------------------------------


def kind(**inputs: Any) -> Any:
    """A class with these inputs."""
    info = {"input": {"required": inputs}, "output": [], "output_node": False}
    return SimpleNamespace(info=lambda: info)


def test_every_node_that_orders_tasks_can_begin_them_ahead() -> None:
    cloud = [one for one in all_nodes() if issubclass(one, CloudNode)]
    others = {one.id for one in cloud if not one.begins_ahead}
    assert others == {
        "SkyportGpugeekUpload",
        "SkyportHaiyiClusters",
        "SkyportHaiyiUpload",
        "SkyportLoadResult",
    }


@pytest.fixture
def classes() -> Iterator[None]:
    before = comfyui_nodes.NODE_CLASS_MAPPINGS.classes
    sockets = {"on": ("IMAGE", {"lazy": True}), "off": ("IMAGE", {"lazy": False})}
    comfyui_nodes.offer(
        {
            "Switch": kind(**sockets),
            "Loop": kind(body=("*", {"rawLink": True})),
            "Save": kind(images=("IMAGE",)),
            "Cloud": kind(image=("IMAGE",)),
            "LoadImage": kind(image=(["a.png"], {})),
            "Sample": kind(),
        }
    )
    yield
    comfyui_nodes.offer(before)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


PROMPT = {
    "save": node("Save", images=["switch", 0]),
    "switch": node("Switch", on=["maybe", 0], off=["sure", 0]),
    "maybe": node("Cloud", image=["file", 0]),
    "sure": node("Cloud", image=["file", 0]),
    "file": node("LoadImage", image="a.png"),
    "loop": node("Loop", body=["inside", 0]),
    "inside": node("Cloud", image=["noise", 0]),
    "noise": node("Sample"),
    "apart": node("Cloud", image="constant"),
}


@pytest.mark.usefixtures("classes")
def test_what_only_a_lazy_input_asks_for_may_not_run() -> None:
    assert set(surely_run(PROMPT, ["save"])) == {"save", "switch", "sure", "file"}
    assert set(surely_run(PROMPT, ["loop"])) == {"loop"}
    assert set(surely_run(PROMPT, ["save", "apart"])) >= {"apart", "sure"}


@pytest.mark.usefixtures("classes")
def test_only_constants_and_loaders_are_known_before_a_prompt_runs() -> None:
    known = KnownValues("prompt", PROMPT, {})
    found = {name: known.are_all_of(name) for name in ("sure", "inside", "apart", "save")}
    assert found == {"sure": True, "inside": False, "apart": True, "save": False}
