"""Pins that a hosted file which the platform has cleared costs one more upload, and no order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from skyport.engine.base.errors import (
    ApiError,
    AuthRejected,
    InputRejected,
    NotFound,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TaskCancelled,
    TaskFailed,
    TransportError,
)
from skyport.engine.base.types import MediaFile, ReusedUrl, Status, Task, TaskState
from skyport.engine.hosting.upload_cache import UploadUrlStore
from skyport.engine.http.error_answers import api_error
from skyport.engine.ledger.ledger import EVERYTHING, State
from skyport.engine.tasks.lost_media import is_refused_for_lost_media
from skyport.engine.tasks.runner import Runner
from virtual import Cloud, Play, clip, in_memory, order

LOST = InputRejected("the image cannot be fetched", status=400, own_form=True)


def asks(file: MediaFile, seed: int, **more: Any) -> Any:
    return order({"image": file, **more}, seed=seed)


def warm(play: Play, file: MediaFile, into: Path, **how: Any) -> Cloud:
    """A platform that has taken `file` before."""
    cloud = play.cloud(**how)
    play.result(cloud, asks(file, 0), into)
    return cloud


def states(play: Play) -> list[State]:
    return [row.state for row in play.runner.ledger.rows(EVERYTHING)]


# -- the submit is made once more -------------------------------------------------------------


def test_a_reused_file_that_is_gone_is_uploaded_and_the_order_submitted_once_more(
    play: Play, tmp_path: Path
) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [LOST]
    assert play.result(cloud, asks(file, 1), tmp_path).texts == ("done",)
    urls = [request.payload["image"].partition("?")[2] for request in cloud.requests]
    assert urls == ["signed=1", "signed=1", "signed=2"]
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (2, 3)
    assert states(play) == [State.DELIVERED, State.DELIVERED]
    play.result(cloud, asks(file, 2), tmp_path)
    assert cloud.requests[-1].payload["image"].endswith("signed=2")


def test_it_is_submitted_once_more_only(play: Play, tmp_path: Path) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [LOST] * 5
    with pytest.raises(InputRejected, match="cannot be fetched"):
        play.result(cloud, asks(file, 1), tmp_path)
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (2, 3)
    assert states(play) == [State.FAILED, State.DELIVERED]


def test_where_every_file_was_uploaded_for_the_order_the_refusal_stands(
    play: Play, tmp_path: Path
) -> None:
    cloud = play.cloud()
    cloud.script["submit"] = [LOST]
    with pytest.raises(InputRejected):
        play.result(cloud, asks(clip(tmp_path), 1), tmp_path)
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (1, 1)


def test_every_reused_file_goes_up_again_and_no_fresh_one(play: Play, tmp_path: Path) -> None:
    old, other, new = (clip(tmp_path, content) for content in (b"old", b"other", b"new"))
    cloud = play.cloud()
    play.result(cloud, order({"images": [old, other]}), tmp_path)
    cloud.script["submit"] = [LOST]
    play.result(cloud, order({"images": [old, new, other]}), tmp_path)
    names = [name for call, name, _ in cloud.log if call == "upload"]
    assert sorted(names[2:]) == sorted([new.name, old.name, other.name])
    assert len(cloud.requests[-1].payload["images"]) == 3


def test_orders_at_once_that_reuse_one_lost_file_share_one_upload(tmp_path: Path) -> None:
    with Play(takes=1.0) as play:
        file = clip(tmp_path)
        cloud = warm(play, file, tmp_path)
        cloud.script["submit"] = [LOST] * 4

        async def scene() -> None:
            await asyncio.gather(
                *(play.carried(cloud, asks(file, seed), tmp_path) for seed in range(1, 5))
            )

        play.run(scene())
        assert (cloud.counts["upload"], cloud.counts["submit"]) == (2, 1 + 4 + 4)


def test_a_second_upload_that_fails_ends_the_order_uncharged(play: Play, tmp_path: Path) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [LOST]
    cloud.script["upload"] = [TransportError("no answer")] * 5
    with pytest.raises(TransportError):
        play.result(cloud, asks(file, 1), tmp_path)
    assert states(play)[0] is State.FAILED
    play.result(cloud, asks(file, 1), tmp_path)
    assert states(play)[0] is State.DELIVERED


def test_a_stop_during_the_second_upload_ends_the_order_uncharged(tmp_path: Path) -> None:
    with Play(takes=10.0) as play:
        file = clip(tmp_path)
        cloud = warm(play, file, tmp_path)
        cloud.script["submit"] = [LOST]

        async def scene() -> None:
            job = await play.runner.begin(cloud, asks(file, 1), tmp_path)
            while cloud.counts["submit"] < 2 or job.snapshot.stage != "uploading":
                await play.pause(1)
            play.runner.leave(job, stop=True)
            await asyncio.wrap_future(job.future)

        with pytest.raises(TaskCancelled, match="nothing was charged"):
            play.run(scene())
        assert cloud.counts["submit"] == 2
        assert states(play)[0] is State.CANCELLED


def test_an_answer_that_is_the_result_is_asked_for_once_more_too(
    play: Play, tmp_path: Path
) -> None:
    class Chat(Cloud):
        def answers_at_once(self, request: Any) -> bool:
            return True

        def answer(self, request: Any, on_text: Any) -> tuple[str, TaskState]:
            self.submit(request)
            return "1", TaskState(Status.SUCCEEDED, "success", outputs=self.outputs)

    file, chat = clip(tmp_path), Chat(play.loop.time)
    play.result(chat, asks(file, 0), tmp_path)
    chat.script["submit"] = [LOST]
    assert play.result(chat, asks(file, 1), tmp_path).texts == ("done",)
    assert (chat.counts["upload"], chat.counts["submit"]) == (2, 3)
    assert states(play) == [State.DELIVERED, State.DELIVERED]


def test_what_is_on_disk_is_forgotten_there_too(play: Play, tmp_path: Path, home: Path) -> None:
    def runner() -> Runner:
        store = UploadUrlStore(home / "hosted.db", is_fetchable=lambda url, own_host: True)
        return Runner(play.engine, in_memory(), store)

    file, cloud = clip(tmp_path), play.cloud(hosts_for=86400.0)
    play.run(runner().host(cloud, order(), [file]))
    play.runner = runner()
    cloud.script["submit"] = [LOST]
    play.result(cloud, asks(file, 1), tmp_path)
    assert play.run(runner().host(cloud, order(), [file]))[0].endswith("signed=2")
    assert cloud.counts["upload"] == 2


# -- what says that a file is gone ------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "failed to download image",
        "Failed to fetch the file from the given URL",
        "image_url: download failed with status 404",
        "Unable to access media",
        "download image failed",
        "\u83b7\u53d6\u56fe\u7247\u5931\u8d25",
        "The video could not be retrieved",
        "The link has expired",
        "media url expired",
        "Request has expired: image",
        "file not found",
        "No such file",
        "The requested image does not exist",
        "image url returned 403",
        "invalid image url",
        "IMAGE_DOWNLOAD_FAILED",
        "MediaNotFound",
        "Unknown reference (code missing_asset)",
        "Error while downloading file from upstream",
        "https://files.example/{sha}",
        "bad input {sha}",
        "\u56fe\u7247\u4e0b\u8f7d\u5931\u8d25",
        "\u65e0\u6cd5\u8bbf\u95ee\u56fe\u7247\u5730\u5740",
        "\u7d20\u6750\u5df2\u8fc7\u671f",
        "\u6587\u4ef6\u4e0d\u5b58\u5728",
        "\u94fe\u63a5\u5df2\u5931\u6548",
        "\u83b7\u53d6\u97f3\u9891\u8d85\u65f6",
        "image_url \u65e0\u6548",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 404, 422])
def test_a_refusal_that_names_the_media_has_them_uploaded_again(
    play: Play, tmp_path: Path, words: str, status: int
) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [
        api_error("Cloud", status, words.format(sha=file.sha256), own_form=True)
    ]
    play.result(cloud, asks(file, 1), tmp_path)
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (2, 3)


@pytest.mark.parametrize(
    "words",
    [
        "prompt is missing",
        "no such model",
        "the image is too small: at least 300 px",
        "unsupported video format",
        "image size exceeds 10 MB",
        "the file is larger than 10 MB",
        "The picture violates our policy",
        "The requested URL /v1/videos was not found on this server",
        "Not Found",
        "https://mine.example/photo.jpg cannot be downloaded",
        "\u56fe\u7247\u5c3a\u5bf8\u8fc7\u5c0f",
        "\u56fe\u7247\u5185\u5bb9\u8fdd\u89c4",
        "\u6a21\u578b\u4e0d\u5b58\u5728",
    ],
)
@pytest.mark.parametrize("status", [400, 404])
def test_any_other_refusal_stands(play: Play, tmp_path: Path, words: str, status: int) -> None:
    file, own = clip(tmp_path), "https://mine.example/photo.jpg"
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [api_error("Cloud", status, words, own_form=True)]
    with pytest.raises(ApiError):
        play.result(cloud, asks(file, 1, own=own), tmp_path)
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (1, 2)


@pytest.mark.parametrize(
    "error",
    [
        TransportError("the image cannot be fetched"),
        ServerFault("the image cannot be fetched", status=500, own_form=True),
        ServerFault("the image cannot be fetched", status=502, own_form=True),
        InputRejected("the image cannot be fetched", status=408, own_form=True),
        OutOfCredit("the image cannot be fetched", status=402, own_form=True),
        OutcomeUnknown("the image cannot be fetched"),
    ],
)
def test_what_may_have_been_accepted_is_never_submitted_again(
    play: Play, tmp_path: Path, error: SkyportError
) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [error]
    with pytest.raises(SkyportError):
        play.result(cloud, asks(file, 1), tmp_path)
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (1, 2)


@pytest.mark.parametrize(("own_form", "refused"), [(True, True), (False, False)])
@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_only_the_platform_itself_says_that_a_file_is_gone(
    status: int, own_form: bool, refused: bool
) -> None:
    """A page of anyone on the way proves nothing."""
    url = ReusedUrl("https://files.example/a", lambda: None)
    error = api_error("Cloud", status, "the image cannot be fetched", own_form=own_form)
    assert is_refused_for_lost_media(error, order({"image": url})) is refused


def test_a_platform_that_asks_to_wait_is_no_loss(play: Play, tmp_path: Path) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [
        RateLimited("file requests: try later, not found", status=429, own_form=True)
    ]
    play.result(cloud, asks(file, 1), tmp_path)
    assert cloud.counts["upload"] == 1


def test_a_key_that_is_refused_is_no_loss(play: Play, tmp_path: Path) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [AuthRejected("Unauthorized", status=401, own_form=True)]
    with pytest.raises(AuthRejected):
        play.result(cloud, asks(file, 1), tmp_path)
    assert cloud.counts["upload"] == 1


def test_a_file_that_the_platform_does_not_know_any_more_counts_as_one(
    play: Play, tmp_path: Path
) -> None:
    file = clip(tmp_path)
    cloud = warm(play, file, tmp_path)
    cloud.script["submit"] = [NotFound("upload not found", status=404, own_form=True)]
    play.result(cloud, asks(file, 1), tmp_path)
    assert cloud.counts["upload"] == 2


# -- a task that fails --------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "uploads"), [("image download failed", 2), ("too dark", 1)])
def test_after_a_task_that_failed_for_a_lost_file_the_next_order_uploads_it(
    play: Play, tmp_path: Path, reason: str, uploads: int
) -> None:
    class Failing(Cloud):
        def poll(self, task: Task) -> TaskState:
            if task.id == "2":
                return TaskState(Status.FAILED, "failed", message=reason)
            return super().poll(task)

    file, cloud = clip(tmp_path), Failing(play.loop.time, hosts_for=7200.0)
    play.result(cloud, asks(file, 0), tmp_path)
    with pytest.raises(TaskFailed):
        play.result(cloud, asks(file, 1), tmp_path)
    assert (cloud.counts["upload"], cloud.counts["submit"]) == (1, 2)
    play.result(cloud, asks(file, 2), tmp_path)
    assert cloud.counts["upload"] == uploads
