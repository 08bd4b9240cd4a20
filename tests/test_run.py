"""Pins the way of one task: nothing paid for is lost, and nothing is paid for twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, Scripted, answer_page
from skyport.engine.base.errors import (
    ApiError,
    AuthRejected,
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
    TaskUnresolved,
    TransportError,
)
from skyport.engine.base.types import Output, Report, Request, Status, Task, TaskState, no_report
from skyport.engine.http.error_answers import api_error
from skyport.engine.ledger.ledger import State, record_of
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


def own(error: ApiError) -> ApiError:
    """`error` as the platform words it itself; without this it is anybody's page."""
    error.own_form = True
    return error


def page(status: int) -> ApiError:
    return api_error("Cloud", status, "nginx")


def submits(cloud: Cloud, *answers: Exception) -> None:
    """What the platform says to the next submits, and whose words these are."""
    inner, left = cloud.submit, list(answers)

    def submit(*about: Any) -> str:
        if not left:
            return inner(*about)
        cloud.log.append(("submit", "", cloud.clock()))
        raise left.pop(0)

    cloud.submit = submit  # type: ignore[method-assign]


DOUBTED = {
    "cut": TransportError("the connection was cut"),
    "a page of 200": BadResult("got text/html"),
    "a redirect": ApiError("redirects", status=302),
    **{f"page {status}": page(status) for status in (400, 402, 408, 409, 422, 429)},
    **{f"page {status}": page(status) for status in (500, 502, 503, 504, 524, 599)},
    **{f"own {n}": own(ServerFault("crashed", status=n)) for n in (500, 502, 504, 524)},
    "own 408": own(InputRejected("too slow", status=408)),
}


@pytest.mark.parametrize("trouble", DOUBTED.values(), ids=DOUBTED)
def test_a_submit_without_proof_is_unknown_and_never_made_again(
    play: Play, tmp_path: Path, trouble: SkyportError
) -> None:
    cloud = play.cloud()
    submits(cloud, trouble)
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, OutcomeUnknown)
    assert trouble.what in str(error)
    assert "may have been charged" in str(error)
    assert len(cloud.times("submit")) == 1
    assert outcome_of(play, cloud) is State.UNKNOWN


REFUSED = {
    **{f"own {n}": own(InputRejected("bad", status=n)) for n in (400, 409, 422)},
    "own 401": own(AuthRejected("no key", status=401)),
    "own 403": own(AuthRejected("not yours", status=403)),
    "own 404": own(NotFound("no such model", status=404)),
    "own code": own(InputRejected("bad", status=200, code="1003")),
    "own 402": own(OutOfCredit("pay", status=402)),
    "own 429 of money": own(OutOfCredit("no balance", status=429)),
    "own 503 of money": own(OutOfCredit("no balance", status=503)),
}


@pytest.mark.parametrize("trouble", REFUSED.values(), ids=REFUSED)
def test_what_the_platform_refuses_itself_has_failed_in_its_words(
    play: Play, tmp_path: Path, trouble: SkyportError
) -> None:
    cloud = play.cloud()
    submits(cloud, trouble)
    assert error_of(play, cloud, tmp_path) is trouble
    assert len(cloud.times("submit")) == 1
    assert outcome_of(play, cloud) is State.FAILED
    assert play.result(cloud, order(), tmp_path).warnings == ()  # and it is ordered anew at once


@pytest.mark.parametrize("kind", [RateLimited, ServerFault])
def test_a_platform_that_says_later_is_asked_five_times_then_believed(
    play: Play, tmp_path: Path, kind: type[ApiError]
) -> None:
    cloud = play.cloud()
    status = 429 if kind is RateLimited else 503
    submits(cloud, *[own(kind("later", status=status, retry_after=7.0)) for _ in range(5)])
    assert isinstance(error_of(play, cloud, tmp_path), kind)
    times = cloud.times("submit")
    assert [b - a for a, b in pairwise(times)] == [7.0] * 4
    assert outcome_of(play, cloud) is State.FAILED


