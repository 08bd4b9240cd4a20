"""Pins what a node that waits does about Interrupt: it sees it in time, and begins nothing more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import standin  # noqa: F401  (makes comfy importable)
from _waiting import PATIENCE, until
from comfy import model_management as host
from server import PromptServer
from skyport import providers
from skyport.engine.base.types import Result, Task
from skyport.engine.http.client import Http
from skyport.nodes._base import run_task
from virtual import Cloud, VirtualLoop, order

PROMISED = 0.5  # seconds after which an interrupt is seen at the latest


@pytest.fixture(autouse=True)
def process(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process of its own, in which nobody has interrupted anything, with nobody to tell."""
    page = SimpleNamespace(client_id="", send_progress_text=lambda *_, **__: None)
    monkeypatch.setattr(PromptServer, "instance", page, raising=False)
    monkeypatch.setenv("SKYPORT_RESULTS_DIR", str(tmp_path / "results"))
    host.interrupt_current_processing(False)
    for cached in (providers.runner, providers.ledger):
        cached.cache_clear()
    yield
    host.interrupt_current_processing(False)
    for cached in (providers.runner, providers.ledger):
        cached.cache_clear()


@pytest.mark.parametrize("after", [0.0, 0.1, 0.29, 10.0, 3600.1])
def test_an_interrupt_is_seen_within_half_a_second_by_who_waits(after: float) -> None:
    loop = VirtualLoop()

    async def waits() -> float:
        interrupted = loop.time() + after
        loop.call_at(interrupted, host.interrupt_current_processing)
        with pytest.raises(host.InterruptProcessingException):
            await run_task._unless_interrupted(Future())
        return loop.time() - interrupted

    assert loop.run_until_complete(waits()) <= PROMISED
    loop.close()


class Stubborn(Cloud):
    """Takes its time to cancel a task: until the test lets it."""

    def __init__(self) -> None:
        super().__init__(time.monotonic, lasts=3600.0, cancels=True)
        self.asked, self.may = threading.Event(), threading.Event()

    def cancel(self, task: Task) -> bool:
        self.asked.set()
        self.may.wait(PATIENCE)
        return super().cancel(task)


async def interrupted(cloud: Cloud, once: Callable[[], object]) -> None:
    """A node that runs a batch of three and is interrupted as soon as `once` tells something."""
    batch = [order(seed=seed) for seed in (1, 2, 3)]
    running = asyncio.ensure_future(run_task.run("7", lambda: (cloud, batch), delivered))
    await asyncio.to_thread(until, once)
    host.interrupt_current_processing()
    with pytest.raises(host.InterruptProcessingException):
        await running


def delivered(results: list[Result]) -> Any:
    raise AssertionError("it was interrupted")


def test_a_batch_begins_nothing_more_once_it_was_interrupted(tmp_path: Path) -> None:
    """Its second item has to wait until an equal one, which is being cancelled, has ended."""
    runner, cloud = providers.runner(), Stubborn()
    equal = runner.start(cloud, order(seed=2), tmp_path)
    until(lambda: equal.snapshot.stage == "running")
    runner.leave(equal, stop=True)
    assert cloud.asked.wait(PATIENCE)
    asyncio.run(interrupted(cloud, lambda: cloud.counts["submit"] == 2))  # the equal, the first
    cloud.may.set()
    until(lambda: not runner.under_way())
    assert cloud.counts["submit"] == cloud.counts["cancel"] == 2


class Narrow(Http):
    """An address that is told a second time only when the test lets it."""

    def __init__(self) -> None:
        self.asked, self.may = 0, threading.Event()
        self.may.set()  # while it is built, it asks for its own address
        super().__init__("Cloud", "http://127.0.0.1:1", {})
        self.asked = 0
        self.may.clear()

    @property
    def base_url(self) -> str:
        self.asked += 1
        if self.asked == 2:
            self.may.wait(PATIENCE)
        return self._told

    @base_url.setter
    def base_url(self, address: str) -> None:
        self._told, self.asked = address, 0


def test_what_an_interrupted_batch_is_about_to_begin_is_stopped_with_the_rest() -> None:
    """The engine is in the middle of beginning the three, and hears of the interrupt after it."""
    runner, cloud = providers.runner(), Cloud(time.monotonic, lasts=3600.0, cancels=True)
    cloud.http = narrow = Narrow()
    asyncio.run(interrupted(cloud, lambda: narrow.asked == 2))
    narrow.may.set()
    until(lambda: not runner.under_way())
    assert narrow.asked == 3
    assert cloud.counts["cancel"] == cloud.counts["submit"]
