"""Pins what a node that waits does about Interrupt: it sees it in time, and begins nothing more;
and what it says: since when no answer comes, what the platform adds, how an open end is settled.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
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
from skyport.engine.base.errors import InvalidInput, TaskCancelled, TaskUnresolved
from skyport.engine.base.types import Result, Status, Task, TaskState
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import State, record_of
from skyport.engine.tasks import history
from skyport.engine.tasks.job import Job
from skyport.engine.tasks.progress import DOT
from skyport.nodes._base import interrupts, progress, run_task
from skyport.nodes._routes import job_views
from virtual import Cloud, Play, VirtualLoop, ended, order

said: list[str] = []  # below the node
PROMISED = 0.5  # seconds after which an interrupt is seen at the latest


@pytest.fixture(autouse=True)
def process(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process of its own, in which nobody has interrupted anything, with nobody to tell."""
    page = SimpleNamespace(
        client_id="",
        send_progress_text=lambda text, *_, **__: said.append(text),
        send_sync=lambda *_: None,
    )
    said.clear()
    monkeypatch.setattr(PromptServer, "instance", page, raising=False)
    monkeypatch.setenv("SKYPORT_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setattr(progress, "_allowance", progress.Allowance(20))
    progress._last.clear()
    host.interrupt_current_processing(False)
    for cached in (providers.runner, providers.price_book, providers.ledger):
        cached.cache_clear()
    yield
    host.interrupt_current_processing(False)
    for cached in (providers.runner, providers.price_book, providers.ledger):
        cached.cache_clear()


def test_words_below_a_node_are_no_markup() -> None:
    progress.send_text("1", "<img src=x onerror=alert(1)> & more")
    assert said == ["&lt;img src=x onerror=alert(1)&gt; &amp; more"]


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


def test_the_editor_is_answered_while_the_engines_loop_is_busy() -> None:
    """A thousand orders that begin at once keep it busy for seconds."""
    answered, in_time = threading.Event(), Future[bool]()
    loop = providers.runner().engine.loop
    loop.call_soon_threadsafe(lambda: in_time.set_result(answered.wait(PATIENCE)))
    assert asyncio.run(run_task.in_thread(lambda: "a page")) == "a page"
    answered.set()
    assert in_time.result(PATIENCE)


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
    until(lambda: narrow.asked == 3)
    until(lambda: not runner.under_way())
    assert cloud.counts["cancel"] == cloud.counts["submit"]


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_a_node_that_comfyui_cancels_stops_its_task_only_after_an_interrupt(
    is_interrupted: bool,
) -> None:
    """ComfyUI cancels the other nodes once one has seen the interrupt, and once one has failed."""
    runner, cloud = providers.runner(), Cloud(time.monotonic, lasts=3600.0, cancels=True)

    async def scene() -> None:
        running = asyncio.ensure_future(run_task.run("7", lambda: (cloud, [order()]), delivered))
        await asyncio.to_thread(until, lambda: cloud.counts["poll"])
        host.interrupt_current_processing(is_interrupted)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scene())
    ended = State.CANCELLED if is_interrupted else State.DETACHED
    fingerprint = record_of(order(), cloud.http.base_url).fingerprint
    until(lambda: (row := runner.ledger.find(fingerprint)) and row.state is ended)
    assert cloud.counts["cancel"] == is_interrupted
    for job in runner.under_way():
        runner.stop(job)
    until(lambda: not runner.under_way())


def test_an_interrupt_is_that_of_the_prompts_that_run_and_ends_as_the_next_one_starts() -> None:
    asked: list[bool] = []
    interrupt = interrupts._noting(asked.append)
    PromptServer.instance.prompt_queue = SimpleNamespace(
        mutex=threading.RLock(), history={}, currently_running={0: (0, "one", {}, {}, [])}
    )
    interrupt(True)
    assert [interrupts.was_interrupted(prompt) for prompt in ("one", "two", "")] == [
        True,
        False,
        False,
    ]
    interrupt(False)
    assert not interrupts.was_interrupted("one")
    assert asked == [True, False]