@pytest.mark.parametrize("status", [401, 403, 407, 411, 413, 414, 431])
def test_what_is_refused_on_the_way_has_failed_and_says_who_spoke(
    play: Play, tmp_path: Path, status: int
) -> None:
    cloud = play.cloud()
    submits(cloud, page(status))
    error = error_of(play, cloud, tmp_path)
    assert "Not the platform itself but a proxy or gateway on the way answered so" in str(error)
    assert "nothing was charged" in str(error)
    assert outcome_of(play, cloud) is State.FAILED


@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_page_that_knows_no_such_address_names_the_address_unless_it_ever_answered(
    play: Play, tmp_path: Path, status: int
) -> None:
    cloud = play.cloud()
    submits(cloud, page(status))
    error = error_of(play, cloud, tmp_path)
    assert "Nothing was charged: http://127.0.0.1:1 has never answered as Cloud does" in str(error)
    assert "CLOUD_BASE_URL" in str(error)
    assert outcome_of(play, cloud) is State.FAILED

    play.result(cloud, order(), tmp_path)  # another process may have ordered it: the ledger knows
    submits(cloud, page(status))
    with pytest.raises(OutcomeUnknown):
        play.result(cloud, order(seed=2), tmp_path)


def outcome_of(play: Play, cloud: Cloud) -> State:
    row = play.runner.ledger.find(record_of(order(), cloud.http.base_url).fingerprint)
    assert row is not None
    return row.state


def test_what_a_platform_changes_before_it_sends_is_told_with_the_result(
    play: Play, tmp_path: Path
) -> None:
    class Changes(Cloud):
        def prepare(self, request: Request) -> Request:
            return replace(request, warnings=("another folder",))

    result = play.result(Changes(play.loop.time), replace(order(), warnings=("early",)), tmp_path)
    assert result.warnings == ("early", "another folder")


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


def test_a_platform_that_cannot_be_reached_is_asked_on_until_the_patience_of_the_settings_ends(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_PATIENCE_S", "120")
    cloud = play.cloud(lasts=200)
    cloud.script["poll"] = [TransportError("no answer")] * 9
    began = play.loop.time()
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskTimeout)
    assert error.task_id == "1"
    assert "has not answered for 2 minutes; last: no answer" in str(error)
    assert "at no further charge" in str(error)
    assert 120 <= play.loop.time() - began <= 160
    result = play.result(cloud, order(), tmp_path)
    assert (result.task_id, cloud.counts["submit"]) == ("1", 1)


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (Status.FAILED, TaskFailed, "Cloud task 1: The task failed: the picture is not allowed"),
        (
            Status.CANCELLED,
            TaskCancelled,
            "Cloud task 1: The task was cancelled on the platform, not by Skyport: the picture",
        ),
    ],
    ids=["failed", "cancelled"],
)
def test_a_task_that_ended_badly_says_why_and_is_made_anew_by_the_next_run(
    play: Play, tmp_path: Path, status: Status, kind: type[SkyportError], text: str
) -> None:
    cloud = play.cloud()
    words = TaskState(status, "Fail", message="the picture is not allowed")
    cloud.poll = lambda task: words  # type: ignore[method-assign]
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, kind)
    assert str(error).startswith(text)
    error_of(play, cloud, tmp_path)
    assert cloud.counts["submit"] == 2


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
    assert isinstance(error, TaskUnresolved)
    assert error.task_id == "1"
    assert "404" in str(error)
    assert "Queue again to look again, at no charge" in str(error)
    result = play.result(cloud, order(), tmp_path)
    assert (result.task_id, result.files[0].path.read_bytes()) == ("1", PNG)
    assert cloud.counts["submit"] == 1


def test_a_task_without_results_when_asked_for_a_fresh_link_is_not_taken_for_done(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = linked(play, server, "/a.png")
    server.on("/a.png", lambda seen: (setattr(cloud, "outputs", ()), Answer(410))[1])
    error = error_of(play, cloud, tmp_path)
    assert isinstance(error, TaskUnresolved)
    assert "names no result" in str(error)


def test_one_bad_file_of_several_loses_nothing(
    play: Play, tmp_path: Path, server: Scripted
) -> None:
    cloud = linked(play, server, "/a.png", "/b.png")
    server.on("/a.png", Answer(body=PNG))
    server.on("/b.png", answer_page("sign in"), Answer(body=PNG))
    assert len(play.result(cloud, order(), tmp_path).files) == 1
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
