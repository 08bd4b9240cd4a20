"""Pins what Interrupt does to a task, and a failing sibling: cancelled, or it lives on."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _waiting import PATIENCE, until
from scripted import Answer, Scripted
from skyport.engine.base.background import Engine
from skyport.engine.base.errors import (
    BadResult,
    InputRejected,
    RateLimited,
    ServerFault,
    SkyportError,
    TaskCancelled,
    TaskTimeout,
    TransportError,
)
from skyport.engine.base.types import (
    Kind,
    MediaFile,
    Output,
    RemoteFile,
    Report,
    Request,
    no_report,
)
from skyport.engine.ledger.ledger import EVERYTHING, State
from skyport.engine.tasks.job import Job
from skyport.engine.tasks.remote_media import TempFolder
from skyport.engine.tasks.runner import Runner
from virtual import Cloud, Play, clip, ended, in_memory, order

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def play() -> Iterator[Play]:
    with Play(takes=0.1) as play:
        yield play


async def begun(play: Play, cloud: Cloud, request: Request | None = None) -> Job:
    return await play.runner.begin(cloud, request or order(), Path())


async def outcome(job: Job) -> SkyportError | str:
    """The text a job brought, or its error."""
    try:
        return (await ended(job)).texts[0]
    except SkyportError as error:
        return error


async def once(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110  it costs no time here
        await asyncio.sleep(0.01)


async def at_stage(job: Job, stage: str) -> None:
    await once(lambda: job.snapshot.stage == stage)


# -- before the submit ----------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["waiting", "preparing", "uploading"])
def test_stopped_before_the_submit_nothing_is_sent(
    play: Play, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    cloud = play.cloud(lasts=100)

    async def scene() -> None:
        if stage == "waiting":
            await begun(play, cloud, order(seed=1))
        before = cloud.counts["submit"]
        job = await begun(play, cloud, order({"image": clip(tmp_path)}))
        await at_stage(job, stage)
        await asyncio.sleep(0)
        began = play.loop.time()
        play.runner.leave(job, stop=True)
        result = await outcome(job)
        assert isinstance(result, TaskCancelled)
        assert "nothing was charged" in str(result)
        assert play.loop.time() - began <= 0.1
        await asyncio.sleep(5)
        assert cloud.counts["submit"] == max(before, stage == "waiting")

    play.run(scene())


def test_a_stop_between_two_tries_of_a_submit_is_obeyed_and_the_next_queue_is_new(
    play: Play,
) -> None:
    cloud = play.cloud(lasts=1)
    cloud.script["submit"] = [RateLimited("busy", status=429, retry_after=100.0)]

    async def scene() -> None:
        job = await begun(play, cloud)
        await once(lambda: cloud.counts["submit"] == 1)
        await asyncio.sleep(5)
        play.runner.leave(job, stop=True)
        again = await begun_after(play, cloud, job)
        result = await outcome(job)
        assert isinstance(result, TaskCancelled)
        assert "nothing was charged" in str(result)
        assert await outcome(again) == "done"

    play.run(scene())
    assert cloud.counts["submit"] == 2
    assert cloud.times("submit")[1] - cloud.times("submit")[0] < 20


async def begun_after(play: Play, cloud: Cloud, job: Job) -> Job:
    """The same order again, just as `job` is about to end."""
    await asyncio.sleep(0.05)
    again = await begun(play, cloud)
    assert again is not job
    return again


def test_a_task_that_nobody_waits_for_stays_detached_whatever_its_next_poll_brings(
    play: Play,
) -> None:
    cloud = play.cloud(lasts=30)

    def state() -> State:
        (row,) = play.runner.ledger.rows(EVERYTHING)  # type: ignore[attr-defined]
        return row.state

    async def scene() -> None:
        job = await begun(play, cloud)
        await once(lambda: cloud.counts["submit"] == 1)
        play.runner.leave(job, stop=False)
        await once(lambda: cloud.counts["poll"] == 2)
        assert state() is State.DETACHED
        again = await begun(play, cloud)
        assert await outcome(again) == "done"

    play.run(scene())
    assert cloud.counts["submit"] == 1


def test_one_who_stops_waiting_for_a_slot_holds_up_nobody(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    cloud = play.cloud(lasts=10)

    async def scene() -> None:
        jobs = [await begun(play, cloud, order(seed=n)) for n in range(3)]
        await asyncio.sleep(1)
        play.runner.leave(jobs[1], stop=True)
        assert [await outcome(jobs[0]), await outcome(jobs[2])] == ["done", "done"]
        assert isinstance(await outcome(jobs[1]), TaskCancelled)

    play.run(scene())
    assert cloud.counts["submit"] == 2


@pytest.mark.parametrize("stage", ["waiting", "preparing", "running"])
def test_who_joins_just_as_the_last_one_stops_has_the_task_go_on(
    play: Play, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    cloud = play.cloud(lasts=10, cancels=True)

    async def scene() -> None:
        if stage == "waiting":
            await begun(play, cloud, order(seed=1))
        job = await begun(play, cloud)
        await at_stage(job, stage)
        play.runner.leave(job, stop=True)
        await asyncio.sleep(0)
        assert job.stop.is_set()  # and nothing has come of it yet
        joined = await begun(play, cloud)
        assert joined is job
        assert await outcome(joined) == "done"

    play.run(scene())
    assert cloud.counts["cancel"] == 0


# -- during the submit ----------------------------------------------------------------------


def test_stopped_during_the_submit_the_task_is_kept(play: Play) -> None:
    play.engine.takes = 2.0
    cloud = play.cloud(lasts=10)

    async def scene() -> None:
        job = await begun(play, cloud)
        await at_stage(job, "submitting")
        play.runner.leave(job, stop=True)
        again = await begun(play, cloud)
        assert again is job
        assert await outcome(again) == "done"

    play.run(scene())
    assert cloud.counts["submit"] == 1
    assert cloud.counts["cancel"] == 0  # someone wants it after all


def test_stopped_during_the_submit_it_is_cancelled_right_after(play: Play) -> None:
    play.engine.takes = 2.0
    cloud = play.cloud(lasts=100, cancels=True)

    async def scene() -> None:
        job = await begun(play, cloud)
        await at_stage(job, "submitting")
        await asyncio.sleep(3.0)  # the intent is written, the request is on its way
        play.runner.leave(job, stop=True)
        result = await outcome(job)
        assert isinstance(result, TaskCancelled)
        assert result.task_id == "1"

    play.run(scene())
    assert cloud.counts["submit"] == cloud.counts["cancel"] == 1


def test_stopped_while_the_intent_is_written_nothing_is_sent(play: Play) -> None:
    play.engine.takes = 2.0
    cloud = play.cloud(lasts=100)

    async def scene() -> None:
        job = await begun(play, cloud)
        await at_stage(job, "submitting")
        play.runner.leave(job, stop=True)
        assert "nothing was charged" in str(await outcome(job))

    play.run(scene())
    assert cloud.counts["submit"] == 0


# -- while its result is downloaded ---------------------------------------------------------

ENDLESS = Answer(headers=(("Content-Length", "999999"),), length=False, endless=b"x")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(transfers=1)
    yield engine
    engine.close()


def finished_task(server: Scripted, path: str) -> Cloud:
    """A platform whose tasks are done at once."""
    cloud = Cloud(time.monotonic, 0.0, url=server.url)
    cloud.outputs = (Output(url=server.url + path),)
    return cloud


def test_a_stop_frees_all_slots_while_a_result_trickles_and_loses_nothing(
    engine: Engine, server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    server.on("/slow", ENDLESS, Answer(body=PNG))
    server.on("/fast", Answer(body=PNG))
    slow, fast = finished_task(server, "/slow"), finished_task(server, "/fast")
    runner = Runner(engine, in_memory())
    job = runner.start(slow, order(seed=1), tmp_path)
    until(lambda: job.snapshot.stage == "downloading" and list(tmp_path.rglob("*.part")))
    runner.leave(job, stop=True)
    error = job.future.exception(PATIENCE)
    assert isinstance(error, TaskTimeout)
    assert "at no further charge" in str(error)
    assert runner.start(fast, order(seed=2), tmp_path).future.result(PATIENCE).files
    until(lambda: server.leavers == 1)  # its connection was closed
    until(lambda: not list(tmp_path.rglob("*.part")))
    again = runner.start(slow, order(seed=1), tmp_path).future.result(PATIENCE)
    assert again.files[0].path.read_bytes() == PNG
    assert slow.counts["submit"] == 1


def test_a_stop_while_a_linked_file_trickles_leaves_no_file_and_no_connection(
    engine: Engine, server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.on("/photo.png", ENDLESS)
    remote = RemoteFile(f"{server.url}/photo.png", "image", Kind.IMAGE)
    runner, cloud = Runner(engine, in_memory()), finished_task(server, "/")
    job = runner.start(cloud, order({"image": remote}), tmp_path / "results")
    until(lambda: list(tmp_path.rglob("*.part")))
    runner.leave(job, stop=True)
    assert isinstance(job.future.exception(PATIENCE), TaskCancelled)
    until(lambda: server.leavers == 1)
    until(lambda: not list(tmp_path.glob("skyport-*")))
    assert cloud.counts["submit"] == 0


class Uploading(Cloud):
    """Uploads over HTTP."""

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        self.http.put_file(f"{self.http.base_url}/upload", file, {}, report)
        return "https://files.example/1"


def test_a_stop_while_the_answer_to_an_upload_trickles_frees_its_slot(
    engine: Engine, server: Scripted, tmp_path: Path
) -> None:
    server.on("/upload", ENDLESS, Answer())
    runner = Runner(engine, in_memory())
    cloud = Uploading(time.monotonic, 0.0, url=server.url)
    job = runner.start(cloud, order({"image": clip(tmp_path)}), tmp_path)
    until(lambda: server.counts["/upload"] == 1)
    runner.leave(job, stop=True)
    assert isinstance(job.future.exception(PATIENCE), TaskCancelled)
    again = runner.start(cloud, order({"image": clip(tmp_path)}), tmp_path)
    assert again.future.result(PATIENCE).texts == ("done",)
    until(lambda: server.leavers == 1)
    assert (server.counts["/upload"], cloud.counts["submit"]) == (2, 1)


def test_a_temporary_folder_lasts_until_its_last_writer_has_ended(tmp_path: Path) -> None:
    gate, began = threading.Event(), threading.Event()

    def write() -> None:
        began.set()
        gate.wait(PATIENCE)
        (path / "late").write_text("x")

    with TempFolder() as folder:
        path = folder.path
        writer = threading.Thread(target=lambda: folder.writing(write))
        writer.start()
        began.wait(PATIENCE)
    with pytest.raises(FileNotFoundError):
        folder.writing(lambda: None)
    assert path.is_dir()
    gate.set()
    writer.join(PATIENCE)
    assert not path.exists()


# -- while it runs --------------------------------------------------------------------------


def test_a_platform_that_can_cancel_is_asked_once_and_the_next_run_is_a_new_task(
    play: Play,
) -> None:
    cloud = play.cloud(lasts=100, cancels=True)

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        stopped = play.loop.time()
        play.runner.leave(job, stop=True)
        result = await outcome(job)
        assert isinstance(result, TaskCancelled)
        assert str(result).startswith("Cloud task 1: The task was cancelled on the platform.")
        assert play.loop.time() - stopped <= 0.5
        assert await outcome(await begun(play, cloud)) == "done"

    play.run(scene())
    assert cloud.counts["cancel"] == 1
    assert cloud.counts["submit"] == 2


def test_a_platform_that_cannot_cancel_goes_on_and_the_next_run_joins_it(play: Play) -> None:
    cloud = play.cloud(lasts=100)

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        play.runner.leave(job, stop=True)
        await asyncio.sleep(20)
        again = await begun(play, cloud)
        assert again is job
        assert await outcome(again) == "done"

    play.run(scene())
    assert cloud.counts["submit"] == cloud.counts["cancel"] == 1


def test_what_nobody_waited_for_any_more_is_delivered_to_the_next_run(play: Play) -> None:
    cloud = play.cloud(lasts=100)

    async def scene() -> bool:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        play.runner.leave(job, stop=True)
        await asyncio.sleep(200)
        return (await play.carried(cloud, order(), Path())).reused

    assert play.run(scene())
    assert cloud.counts["submit"] == 1


def test_one_who_joins_while_the_platform_is_asked_to_cancel_waits_for_its_answer_only(
    play: Play,
) -> None:
    cloud = play.cloud(lasts=1000)

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        play.runner.leave(job, stop=True)
        await asyncio.sleep(0.05)  # the question is under way
        asked = play.loop.time()
        again = await begun(play, cloud)
        assert again is job
        assert play.loop.time() - asked <= 0.1

    play.run(scene())
    assert cloud.counts["cancel"] == 1


def test_one_who_joins_while_the_platform_cancels_gets_a_new_task(play: Play) -> None:
    cloud = play.cloud(lasts=100, cancels=True)

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        play.runner.leave(job, stop=True)
        await asyncio.sleep(0.05)
        again = await begun(play, cloud)
        assert again is not job
        assert await outcome(again) == "done"

    play.run(scene())
    assert cloud.counts["submit"] == 2


@pytest.mark.parametrize(
    "trouble",
    [ServerFault("busy", status=503, retry_after=100.0), TransportError("no answer")],
    ids=["told to wait", "no answer"],
)
def test_a_stop_is_obeyed_while_polls_fail(play: Play, trouble: SkyportError) -> None:
    cloud = play.cloud(lasts=1000, cancels=True)
    cloud.script["poll"] = [None, None] + [trouble] * 4

    async def scene() -> None:
        job = await begun(play, cloud)
        await once(lambda: cloud.counts["poll"] >= 3)
        stopped = play.loop.time()
        play.runner.leave(job, stop=True)
        assert isinstance(await outcome(job), TaskCancelled)
        assert play.loop.time() - stopped <= 0.5

    play.run(scene())
    assert cloud.counts["cancel"] == 1


def test_a_stop_is_obeyed_while_a_hundred_others_wait_for_their_poll(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "101")
    cloud = play.cloud(lasts=1000, cancels=True)

    async def scene() -> None:
        jobs = [await begun(play, cloud, order(seed=n)) for n in range(101)]
        await asyncio.sleep(20)
        stopped = play.loop.time()
        play.runner.leave(jobs[50], stop=True)
        assert isinstance(await outcome(jobs[50]), TaskCancelled)
        assert play.loop.time() - stopped <= 0.5

    play.run(scene())


def test_a_stop_gives_up_waiting_for_a_platform_that_does_not_answer(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "1")
    cloud = play.cloud(lasts=100)

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        play.engine.takes = 60.0
        await asyncio.sleep(30)
        stopped = play.loop.time()
        play.runner.leave(job, stop=True)
        play.engine.takes = 0.1
        error = await outcome(job)
        assert isinstance(error, TaskTimeout)
        assert "at no further charge" in str(error)
        assert play.loop.time() - stopped <= 0.5
        assert await outcome(await begun(play, cloud)) == "done"

    play.run(scene())
    assert cloud.counts["submit"] == 1


def test_a_platform_that_does_not_answer_a_cancel_is_not_waited_for(play: Play) -> None:
    cloud = play.cloud(lasts=1000, cancels=True)
    cloud.script["cancel"] = [ServerFault("busy", status=503, retry_after=100.0)]

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        stopped = play.loop.time()
        play.runner.leave(job, stop=True)
        error = await outcome(job)
        assert isinstance(error, TransportError)
        assert "at no further charge" in str(error)
        assert play.loop.time() - stopped <= 31.0

    play.run(scene())


@pytest.mark.parametrize(
    ("trouble", "raised", "asked"),
    [
        (TransportError("no answer"), TransportError, 5),
        (InputRejected("not now", status=400), InputRejected, 1),
        (BadResult("a page"), BadResult, 1),
        (KeyError("data"), BadResult, 1),
    ],
    ids=["no answer", "refused", "a page", "unreadable"],
)
def test_a_cancel_that_fails_leaves_the_task_to_the_next_run(
    play: Play, trouble: Exception, raised: type[SkyportError], asked: int
) -> None:
    cloud = play.cloud(lasts=100)
    cloud.script["cancel"] = [trouble] * asked

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        play.runner.leave(job, stop=True)
        result = await outcome(job)
        assert isinstance(result, raised)
        assert "at no further charge" in str(result)
        assert await outcome(await begun(play, cloud)) == "done"

    play.run(scene())
    assert (cloud.counts["cancel"], cloud.counts["submit"]) == (asked, 1)


# -- several who wait -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leaves", "goes_on"),
    [
        (lambda play, job: play.runner.leave(job, stop=False), True),
        (lambda play, job: play.runner.leave(job, stop=True), False),
    ],
    ids=["its sibling failed", "interrupted"],
)
def test_a_task_is_stopped_by_an_interrupt_and_not_by_a_failing_sibling(
    play: Play, leaves: Callable[[Play, Job], None], goes_on: bool
) -> None:
    cloud = play.cloud(lasts=100, cancels=True)

    async def scene() -> None:
        job = await begun(play, cloud)
        await asyncio.sleep(20)
        leaves(play, job)
        result = await outcome(job)
        assert (result == "done") is goes_on

    play.run(scene())
    assert cloud.counts["cancel"] == (0 if goes_on else 1)


def test_a_task_is_not_stopped_while_another_still_waits_for_it(play: Play) -> None:
    cloud = play.cloud(lasts=100, cancels=True)

    async def scene() -> None:
        one, other = await begun(play, cloud), await begun(play, cloud)
        await asyncio.sleep(20)
        play.runner.leave(one, stop=True)
        assert await outcome(other) == "done"

    play.run(scene())
    assert cloud.counts["cancel"] == 0


def test_a_waiter_that_is_cancelled_takes_nothing_with_it(play: Play) -> None:
    cloud = play.cloud(lasts=100)

    async def scene() -> None:
        job = await begun(play, cloud)
        waiting = asyncio.ensure_future(asyncio.wrap_future(job.future))
        await asyncio.sleep(20)
        waiting.cancel()
        assert await outcome(job) == "done"

    play.run(scene())
