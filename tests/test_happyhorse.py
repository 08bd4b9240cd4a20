"""Pins what goes to HappyHorse and comes back, at every place that its document shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from _waiting import PATIENT
from contract import KEY, PNG, HostingContract
from scripted import Answer, Scripted, answer_json
from skyport import providers
from skyport.engine.base.errors import (
    BadResult,
    InputRejected,
    InvalidInput,
    OutcomeUnknown,
    OutOfCredit,
)
from skyport.engine.base.types import MediaFile, Report, Request, Status, Task, TaskState, no_report
from skyport.engine.hosting.choice import ChosenHost
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import fingerprint_of
from skyport.engine.platforms.parameters import fill, warnings
from skyport.providers import happyhorse
from skyport.providers.happyhorse import HappyHorse
from virtual import Play, clip

MODELS = {
    (model.id, model.task): model for model in map(HappyHorse.read_row, HappyHorse.built_in_rows())
}
WORDS = {
    "processing": Status.RUNNING,
    **dict.fromkeys(("success", "succeeded", "completed"), Status.SUCCEEDED),
    **dict.fromkeys(("failed", "failure", "error"), Status.FAILED),
}
FILES = "/files"
MADE = "https://cdn.example/made.mp4?sig=a%2Fb"


class Shelf:
    """A media host: a path of the scripted server."""

    upload_scope = "scripted"

    def __init__(self, http: Http) -> None:
        self._http = http

    def upload(self, file: MediaFile, report: Report = no_report) -> str:
        answer = self._http.post_form(FILES, [("file", file)], report)
        return str(json.loads(answer.content)["url"])

    def url_lifetime(self, url: str) -> float:
        return 0.0


def asked(model_id: str, task: str, **values: Any) -> Request:
    model = MODELS[model_id, task]
    return happyhorse.generation(model, fill(model, values))


def unchecked(model_id: str, task: str, **values: Any) -> Request:
    """For files that are none."""
    return happyhorse.generation(MODELS[model_id, task], values)


# -- what every platform must do ------------------------------------------------------------


class HappyHorseContract(HostingContract):
    kind = HappyHorse
    upload_path = FILES
    words: ClassVar[Mapping[str, Status]] = WORDS
    task_id = "task_7"

    def provider(self, server: Scripted) -> HappyHorse:
        http = Http("HappyHorse", server.url, HappyHorse.auth_headers(KEY), timeout=PATIENT)
        return HappyHorse(http, Shelf(http))

    def hosted(self, url: str) -> Any:
        return {"url": url}

    def refusal(self, status: int, words: str) -> Any:
        return {"error": {"message": words, "type": "invalid_request"}}


class TestEdits(HappyHorseContract):
    submit_path = "/v1/images/async/edits"
    poll_path = "/v1/images/async/task_7"

    def request(self, file: MediaFile) -> Request:
        return unchecked("gpt-image-2", "edit-image", prompt="a fox", image=file, n=1)

    def accepted(self) -> Any:
        return {"task_id": "task_7"}

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        made = {"data": [{"url": url} for url in urls]}
        return {"data": {"status": word, "data": made, "fail_reason": reason}}


class TestReferences(TestEdits):
    submit_path = "/v1/images/async/generations"

    def request(self, file: MediaFile) -> Request:
        return unchecked("gpt-image-2", "reference2image", prompt="a fox", images=[file])


class TestVideos(HappyHorseContract):
    submit_path = "/v1/videos"
    poll_path = "/v1/videos/task_7"

    def request(self, file: MediaFile) -> Request:
        return unchecked("wan2.7-i2v", "image2video", prompt="a fox", image=file)

    def accepted(self) -> Any:
        return {"id": "task_7", "status": "queued"}

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        return {"status": word, "fail_reason": reason, "results": [{"url": url} for url in urls]}


class TestGrok(HappyHorseContract):
    submit_path = "/v1/videos/generations"
    poll_path = "/v1/videos/grok/task_7"

    def request(self, file: MediaFile) -> Request:
        return unchecked("grok-imagine-video", "image2video", prompt="a fox", image=file)

    def accepted(self) -> Any:
        return {"output": {"task_id": "task_7", "task_status": "queued"}}

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        media = {"media_url": urls[0]} if urls else {}
        return {"output": {"task_status": word, "fail_reason": reason, **media}}


class TestNotevideo(TestGrok):
    poll_path = "/v1/videos/notevideo/task_7"

    def request(self, file: MediaFile) -> Request:
        return unchecked("omni_flash_i2v", "image2video", prompt="a fox", image=file)


# -- a submit -------------------------------------------------------------------------------


@pytest.fixture
def platform(server: Scripted) -> HappyHorse:
    return HappyHorse(Http("HappyHorse", server.url, HappyHorse.auth_headers(KEY), timeout=PATIENT))


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("videos", {"id": "t1", "task_id": "t2", "output": {"task_id": "t3"}}),
        ("videos", {"task_id": "t1", "output": {"task_id": "t3"}}),
        ("videos", {"output": {"task_id": "t1"}}),
        ("videos", {"id": "", "task_id": "t1"}),
        ("images/edits", {"id": "request", "task_id": "t1"}),
        ("images/generations", {"code": "success", "data": {"task_id": "t1"}}),
        ("videos/grok", {"id": "request", "output": {"task_id": "t1"}}),
        ("videos/notevideo", {"task_id": "t1"}),
    ],
)
def test_the_id_of_a_task_is_read_where_the_document_shows_it(
    server: Scripted, platform: HappyHorse, route: str, answer: Any
) -> None:
    server.on("*", answer_json(answer))
    assert platform.submit(happyhorse.custom("m", route, {})) == "t1"


def test_an_id_that_is_a_number_is_asked_for_as_it_came(
    server: Scripted, platform: HappyHorse
) -> None:
    server.on("*", answer_json({"id": 24317}))
    assert platform.submit(happyhorse.custom("m", "videos", {})) == "24317"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"error": {"message": "unknown model", "code": "bad"}}, InputRejected),
        ({"error": "insufficient balance"}, OutOfCredit),
        ({"message": "accepted"}, OutcomeUnknown),
    ],
)
def test_a_submit_that_names_no_task_is_an_error(
    server: Scripted, platform: HappyHorse, answer: Any, kind: type[Exception]
) -> None:
    server.on("*", answer_json(answer))
    with pytest.raises(kind) as caught:
        platform.submit(happyhorse.custom("m", "videos", {}))
    assert str(caught.value).startswith("HappyHorse")


def test_the_fields_of_an_edit_are_text_without_file_name_or_type(
    server: Scripted, platform: HappyHorse
) -> None:
    server.on("*", answer_json({"task_id": "t1"}))
    url = "https://example.com/\u72d0.png?sig=%2Fx"
    values = {"image": url, "mask": url, "n": 2, "output_compression": 80}
    platform.submit(asked("gpt-image-2", "edit-image", prompt="a fox", **values))
    (sent,) = server.seen
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"filename" not in sent.body
    assert b"Content-Type" not in sent.body
    assert f'name="mask"\r\n\r\n{url}\r\n'.encode() in sent.body
    assert b'name="n"\r\n\r\n2\r\n' in sent.body


def test_a_custom_body_is_sent_as_it_is(server: Scripted, platform: HappyHorse) -> None:
    server.on("*", answer_json({"id": "t1"}))
    platform.submit(happyhorse.custom("new-model", "videos/grok", {"a": {"b": [1, None]}}))
    (sent,) = server.seen
    assert sent.target == "/v1/videos/generations"
    assert sent.json() == {"model": "new-model", "a": {"b": [1, None]}}


# -- a poll ---------------------------------------------------------------------------------


def state(server: Scripted, platform: HappyHorse, answer: Any, route: str = "videos") -> TaskState:
    server.on("*", answer_json(answer))
    sent = frozenset({"https://example.com/source.mp4?sig=1"})
    return platform.poll(Task("happyhorse", route, "t1", sent))


def done(**fields: Any) -> dict[str, Any]:
    return {"status": "SUCCESS", **fields}


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("videos", done(video_url=MADE)),
        ("videos", done(media_url=MADE)),
        ("videos", done(result_url=MADE)),
        ("videos", done(metadata={"url": MADE})),
        ("videos", done(results=[{"url": MADE}])),
        ("videos", done(output={"video_url": MADE})),
        ("videos", {"output": {"task_status": "Completed", "result_url": MADE}}),
        ("videos", done(video_url=None, metadata=None, results=[{"url": MADE}])),
        ("videos", done(video_url=MADE, media_url=MADE, results=[{"url": MADE}])),
        ("videos", done(video_url=[MADE])),
        ("videos/grok", {"output": {"task_status": "succeeded", "media_url": MADE}}),
        (
            "videos/grok",
            {"output": {"task_status": "succeeded", "video_url": "http://b/", "media_url": MADE}},
        ),
        ("videos/notevideo", {"output": {"task_status": "success", "video_url": MADE}}),
        ("videos/notevideo", done(metadata={"url": MADE})),
        ("images/edits", {"data": {"status": "completed", "data": {"data": [{"url": MADE}]}}}),
        ("images/edits", {"data": {"status": "completed", "data": [{"url": MADE}]}}),
        ("videos", {"code": "success", "data": {"status": "success", "video_url": MADE}}),
    ],
)
def test_a_result_is_found_wherever_the_document_shows_one(
    server: Scripted, platform: HappyHorse, route: str, answer: Any
) -> None:
    found = state(server, platform, answer, route)
    assert found.status is Status.SUCCEEDED
    assert [output.url for output in found.outputs] == [MADE]
    assert found.progress == 1.0


def test_the_source_that_an_answer_repeats_is_no_result(
    server: Scripted, platform: HappyHorse
) -> None:
    answer = done(
        video_url="https://example.com/source.mp4?sig=2", results=[{"url": MADE}], progress=100
    )
    assert [output.url for output in state(server, platform, answer).outputs] == [MADE]


def test_several_pictures_come_in_order_by_url_or_inside_the_answer(
    server: Scripted, platform: HappyHorse
) -> None:
    text = base64.b64encode(PNG).decode()
    items = [
        {"url": "https://cdn.example/1.png", "b64_json": None},
        {"b64_json": text},
        {"url": "", "b64_json": f"data:image/png;base64,{text}"},
        {"b64_json": "no base64 at all!"},
    ]
    answer = {"data": {"status": "success", "data": {"data": items}}}
    outputs = state(server, platform, answer, "images/generations").outputs
    assert outputs[0].url == "https://cdn.example/1.png"
    assert [output.data for output in outputs[1:3]] == [PNG, PNG]
    assert outputs[3].unreadable  # it is the fourth all the same


def test_two_equal_pictures_inside_an_answer_are_two(
    server: Scripted, platform: HappyHorse, tmp_path: Path
) -> None:
    text = base64.b64encode(PNG).decode()
    items = [{"b64_json": text}, {"b64_json": text}]
    answer = {"data": {"status": "success", "data": {"data": items}}}
    assert len(state(server, platform, answer, "images/generations").outputs) == 2


@pytest.mark.parametrize(
    ("progress", "share"),
    [(42, 0.42), ("42%", 0.42), ("42", 0.42), (0.42, 0.42), ("soon", None), (None, None)],
)
def test_progress_is_a_number_or_text(
    server: Scripted, platform: HappyHorse, progress: Any, share: float | None
) -> None:
    found = state(server, platform, {"status": "IN_PROGRESS", "progress": progress})
    assert (found.status, found.progress) == (Status.RUNNING, share)


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("videos", {"status": "failed", "fail_reason": "no harbour", "message": "ok"}),
        ("videos", {"status": "failed", "error": {"message": "no harbour", "code": 7}}),
        ("videos", {"output": {"task_status": "FAILURE", "fail_reason": "no harbour"}}),
        ("videos/grok", {"output": {"task_status": "Error", "fail_reason": "no harbour"}}),
        (
            "images/edits",
            {"message": "success", "data": {"status": "failed", "fail_reason": "no harbour"}},
        ),
    ],
)
def test_a_failure_is_told_in_the_platforms_words(
    server: Scripted, platform: HappyHorse, route: str, answer: Any
) -> None:
    found = state(server, platform, answer, route)
    assert (found.status, found.message) == (Status.FAILED, "no harbour")


def test_the_state_of_the_answer_is_not_that_of_the_task(
    server: Scripted, platform: HappyHorse
) -> None:
    """An envelope may say of itself that it is fine."""
    answer = {"status": "success", "data": {"status": "IN_PROGRESS", "progress": "30%"}}
    found = state(server, platform, answer, "images/generations")
    assert (found.status, found.word, found.progress) == (Status.RUNNING, "IN_PROGRESS", 0.3)


@pytest.mark.parametrize("answer", [None, [], "done", {"status": 7}, {"data": None}])
def test_an_answer_of_another_shape_is_none(
    server: Scripted, platform: HappyHorse, answer: Any
) -> None:
    with pytest.raises(BadResult, match="not the platform's"):
        state(server, platform, answer)


def test_an_answer_that_is_empty_so_far_tells_nothing(
    server: Scripted, platform: HappyHorse
) -> None:
    found = state(server, platform, {"data": []})
    assert (found.status, found.known, found.outputs) == (Status.RUNNING, False, ())


def test_a_task_that_waits_is_told_as_one(server: Scripted, platform: HappyHorse) -> None:
    assert state(server, platform, {"status": "NOT_START"}).status is Status.QUEUED


def test_a_task_that_the_platform_cancelled_has_ended(
    server: Scripted, platform: HappyHorse
) -> None:
    assert state(server, platform, {"status": "Cancelled"}).status.terminal


# -- what is refused before anything is sent --------------------------------------------------


def picture(number: int = 0, **facts: Any) -> MediaFile:
    about = {"width": 512, "height": 512, **facts}
    return MediaFile(
        Path(f"{number}.png"), f"{number}.png", "image/png", f"{number:064}", 9, **about
    )


def refusal(model_id: str, task: str, **values: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        asked(model_id, task, prompt="a fox", **values)
    return str(caught.value)


def test_pictures_in_two_places_are_counted_together() -> None:
    sound = MediaFile(Path("a.mp3"), "a.mp3", "audio/mpeg", "a" * 64, 9, duration=5)
    many = [picture(n) for n in range(1, 10)]
    message = refusal(
        "video-pro-720p", "image-audio2video", image=picture(), audio=sound, extra_images=many
    )
    assert "it has 10 entries" in message
    assert "takes 9" in message
    few = {"image": picture(), "audio": sound, "extra_images": many[:8]}
    sent = asked("video-pro-720p", "image-audio2video", prompt="a fox", **few).payload
    assert len(sent["extra_images"]) == 8


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    mask = picture(1, width=64, height=64)
    message = refusal("gpt-image-2", "edit-image", image=picture(), mask=mask)
    assert "64 x 64" in message
    assert "512 x 512" in message
    same = asked("gpt-image-2", "edit-image", prompt="a fox", image=picture(), mask=picture(1))
    assert same.payload["mask"] == picture(1)


def test_more_seconds_than_an_edit_gives_are_refused() -> None:
    url = "https://example.com/a.mp4"
    message = refusal("happyhorse-1.0-video-edit", "edit-video", video=url, duration=16)
    assert "1 - 15" in message


@pytest.mark.parametrize(
    ("model", "task", "values"),
    [
        ("gpt-image-2", "text2image", {"n": 0}),
        ("kling-video", "text2video", {"duration": -1}),
        ("wan2.7-t2v", "text2video", {"duration": 0}),
        ("happyhorse-1.0-t2v", "text2video", {"duration": 0}),
        ("veo_3_1-fast", "text2video", {"retry_times": "-1"}),
    ],
)
def test_what_nobody_can_make_is_refused(model: str, task: str, values: dict[str, Any]) -> None:
    [(name, value)] = values.items()
    message = refusal(model, task, **values)
    assert f"parameter {name}: {value} is outside" in message


def test_every_count_and_every_duration_has_a_least_value() -> None:
    counted = [p for m in MODELS.values() for p in m.params if p.name in ("n", "duration")]
    assert len(counted) == 44
    assert {param.min for param in counted} == {1}


def clip_of(**facts: Any) -> MediaFile:
    about = {"width": 640, "height": 480, "duration": 5.0, "codec": "h264", **facts}
    return MediaFile(Path("a.mp4"), "a.mp4", about.pop("mime", "video/mp4"), "c" * 64, 9, **about)


@pytest.mark.parametrize(
    ("model", "clip", "words"),
    [
        ("wan2.7-videoedit", clip_of(), []),
        ("wan2.7-videoedit", clip_of(duration=20.0), ["20 seconds", "15"]),
        ("wan2.7-videoedit", clip_of(mime="video/webm"), ["video/webm", "mp4"]),
        ("happyhorse-1.0-video-edit", clip_of(), []),
        ("happyhorse-1.0-video-edit", clip_of(codec="hevc"), ["hevc", "h264"]),
        ("omni_flash_edit-fast", clip_of(duration=60.0), []),
    ],
)
def test_advice_warns_and_refuses_nothing(model: str, clip: MediaFile, words: list[str]) -> None:
    row = MODELS[model, "edit-video"]
    logged = warnings(row, fill(row, {"prompt": "x", "video": clip}))
    assert len(logged) == bool(words)
    assert [word for word in words if word not in logged[0]] == []


def test_both_advices_that_a_clip_breaks_are_told() -> None:
    row = MODELS["wan2.7-videoedit", "edit-video"]
    clip = clip_of(duration=20.0, mime="video/webm")
    assert len(warnings(row, fill(row, {"prompt": "x", "video": clip}))) == 2


def test_what_is_told_of_a_request_is_told_with_its_result_and_makes_no_other_order(
    server: Scripted, tmp_path: Path
) -> None:
    contract = TestVideos()
    server.on("/v1/videos", answer_json(contract.accepted()))
    server.on(FILES, answer_json({"url": "https://example.com/a.png"}))
    server.on(contract.poll_path, contract.success(server))
    server.on("/made.png", Answer(body=PNG))
    plain = contract.request(clip(tmp_path, PNG))
    warned = replace(plain, warnings=("only advice",))
    assert fingerprint_of(warned, "") == fingerprint_of(plain, "")
    with Play() as play:
        result = play.result(contract.provider(server), warned, tmp_path)
    assert result.warnings == ("only advice",)


def test_a_file_without_a_place_to_put_it_is_refused_by_name_and_nothing_is_sent(
    server: Scripted, platform: HappyHorse, tmp_path: Path
) -> None:
    platform.media_host = ChosenHost(platform.label, providers.connect)
    with Play() as play, pytest.raises(InvalidInput) as caught:
        play.result(platform, TestVideos().request(clip(tmp_path, PNG)), tmp_path)
    assert str(caught.value).startswith("HappyHorse: ")
    assert "media host" in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize("key", [KEY, ""], ids=["with a key", "without one either"])
def test_without_an_address_it_is_told_which_variable_to_set(monkeypatch: Any, key: str) -> None:
    monkeypatch.setenv("HAPPYHORSE_API_KEY", key)
    with pytest.raises(InvalidInput) as caught:
        providers.connect("happyhorse")
    message = str(caught.value)
    assert message.startswith(
        "HappyHorse: no address is set. The platform's documentation gives none: "
    )
    assert "HAPPYHORSE_BASE_URL" in message


def test_the_models_of_a_newer_skyport_are_not_hidden_by_those_kept_on_disk(home: Path) -> None:
    stored = home / "catalogue" / "happyhorse.json"
    stored.parent.mkdir()
    old = {"model": "kling-video", "label": "old", "task": "text2video", "route": "videos"}
    gone = {**old, "model": "gone", "retired": True}
    stored.write_text(json.dumps([{**one, "fields": []} for one in (old, gone)]))
    found = {model.id: model for model in providers.catalogue("happyhorse").models("text2video")}
    assert found["kling-video"].label == "Kling Video"
    assert found["gone"].retired