def test_an_interrupt_gets_through_where_the_queue_cannot_be_read() -> None:
    asked: list[bool] = []
    PromptServer.instance.prompt_queue = SimpleNamespace(mutex=None)
    interrupts._noting(asked.append)(True)
    assert asked == [True]
    assert not interrupts.was_interrupted("one")


# -- what it says -------------------------------------------------------------------------------


def test_a_node_says_since_when_no_answer_comes() -> None:
    cloud, now = Cloud(time.monotonic), time.monotonic()
    job = Job(cloud, order(), record_of(order(), cloud.http.base_url))
    job.show(stage="running", since=now - 60, silent=now - 45)
    assert progress.text_of([job], now).split(DOT)[-2:] == ["1:00", "no answer for 0:45"]


def test_a_node_says_how_far_the_node_is_that_runs_there() -> None:
    cloud, now = Cloud(time.monotonic), time.monotonic()
    job = Job(cloud, order(), record_of(order(), cloud.http.base_url))
    state = TaskState(Status.RUNNING, progress=0.5, node="KSampler", node_progress=0.25)
    job.show(stage="running", since=now, state=state)
    assert progress.text_of([job], now).split(DOT)[1:3] == ["running 50 %", "KSampler 25 %"]


def test_a_thousand_nodes_together_show_no_more_than_a_few_would() -> None:
    """ComfyUI sends the state of all nodes with each update."""
    cloud, now = Cloud(time.monotonic), time.monotonic()
    job = Job(cloud, order(), record_of(order(), cloud.http.base_url))
    job.show(stage="running", since=now)

    async def all_at_once() -> None:
        for number in range(1000):
            await progress.show(f"crowd {number}", [job])

    asyncio.run(all_at_once())
    assert 1 <= len(said) < 200


def of_a_list(count: int, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """The executions of node 7, one for each of so many items."""

    async def one(number: int) -> None:
        with progress.call_of("7"):
            await work(number)

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, range(count)))

    asyncio.run(all_of_them())


def test_a_node_that_runs_for_each_item_of_a_list_shows_all_of_them_together() -> None:
    cloud = Cloud(time.monotonic)
    jobs = [Job(cloud, order(seed=n), record_of(order(), cloud.http.base_url)) for n in range(1000)]
    for job in jobs[:400]:
        job.future.set_result(Result("1"))

    async def work(number: int) -> None:
        progress.count_in("7", [jobs[number]])
        await asyncio.sleep(0)
        await progress.show("7", [jobs[number]])

    of_a_list(1000, work)
    assert len(said) == 1
    assert "400 of 1000 done" in said[0]


def test_a_node_that_ran_for_a_thousand_items_shows_the_end_of_all_once() -> None:
    async def work(number: int) -> None:
        await asyncio.sleep(0)
        result = Result(str(number), cost=0.5, unit="CNY", warnings=(f"it may rain {number}",))
        await progress.show_finished("7", "Cloud thing", [result])

    of_a_list(1000, work)
    (text,) = said
    lines = text.splitlines()
    assert lines[0] == DOT.join(["Cloud thing", "done", "1000 items", "500 CNY"])
    assert lines[1:] == [*(f"it may rain {n}" for n in range(20)), "... and 980 more."]


def test_a_thousand_items_that_were_stopped_are_told_in_a_few_updates() -> None:
    cloud = Cloud(time.monotonic, cancels=True)
    jobs = [Job(cloud, order(seed=n), record_of(order(), cloud.http.base_url)) for n in range(1000)]
    progress.show_stopped("7", jobs)
    for number, job in enumerate(jobs):
        job.future.set_exception(TaskCancelled(f"{number} was cancelled."))
    assert 1 <= len(said) < 100
    assert said[-1].splitlines()[-1] == "... and 980 more."


def test_a_thousand_calls_that_wait_look_for_an_interrupt_together() -> None:
    loop, looks = VirtualLoop(), Counter[str]()

    async def one() -> None:
        with pytest.raises(host.InterruptProcessingException):
            await run_task._unless_interrupted(Future())

    async def waits() -> None:
        loop.call_at(loop.time() + 30, host.interrupt_current_processing)
        loop.call_at(loop.time() + 1, lambda: looks.update(timers=len(loop._scheduled)))
        await asyncio.gather(*(one() for _ in range(1000)))

    loop.run_until_complete(waits())
    loop.close()
    assert looks["timers"] < 10


