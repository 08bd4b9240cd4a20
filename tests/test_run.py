"""Pins the way of one task: nothing paid for is lost, and nothing is paid for twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, Scripted, answer_page
from skyport.engine.base.errors import (
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    ServerFault,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
    TaskUnresolved,
    TransportError,
)
from skyport.engine.base.types import Output, Report, Request, Status, Task, TaskState, no_report
from virtual import Cloud, Play, clip, ended, most_within, order

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def error_of(play: Play, cloud: Cloud, into: Path, **more: Any) -> SkyportError:
    with pytest.raises(SkyportError) as caught:
        play.result(cloud, order(**more), into)
    return caught.value


async def later(seconds: float) -> None:
    await asyncio.sleep(seconds)


# -- uploads --------------------------------------------------------------------------------


def test_uploads_go_side_by_side(tmp_path: Path) -> None:
    with Play(takes=2.0) as play:
        cloud = play.cloud()
        files = [clip(tmp_path, bytes([n])) for n in range(5)]
        play.result(cloud, order({"images": files}), tmp_path)
        assert play.engine.busiest >= 5
    assert len(set(cloud.times("upload"))) == 1


def test_what_is_hosted_stands_where_the_file_stood(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    one, other = clip(tmp_path, b"one"), clip(tmp_path, b"other")
    sent = {"parameters": {"images": [one, other], "start": {"image": one}}, "prompt": "x"}
    play.result(cloud, order(sent), tmp_path)
    a, b = (f"https://files.example/{f.sha256}?signed={n}" for n, f in enumerate((one, other), 1))
    assert cloud.requests[0].payload == {
        "parameters": {"images": [a, b], "start": {"image": a}},
        "prompt": "x",
    }


def test_a_file_goes_up_once_while_its_url_lives_whatever_it_is_called(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud(lasts=10, hosts_for=100)
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        play.result(cloud, order({"image": clip(tmp_path, b"same", name)}, seed=seed), tmp_path)
    assert cloud.counts["upload"] == 1
    play.run(later(100))
    play.result(cloud, order({"image": clip(tmp_path, b"same")}, seed=9), tmp_path)
    assert cloud.counts["upload"] == 2


def test_the_same_picture_twice_in_a_request_goes_up_once(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    (tmp_path / "again").mkdir()
    twins = [clip(tmp_path, b"same"), clip(tmp_path / "again", b"same")]
    play.result(cloud, order({"images": twins}), tmp_path)
    assert cloud.counts["upload"] == 1
    assert len(set(cloud.requests[0].payload["images"])) == 1


def test_tasks_at_once_share_an_upload_even_when_one_is_stopped(tmp_path: Path) -> None:
    async def scene(play: Play, cloud: Cloud) -> None:
        file = clip(tmp_path)
        jobs = [
            await play.runner.begin(cloud, order({"image": file}, seed=n), tmp_path)
            for n in range(3)
        ]
        await later(1)
        play.runner.leave(jobs[0], stop=True)
        assert (await ended(jobs[1])).texts == ("done",)
        assert (await ended(jobs[2])).texts == ("done",)
        with pytest.raises(TaskCancelled, match="nothing was charged"):
            await ended(jobs[0])

    with Play(takes=2.0) as play:
        cloud = play.cloud()
        play.run(scene(play, cloud))
    assert cloud.counts["upload"] == 1
    assert cloud.counts["submit"] == 2


def test_an_upload_that_fails_is_tried_again_by_the_next_run(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.script["upload"] = [InputRejected("too large", status=413)]
    with pytest.raises(InputRejected):
        play.result(cloud, order({"image": clip(tmp_path)}), tmp_path)
    assert cloud.counts["submit"] == 0
    play.result(cloud, order({"image": clip(tmp_path)}), tmp_path)
    assert cloud.counts["upload"] == 2


# -- the submit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [TransportError("the connection was cut"), ServerFault("Bad Gateway", status=502)],
    ids=["cut", "gateway"],
)
def test_a_submit_without_an_answer_is_unknown_and_never_made_again(
    play: Play, tmp_path: Path, trouble: SkyportError
) -> None:
    cloud = play.cloud()
    cloud.script["submit"] = [trouble]
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, OutcomeUnknown)
    assert "may have been charged" in str(error)
    assert cloud.counts == {"prepare": 1, "submit": 1}


def test_a_submit_that_never_left_is_made_again(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.script["submit"] = [TransportError("refused", sent=False)] * 2
    assert play.result(cloud, order(), tmp_path).texts == ("done",)
    assert cloud.counts["submit"] == 3


def test_two_equal_requests_at_once_share_one_task(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()

    async def scene() -> None:
        both = [play.carried(cloud, order({"a": 1}), tmp_path) for _ in range(2)]
        one, other = await asyncio.gather(*both)
        assert one == other

    play.run(scene())
    assert cloud.counts["submit"] == 1


def test_equal_items_of_a_batch_are_tasks_of_their_own(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()

    async def scene() -> None:
        await asyncio.gather(
            *(play.carried(cloud, order({"a": 1}, copy=n), tmp_path) for n in range(4))
        )

    play.run(scene())
    assert cloud.counts["submit"] == 4
    assert len(set(cloud.times("submit"))) == 1


# -- the wait -------------------------------------------------------------------------------


def test_an_unknown_word_is_believed_for_ten_polls_then_named_with_the_task(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud(lasts=1000, word="Frobnicating")
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, BadResult)
    assert error.task_id == "1"
    assert "Frobnicating" in str(error)
    assert "at no further charge" in str(error)
    assert cloud.counts["poll"] == 10


def test_an_unknown_word_that_passes_is_forgiven(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud(lasts=12, word="Frobnicating")  # nine polls
    assert play.result(cloud, order(), tmp_path).texts == ("done",)


def test_a_task_the_platform_does_not_know_at_once_is_not_given_up(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.script["poll"] = [NotFound("no such task", status=404)] * 3
    assert play.result(cloud, order(), tmp_path).texts == ("done",)
    assert cloud.counts["submit"] == 1


def test_a_task_the_platform_never_knows_is_given_up_and_made_anew(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.script["poll"] = [NotFound("no such task", status=404)] * 10
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, NotFound)
    assert error.task_id == "1"
    assert "not lost" not in str(error)
    assert play.result(cloud, order(), tmp_path).task_id == "2"


def test_there_is_no_time_limit_unless_one_is_set(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud(lasts=6 * 3600.0)
    assert play.result(cloud, order(), tmp_path).texts == ("done",)


def test_a_time_limit_names_the_task_and_the_next_run_goes_on_with_it(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "60")
    cloud = play.cloud(lasts=100)
    began = play.loop.time()
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskTimeout)
    assert error.task_id == "1"
    assert "at no further charge" in str(error)
    assert play.loop.time() - began == pytest.approx(60.0)
    assert play.result(cloud, order(), tmp_path).task_id == "1"
    assert cloud.counts["submit"] == 1


def test_a_time_limit_holds_while_polls_fail(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "30")
    cloud = play.cloud()
    cloud.script["poll"] = [ServerFault("busy", status=503)]
    cloud.script["poll"][0].retry_after = 100.0  # type: ignore[union-attr]
    began = play.loop.time()
    assert isinstance(error_of(play, cloud, tmp_path), TaskTimeout)
    assert play.loop.time() - began == pytest.approx(30.0)


def test_a_time_limit_holds_while_results_are_downloaded(
    play: Play, tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "60")
    cloud = linked(play, server, "/a.png")
    busy = Answer(503, headers=(("Retry-After", "100"),))
    server.on("/a.png", busy, Answer(body=PNG))
    began = play.loop.time()
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskTimeout)
    assert error.task_id == "1"
    assert "at no further charge" in str(error)
    assert play.loop.time() - began == pytest.approx(60.0)
    assert play.result(cloud, order(), tmp_path).files[0].path.read_bytes() == PNG
    assert cloud.counts["submit"] == 1


def test_a_submit_that_has_begun_is_not_cut_by_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "60")
    with Play(takes=70.0) as play:
        cloud = play.cloud(lasts=1)
        submit = cloud.submit

        def submit_slowly(request: Request, report: Report = no_report) -> str:
            play.engine.takes = 0.0  # from now on it is fast again
            return submit(request, report)

        cloud.submit = submit_slowly  # type: ignore[method-assign]
        assert play.result(cloud, order(), tmp_path).task_id == "1"


def test_an_expired_time_limit_leaves_nothing_pending(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "30")
    error_of(play, play.cloud(lasts=100), tmp_path)
    play.run(play.pause(1.0))
    assert asyncio.all_tasks(play.loop) == set()


def test_a_folder_that_takes_no_results_is_found_before_anything_is_sent(
    play: Play, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    cloud = play.cloud()
    error = error_of(play, cloud, tmp_path / "taken", payload={"image": clip(tmp_path)})
    assert isinstance(error, InvalidInput)
    assert str(tmp_path / "taken") in str(error)
    assert "results_dir" in str(error)
    assert cloud.log == []


def test_a_task_already_paid_for_is_attached_to_though_its_folder_takes_nothing(
    play: Play, tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_TIME_LIMIT_S", "5")
    server.on("/a.png", Answer(body=PNG))
    cloud = linked(play, server, "/a.png")
    error_of(play, cloud, tmp_path)
    monkeypatch.delenv("SKYPORT_TIME_LIMIT_S")
    (tmp_path / "taken").write_text("a file")
    assert isinstance(error_of(play, cloud, tmp_path / "taken"), BadResult)
    assert play.result(cloud, order(), tmp_path).task_id == "1"


def test_a_task_is_not_lost_when_the_platform_cannot_be_reached(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.script["poll"] = [TransportError("no answer")] * 5
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TransportError)
    assert error.task_id == "1"
    assert "at no further charge" in str(error)
    result = play.result(cloud, order(), tmp_path)
    assert (result.task_id, cloud.counts["submit"]) == ("1", 1)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_task_that_failed_says_why_and_is_made_anew_by_the_next_run(
    play: Play, tmp_path: Path, status: Status
) -> None:
    cloud = play.cloud()
    words = TaskState(status, "Fail", message="the picture is not allowed")
    cloud.poll = lambda task: words  # type: ignore[method-assign]
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskFailed)
    assert str(error).startswith("Cloud task 1: The task failed: the picture is not allowed")
    error_of(play, cloud, tmp_path)
    assert cloud.counts["submit"] == 2


def test_a_task_that_brought_nothing_is_an_error_with_its_id(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.outputs = ()
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, BadResult)
    assert "task 1" in str(error)
    assert "not lost" not in str(error)


def test_a_task_without_results_that_is_looked_at_again_says_in_words_what_is_missing(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.outputs = ()
    first, again = error_of(play, cloud, tmp_path), error_of(play, cloud, tmp_path)
    assert isinstance(again, TaskUnresolved)
    words = "The platform says that the task succeeded, and names no result: "
    assert first.what == again.what == words + "no output in its answer"
    assert cloud.counts["submit"] == 1


def test_what_can_be_seen_tells_every_stage(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud(lasts=10)
    cloud.progress = lambda share: share
    play.engine.takes = 1.0
    stages: list[tuple[str, str]] = []

    async def scene() -> None:
        job = await play.runner.begin(cloud, order({"image": clip(tmp_path)}), tmp_path)
        while not job.future.done():
            seen = (job.snapshot.stage, job.snapshot.task_id)
            stages.append(seen) if seen not in stages else None
            await asyncio.sleep(0.1)
        assert job.snapshot.state is not None
        assert not job.snapshot.attached

    play.run(scene())
    assert stages == [
        ("waiting", ""),
        ("preparing", ""),
        ("uploading", ""),
        ("submitting", ""),
        ("running", "1"),
        ("downloading", "1"),
        ("done", "1"),
    ]


# -- results --------------------------------------------------------------------------------


def test_results_lie_under_platform_and_day_named_after_model_and_task(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.outputs = (Output(data=PNG, node_id="9", title="Save"), Output(text="a fox"))
    result = play.result(cloud, order(title="Nano / Banana"), tmp_path)
    (file,) = result.files
    assert file.path.relative_to(tmp_path).parts[0] == "cloud"
    assert file.path.name == "Nano-Banana_1_1.png"
    assert file.path.read_bytes() == PNG
    assert (file.node_id, file.title, result.texts) == ("9", "Save", ("a fox",))


def test_a_delivered_result_is_reused_while_its_files_are_there(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = play.cloud()
    cloud.outputs = (Output(data=PNG),)
    first = play.result(cloud, order(), tmp_path)
    again = play.result(cloud, order(), tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert again.files == first.files
    assert cloud.counts["submit"] == 1

    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "false")
    assert play.result(cloud, order(), tmp_path).task_id == "2"


def test_a_result_nobody_has_taken_is_delivered_even_where_reuse_is_off(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_REUSE_RESULTS", "false")
    cloud = play.cloud()

    async def scene() -> None:
        job = await play.runner.begin(cloud, order(), tmp_path)
        play.runner.leave(job, stop=False)
        await ended(job)

    play.run(scene())
    assert play.result(cloud, order(), tmp_path).reused
    assert cloud.counts["submit"] == 1


def test_a_result_whose_file_is_gone_is_fetched_again_and_not_paid_again(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.outputs = (Output(data=PNG),)
    play.result(cloud, order(), tmp_path).files[0].path.unlink()
    again = play.result(cloud, order(), tmp_path)
    assert again.files[0].path.read_bytes() == PNG
    assert (again.reused, cloud.counts["submit"]) == (False, 1)


def test_a_failed_item_costs_its_siblings_nothing(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    cloud.script["submit"] = [None, InputRejected("not allowed", status=400)]

    async def batch() -> list[Any]:
        items = (play.carried(cloud, order(copy=n), tmp_path) for n in range(3))
        return await asyncio.gather(*items, return_exceptions=True)

    first = play.run(batch())
    assert [isinstance(item, InputRejected) for item in first] == [False, True, False]
    second = play.run(batch())
    assert [item.reused for item in second] == [True, False, True]
    assert cloud.counts["submit"] == 4


# -- results that are downloaded ------------------------------------------------------------


def linked(play: Play, server: Scripted, *paths: str) -> Cloud:
    cloud = play.cloud(url=server.url)
    cloud.outputs = tuple(Output(url=server.url + path) for path in paths)
    return cloud


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_link_is_asked_for_once_more_without_a_submit(
    play: Play, tmp_path: Path, status: int
) -> None:
    with Scripted() as old, Scripted() as fresh:
        old.on("/a.png", Answer(status))
        fresh.on("/a.png", Answer(body=PNG))
        cloud = play.cloud(url="http://127.0.0.1:1")
        links = iter([old.url, fresh.url])
        inner = cloud.poll

        def poll(task: Task) -> TaskState:
            state = inner(task)
            url = next(links) + "/a.png" if state.outputs else ""
            return replace(state, outputs=(Output(url=url),)) if url else state

        cloud.poll = poll  # type: ignore[method-assign]
        result = play.result(cloud, order(), tmp_path)
    assert result.files[0].path.read_bytes() == PNG
    assert cloud.counts["submit"] == 1
    assert most_within(cloud.times("poll"), 1.4) == 1  # the fresh look keeps the pace


def test_a_result_that_is_not_there_yet_is_not_given_up(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = linked(play, server, "/a.png")
    server.on("/a.png", Answer(404), Answer(404), Answer(body=PNG))
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, NotFound)
    assert error.task_id == "1"
    assert "at no further charge" in str(error)
    result = play.result(cloud, order(), tmp_path)
    assert (result.task_id, result.files[0].path.read_bytes()) == ("1", PNG)


def test_a_task_that_fails_when_asked_for_a_fresh_link_is_not_taken_for_done(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = linked(play, server, "/a.png")
    server.on("/a.png", lambda seen: (setattr(cloud, "outputs", ()), Answer(410))[1])
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, BadResult)
    assert "returned nothing" in str(error)


def test_one_bad_file_of_several_loses_nothing(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = linked(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", answer_page("sign in"), Answer(body=PNG))
    assert isinstance(error_of(play, cloud, tmp_path), BadResult)
    assert len(play.result(cloud, order(), tmp_path).files) == 2
    assert cloud.counts["submit"] == 1


def test_a_text_file_is_a_text(play: Play, tmp_path: Path, server: Scripted) -> None:
    cloud = linked(play, server, "/caption.txt")
    server.on("/caption.txt", Answer(body=b"a fox", headers=(("Content-Type", "text/plain"),)))
    result = play.result(cloud, order(), tmp_path)
    assert (result.texts, result.files) == (("a fox",), ())


# -- side by side ---------------------------------------------------------------------------


def test_no_more_tasks_of_a_platform_at_once_than_the_setting_says(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_PARALLEL", "2")
    cloud = play.cloud(lasts=10)

    async def scene() -> None:
        await asyncio.gather(*(play.carried(cloud, order(seed=n), tmp_path) for n in range(6)))

    play.run(scene())
    began = cloud.times("submit")
    assert all(later - sooner >= 10 for sooner, later in zip(began, began[2:], strict=False))
    assert [request.seed for request in cloud.requests] == [0, 1, 2, 3, 4, 5]


def test_a_graph_of_many_tasks_takes_as_long_as_the_slowest(play: Play, tmp_path: Path) -> None:
    cloud = play.cloud()
    began = play.loop.time()

    async def scene() -> None:
        lengths = (5, 60, 20, 40)
        await asyncio.gather(
            *(play.carried(cloud, order({"lasts": n}, seed=n), tmp_path) for n in lengths)
        )

    play.run(scene())
    assert play.loop.time() - began < 62