def test_updates_are_allowed_at_a_steady_rate_and_as_many_at_once_after_a_quiet_second() -> None:
    allowance = progress.Allowance(20)

    def allowed(now: float) -> int:
        count = 0
        while allowance.has_any(now):
            allowance.spend()
            count += 1
        return count

    assert [allowed(now) for now in (100.0, 100.0, 100.25, 100.5, 200.0)] == [20, 0, 5, 5, 20]


def test_a_finished_node_says_what_the_platform_adds_but_not_its_reasoning() -> None:
    facts = (("queued", "1.2 s"), ("reasoning", "a word and " * 20), ("traceid", "5f2c"))
    results = [Result("1", details=facts), Result("2", warnings=("it may rain",))]
    asyncio.run(progress.show_finished("7", "Cloud thing", results))
    assert said[-1].splitlines()[1:] == [f"queued 1.2 s{DOT}traceid 5f2c", "it may rain"]


def test_a_finished_node_sums_up_costs_of_one_unit_only() -> None:
    costs = ((0.1, "CNY"), (10, "credits"), (0.2, "CNY"), (None, "USD"))
    results = [Result(str(n), cost=cost, unit=unit) for n, (cost, unit) in enumerate(costs)]
    asyncio.run(progress.show_finished("7", "Cloud thing", results))
    assert said[-1] == DOT.join(["Cloud thing", "done", "4 items", "0.3 CNY + 10 credits"])


def test_an_open_end_says_what_the_platform_said_and_what_each_way_on_costs(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.outputs = ()
    for _ in ("ordered", "looked at again"):
        with pytest.raises(TaskUnresolved) as caught:
            play.result(cloud, order(), tmp_path)
        text = str(caught.value)
        assert "The platform says that the task succeeded, and names no result" in text
        assert "Queue again to look again, at no charge." in text
        assert "which costs again: another seed, Order anew in the list of jobs" in text
    assert cloud.counts["submit"] == 1


def test_an_open_end_that_a_person_orders_anew_is_a_new_task_and_the_old_one_stays(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.outputs, found = (), cloud.outputs
    with pytest.raises(TaskUnresolved):
        play.result(cloud, order(), tmp_path)
    row = play.runner.ledger.find(record_of(order(), cloud.http.base_url).fingerprint)
    assert row is not None
    play.run(history.order_anew(play.runner, row))
    cloud.outputs = found
    assert play.result(cloud, order(), tmp_path).task_id == "2"
    assert [one.state for one in play.runner.ledger.abandoned()] == [State.UNRESOLVED]


def test_what_is_being_looked_at_is_not_ordered_anew_meanwhile(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.outputs = ()
    with pytest.raises(TaskUnresolved):
        play.result(cloud, order(), tmp_path)
    row = play.runner.ledger.find(record_of(order(), cloud.http.base_url).fingerprint)
    assert row is not None

    async def scene() -> None:
        job = await play.runner.attach(cloud, row, tmp_path)
        with pytest.raises(InvalidInput, match="right now"):
            await history.order_anew(play.runner, row)
        with pytest.raises(TaskUnresolved):
            await ended(job)
        await history.order_anew(play.runner, row)

    play.run(scene())


def test_of_a_thousand_jobs_those_that_move_are_listed_first_and_all_are_counted() -> None:
    cloud, runner = Cloud(time.monotonic), providers.runner()
    for number in range(1000):
        job = Job(cloud, order(seed=number), record_of(order(seed=number), cloud.http.base_url))
        job.show(stage="running" if number >= 900 else "waiting")
        runner._jobs[job.fingerprint] = job
    found = job_views.running_jobs()
    stages = [one["stage"] for one in found["live"]]
    assert stages == ["running"] * 100 + ["waiting"] * 100
    assert found["running"] == 1000
