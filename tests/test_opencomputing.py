"""Pins what goes to OpenComputing and comes back, held against its document key by key."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from _waiting import PATIENT
from contract import KEY, PNG, PlatformContract
from scripted import Answer, Scripted, answer_json
from skyport.engine.base.errors import (
    AuthRejected,
    InputRejected,
    InvalidInput,
    OutcomeUnknown,
    OutOfCredit,
    SkyportError,
    TransportError,
)
from skyport.engine.base.types import MediaFile, Model, Request, Status, Task
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import record_of
from skyport.engine.platforms.parameters import fill
from skyport.engine.tasks.job import Job, TransferProgress
from skyport.engine.tasks.progress import progress_text
from skyport.providers import opencomputing
from skyport.providers.opencomputing import OpenComputing
from virtual import Play, clip

V1 = "/llmage/v1/"
IMAGES, VIDEOS, TASKS = V1 + "image/generations", V1 + "video/generations", V1 + "tasks"
WORDS = {
    "CREATED": Status.QUEUED,
    "PENDING": Status.QUEUED,
    "RUNNING": Status.RUNNING,
    "SUCCEEDED": Status.SUCCEEDED,
    "FAILED": Status.FAILED,
}
# The prompts of the document's examples.
CAT = "\u4e00\u53ea\u732b\u5750\u5728\u6708\u4eae\u4e0a"
BLUR = "\u6a21\u7cca,\u4f4e\u8d28\u91cf"
PUMPKINS = "\u5929\u4e0a\u98de\u8fc7\u5404\u5f0f\u5404\u6837\u7684\u4e07\u5723\u8282\u5357\u74dc"
KITTEN = "\u5c0f\u732b\u5728\u6293\u8001\u9f20"
TURN = "\u56fe\u7247\u53d8\u6362\u4e3a\u4e07\u5723\u8282\u5404\u79cd\u5357\u74dc\u98de\u4e0a\u5929"
SMOOTH = "\u4ece\u56fe\u72471\u5230\u56fe\u72472\u4e1d\u6ed1\u8f6c\u6362"
FIRST_TO_SECOND = (
    "\u5e73\u6ed1\u8fc7\u6e21\u4ece\u7b2c\u4e00\u5f20\u56fe\u7247"
    "\u5230\u7b2c\u4e8c\u5f20\u56fe\u7247"
)
DOUBAO, DREAMINA = "doubao-seedance-2-0-260128", "dreamina-seedance-2-0-260128"
SEEDANCE = "doubao-seedance-1-5-pro-251215"


def models() -> dict[tuple[str, str], Model]:
    rows = map(OpenComputing.read_row, OpenComputing.built_in_rows())
    return {(model.id, model.task): model for model in rows}


def generation(name: str, task: str, **values: Any) -> Request:
    model = models()[name, task]
    return opencomputing.generation(model, fill(model, values))


# -- what every platform must do ------------------------------------------------------------


class TestFrames(PlatformContract):
    kind = OpenComputing
    submit_path = VIDEOS
    poll_path = TASKS
    words: ClassVar[Mapping[str, Status]] = WORDS
    task_id = "oc-17"

    def request(self, file: MediaFile) -> Request:
        return generation("happyhorse-1.0-i2v", "i2v", prompt=TURN, first_frame=file)

    def accepted(self) -> Any:
        return {"taskid": "oc-17", "status": "CREATED"}

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        body = {"status": word, "taskid": "another", "image": "https://h.example/cover.jpg"}
        made = {"video": urls[0]} if urls else {}
        return {**body, **made, **({"error": reason} if reason else {})}

    def refusal(self, status: int, words: str) -> Any:
        return {"error": words}


class TestReferences(TestFrames):
    def request(self, file: MediaFile) -> Request:
        return generation(DOUBAO, "ref2v", prompt=TURN, images=[file])

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        body = {"status": word, "taskid": 5, **({"video": list(urls)} if urls else {})}
        return {**body, **({"message": reason} if reason else {})}


# -- rows and the document's tables ---------------------------------------------------------

FIVE = ("16:9", "4:3", "1:1", "3:4", "9:16")
VIDU_RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1")
P3, UPPER, VIDU_P = ("480p", "720p", "1080p"), ("720P", "1080P"), ("540p", "720p", "1080p")
SIZES = (
    *("832*480", "480*832", "624*624", "1280*720", "720*1280"),
    *("960*960", "1920*1080", "1080*1920", "1440*1440"),
)
# field: (type, required, default, options or range); "adaptive" is no option of these rows.
PROMPT = {"prompt": ("text", True, None, ())}
NEGATIVE = {"negative_prompt": ("text", False, None, ())}
SEEDANCE_2 = {
    "resolution": ("string", False, "720p", P3),
    "ratio": ("string", False, "adaptive", FIVE),
    "duration": ("int", False, 5, ()),
}
VIDU = {
    "off_peak": ("string", False, "N", ("Y", "N")),
    "duration": ("int", False, 10, (1, 16)),
    "ratio": ("string", False, "16:9", VIDU_RATIOS),
    "resolution": ("string", False, "1080p", VIDU_P),
}
SEEDANCE_1_5 = {
    "ratio": ("string", False, None, (*FIVE, "adaptive")),
    "resolution": ("string", False, "1080p", P3),
    "duration": ("int", False, 12, ()),
}
BOTH = {"image_file1": ("image", True, None, ()), "image_file2": ("image", True, None, ())}
EITHER = {"image_file1": ("image", False, None, ()), "image_file2": ("image", False, None, ())}
TWO_FRAMES = {"image1_file": ("image", True, None, ()), "image2_file": ("image", True, None, ())}
WAN_LENGTH = ("int", False, 15, (5, 10, 15))
REFERENCES = {
    "ratio": ("string", False, None, FIVE),
    "resolution": ("string", False, "1080p", P3),
    "duration": ("int", False, 12, ()),
    "image_files": ("array[image]", True, None, ()),
    "video_files": ("array[video]", False, None, ()),
    "audio_files": ("array[audio]", False, None, ()),
}
T2I = ("wan2.2-t2i-plus", "wan2.5-t2i-preview", "wan2.2-t2i-flash", "cogview-3-flash")
HORSE = {
    "resolution": ("string", False, "720P", UPPER),
    "ratio": ("string", False, "adaptive", FIVE),
    "duration": ("int", False, 5, ()),
}
HORSE_FRAME = {
    "image_file": ("image", True, None, ()),
    "resolution": ("string", False, "720P", UPPER),
    "duration": ("int", False, 5, ()),
}
HORSE_REFERENCES = {
    "ratio": ("string", False, None, FIVE),
    "resolution": ("string", False, "1080P", UPPER),
    "duration": ("int", False, 15, ()),
    "image_files": ("array[image]", True, None, ()),
}
TABLES: dict[tuple[str, str], dict[str, Any]] = {
    **{(name, "t2i"): NEGATIVE for name in T2I},
    ("happyhorse-1.0-t2v", "t2v"): HORSE,
    (DOUBAO, "t2v"): SEEDANCE_2,
    (DREAMINA, "t2v"): SEEDANCE_2,
    ("doubao-seedance-2-0-fast-260128", "t2v"): SEEDANCE_2,  # only in the table's first line
    ("wan2.6-t2v", "t2v"): {
        **NEGATIVE,
        "size": ("string", False, "1920*1080", SIZES),
        "duration": WAN_LENGTH,
    },
    ("viduq3-pro", "t2v"): VIDU,
    (SEEDANCE, "t2v"): SEEDANCE_1_5,
    ("happyhorse-1.0-i2v", "i2v"): HORSE_FRAME,
    (DOUBAO, "i2v"): {**TWO_FRAMES, **SEEDANCE_2},
    (DREAMINA, "i2v"): {**TWO_FRAMES, **SEEDANCE_2},
    ("wan2.6-r2v", "i2v"): {
        **NEGATIVE,
        "size": ("string", False, "1920*1080", ()),
        "duration": WAN_LENGTH,
        **BOTH,
    },
    ("viduq3-pro", "i2v"): {**VIDU, **BOTH},
    (SEEDANCE, "i2v"): {**SEEDANCE_1_5, **EITHER},
    ("happyhorse-1.0-r2v", "ref2v"): HORSE_REFERENCES,
    (DOUBAO, "ref2v"): REFERENCES,
    (DREAMINA, "ref2v"): REFERENCES,
}


def test_the_rows_are_those_of_the_document() -> None:
    assert set(models()) == {("qwen3-max", "t2t"), *TABLES}


@pytest.mark.parametrize("row", TABLES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_has_the_fields_of_its_table(row: tuple[str, str]) -> None:
    found = {}
    for param in models()[row].params:
        span = () if param.min is None else (param.min, param.max)
        options = tuple(choice.value for choice in param.choices) or span
        default = param.leaves or param.default
        found[param.path] = (param.type, param.required, default, options)
    assert found == {**PROMPT, **TABLES[row]}


def test_chat_has_the_fields_of_its_table() -> None:
    fields = {p.path: (p.type, p.required) for p in models()["qwen3-max", "t2t"].params}
    assert fields == {
        "prompt": ("text", True),
        "sys_prompt": ("text", False),
        "stream": ("boolean", True),  # said each time: what a model does without is not told
    }


@pytest.mark.parametrize("row", TABLES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_frames_and_references_have_one_name_for_all_models(row: tuple[str, str]) -> None:
    media = {param.path: param.name for param in models()[row].params if param.media_kind}
    for path, name in media.items():
        usual = {"image_files": "images", "video_files": "videos", "audio_files": "audios"}
        assert name == usual.get(path, "last_frame" if "2" in path else "first_frame")


def test_at_most_nine_pictures_go_to_happyhorse(tmp_path: Path) -> None:
    ten = [clip(tmp_path, bytes([n])) for n in range(10)]
    with pytest.raises(InvalidInput, match="it has 10 entries; it takes 9 at most"):
        generation("happyhorse-1.0-r2v", "ref2v", prompt="x", images=ten)
    assert len(generation(DOUBAO, "ref2v", prompt="x", images=ten).payload["image_files"]) == 10


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        (("happyhorse-1.0-i2v", "i2v"), "first_frame"),
        ((DOUBAO, "i2v"), "last_frame"),
        (("wan2.6-r2v", "i2v"), "last_frame"),
        (("viduq3-pro", "i2v"), "last_frame"),
        ((DREAMINA, "ref2v"), "images"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, row: tuple[str, str], missing: str) -> None:
    given: dict[str, Any] = {"first_frame": clip(tmp_path)} if missing == "last_frame" else {}
    with pytest.raises(InvalidInput, match=f"{row[0]}, parameter {missing}: it is required"):
        generation(*row, prompt="x", **given)


def test_adaptive_is_sent_only_where_it_is_an_option() -> None:
    values = {"prompt": "x", "ratio": "adaptive"}
    assert generation(SEEDANCE, "t2v", **values).payload["ratio"] == "adaptive"
    with pytest.raises(InvalidInput, match="ratio"):
        generation(DOUBAO, "t2v", **values)


# -- the document's examples, key by key ----------------------------------------------------


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        server.on(IMAGES, answer_json({"taskid": "oc-3", "status": "CREATED"}))
        server.on(VIDEOS, answer_json({"taskid": "oc-17", "status": "CREATED"}))
        yield server


def platform(server: Scripted) -> OpenComputing:
    headers = OpenComputing.auth_headers(KEY)
    return OpenComputing(Http("OpenComputing", server.url, headers, timeout=PATIENT))


def body(server: Scripted, request: Request) -> Any:
    platform(server).submit(request)
    return server.seen[-1].json()


def fields(server: Scripted, request: Request) -> list[tuple[str, str, str]]:
    """(name, file name, content) of every part of the form that `request` is sent as."""
    platform(server).submit(request)
    text = server.seen[-1].body.decode("utf-8", "replace")
    pattern = r'name="([^"]*)"(?:; filename="([^"]*)")?\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--'
    return re.findall(pattern, text, re.DOTALL)


def test_a_picture_is_asked_for_as_in_the_document(server: Scripted) -> None:
    request = generation("wan2.2-t2i-plus", "t2i", prompt=CAT, negative_prompt=BLUR)
    assert body(server, request) == {
        "model": "wan2.2-t2i-plus",
        "catelogid": "t2i",
        "prompt": CAT,
        "negative_prompt": BLUR,
    }
    assert server.seen[0].target == IMAGES
    assert server.seen[0].headers["content-type"] == "application/json"
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_negative_prompt_left_empty_is_left_out(server: Scripted) -> None:
    request = generation("wan2.2-t2i-plus", "t2i", prompt=CAT, negative_prompt="")
    assert body(server, request) == {"model": "wan2.2-t2i-plus", "catelogid": "t2i", "prompt": CAT}


def test_a_happyhorse_video_is_asked_for_as_in_the_document(server: Scripted) -> None:
    values = {"prompt": PUMPKINS, "ratio": "4:3", "resolution": "720P", "duration": "4"}
    assert body(server, generation("happyhorse-1.0-t2v", "t2v", **values)) == {
        "model": "happyhorse-1.0-t2v",
        "catelogid": "t2v",
        "prompt": PUMPKINS,
        "ratio": "4:3",
        "resolution": "720P",
        "duration": 4,
    }


def test_a_seedance_video_is_asked_for_as_in_the_document(server: Scripted) -> None:
    values = {"prompt": KITTEN, "duration": 5, "ratio": "16:9", "resolution": "480p"}
    assert body(server, generation(SEEDANCE, "t2v", **values)) == {
        "model": "doubao-seedance-1-5-pro-251215",
        "catelogid": "t2v",
        "prompt": KITTEN,
        "duration": 5,
        "ratio": "16:9",
        "resolution": "480p",
    }


def test_a_frame_goes_up_inside_the_form_of_the_document(server: Scripted, tmp_path: Path) -> None:
    frame = clip(tmp_path, b"jpeg", "02.jpg")
    values = {"prompt": TURN, "duration": 15, "resolution": "720P", "first_frame": frame}
    assert sorted(fields(server, generation("happyhorse-1.0-i2v", "i2v", **values))) == [
        ("catelogid", "", "i2v"),
        ("duration", "", "15"),
        ("image_file", "02.jpg", "jpeg"),
        ("model", "", "happyhorse-1.0-i2v"),
        ("prompt", "", TURN),
        ("resolution", "", "720P"),
    ]
    assert server.seen[0].headers["content-type"].startswith("multipart/form-data")


def test_two_frames_go_up_under_the_names_of_their_model(server: Scripted, tmp_path: Path) -> None:
    first, last = clip(tmp_path, b"one", "myimg1.jpg"), clip(tmp_path, b"two", "myimg2.jpg")
    values = {"prompt": SMOOTH, "duration": 5, "ratio": "16:9", "resolution": "480p"}
    request = generation(DOUBAO, "i2v", first_frame=first, last_frame=last, **values)
    assert sorted(fields(server, request)) == [
        ("catelogid", "", "i2v"),
        ("duration", "", "5"),
        ("image1_file", "myimg1.jpg", "one"),
        ("image2_file", "myimg2.jpg", "two"),
        ("model", "", "doubao-seedance-2-0-260128"),
        ("prompt", "", SMOOTH),
        ("ratio", "", "16:9"),
        ("resolution", "", "480p"),
    ]


@pytest.mark.parametrize(("name", "resolution"), [(DOUBAO, "720p"), ("happyhorse-1.0-r2v", "720P")])
def test_references_repeat_the_name_of_their_field(
    server: Scripted, tmp_path: Path, name: str, resolution: str
) -> None:
    images = [clip(tmp_path, b"one", "1.jpg"), clip(tmp_path, b"two", "2.jpg")]
    values = {"prompt": FIRST_TO_SECOND, "ratio": "4:3", "resolution": resolution, "duration": 4}
    request = generation(name, "ref2v", images=images, **values)
    assert sorted(fields(server, request)) == [
        ("catelogid", "", "ref2v"),
        ("duration", "", "4"),
        ("image_files", "1.jpg", "one"),
        ("image_files", "2.jpg", "two"),
        ("model", "", name),
        ("prompt", "", FIRST_TO_SECOND),
        ("ratio", "", "4:3"),
        ("resolution", "", resolution),
    ]


def test_frames_go_as_a_form_even_where_there_are_none(server: Scripted) -> None:
    assert fields(server, generation(SEEDANCE, "i2v", prompt="x")) == [
        ("model", "", SEEDANCE),
        ("catelogid", "", "i2v"),
        ("prompt", "", "x"),
    ]


def test_a_file_that_is_gone_fails_before_the_first_byte_is_sent(
    server: Scripted, tmp_path: Path
) -> None:
    one, gone = clip(tmp_path, b"one", "1.jpg"), clip(tmp_path, b"two", "2.jpg")
    gone.path.unlink()
    request = generation(DOUBAO, "ref2v", prompt="x", images=[one, gone])
    with Play() as play, pytest.raises(InvalidInput, match=r"2\.jpg cannot be read"):
        play.result(platform(server), request, tmp_path)
    assert server.seen == []


def test_a_form_tells_how_much_of_it_has_gone_up(server: Scripted, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    frame = clip(tmp_path, bytes(1_000_000), "02.jpg")
    request = generation("happyhorse-1.0-i2v", "i2v", prompt="x", first_frame=frame)
    platform(server).submit(request, lambda done, total: reports.append((done, total)))
    assert len(reports) > 3
    assert reports[-1][0] == reports[-1][1] == server.seen[0].size


def test_what_goes_up_inside_a_request_is_seen_going_up(server: Scripted, tmp_path: Path) -> None:
    frame = clip(tmp_path, bytes(300_000), "02.jpg")
    request = generation("happyhorse-1.0-i2v", "i2v", prompt="x", first_frame=frame)
    job = Job(platform(server), request, record_of(request, server.url))
    job.enter("submitting")
    assert progress_text(job, 0.0).words == ("submitting",)
    platform(server).submit(request, TransferProgress(job).part())
    assert progress_text(job, 0.0).words == ("uploading 100 %",)


# -- a URL where a file must go -------------------------------------------------------------


def linked(url: str) -> Request:
    return generation("happyhorse-1.0-i2v", "i2v", prompt="x", first_frame=url)


def answered(server: Scripted, request: Request, folder: Path) -> Any:
    done = {"status": "SUCCEEDED", "video": server.url + "/made.png"}
    server.on(TASKS, answer_json(done))
    server.on("/made.png", Answer(body=PNG))
    with Play() as play:
        try:
            return play.result(platform(server), request, folder / "results")
        except SkyportError as error:
            return error


def test_a_url_is_fetched_here_and_goes_up_as_the_file_it_is(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = pixel(tmp_path)
    (tmp_path / "room").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "room"))
    server.on("/frame", Answer(body=picture))
    assert answered(server, linked(server.url + "/frame"), tmp_path).files
    (submit,) = server.asked(VIDEOS)
    assert picture in submit.body
    assert b"/frame" not in submit.body
    assert b'name="image_file"; filename="first_frame_1.png"' in submit.body
    assert list((tmp_path / "room").iterdir()) == []  # it is not kept here


def pixel(folder: Path) -> bytes:
    from PIL import Image

    Image.new("RGB", (4, 3), "red").save(folder / "pixel.png")
    return (folder / "pixel.png").read_bytes()


@pytest.mark.parametrize(
    ("url", "reply", "words"),
    [
        ("http://10.20.30.40/frame.png", None, "not a public host"),
        ("/frame", Answer(404), "first_frame"),
        ("/frame", Answer(body=b"<html>sign in</html>"), "not an image, video or audio"),
        ("/frame", Answer(body=b"RIFF$\0\0\0WAVEfmt " + bytes(64)), "it takes image, not audio"),
    ],
    ids=["private", "gone", "page", "sound"],
)
def test_a_url_that_cannot_be_had_is_refused_and_nothing_is_submitted(
    server: Scripted, tmp_path: Path, url: str, reply: Answer | None, words: str
) -> None:
    if reply is not None:
        server.on("/frame", reply)
        url = server.url + url
    error = answered(server, linked(url), tmp_path)
    assert isinstance(error, InvalidInput)
    assert str(error).startswith("OpenComputing: The address linked to first_frame cannot be used")
    assert words in str(error)
    assert "Nothing was sent" in str(error)
    assert server.counts[VIDEOS] == 0


def test_a_url_of_more_than_the_size_set_is_refused(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYPORT_MAX_RESULT_MB", "1")
    server.on("/frame", Answer(body=PNG + bytes(1024 * 1024)))
    error = answered(server, linked(server.url + "/frame"), tmp_path)
    assert isinstance(error, InvalidInput)
    assert server.counts[VIDEOS] == 0


def test_the_same_url_is_the_same_order(server: Scripted, tmp_path: Path) -> None:
    server.on("/frame", Answer(body=pixel(tmp_path)))
    with Play() as play:
        server.on(TASKS, answer_json({"status": "SUCCEEDED", "video": server.url + "/made.png"}))
        server.on("/made.png", Answer(body=PNG))
        request = linked(server.url + "/frame")
        play.result(platform(server), request, tmp_path)
        assert play.result(platform(server), request, tmp_path).reused
    assert server.counts[VIDEOS] == 1


# -- tasks ----------------------------------------------------------------------------------


def polled(server: Scripted, endpoint: str, answer: Any) -> Any:
    server.on(TASKS, answer_json(answer))
    return platform(server).poll(Task("opencomputing", endpoint, "oc 17/a"))


DOCUMENT = {
    "usage": {
        "action": "t2v",
        "credits": 10,
        "type": "text2video",
        "model": "viduq3-pro",
        "resolution": "540p",
        "off_peak": False,
        "duration": 1,
    },
    "image": "https://opencomputing.ai/idfile?path=/tmp/19/43/137/39/cover.jpeg",
    "video": "https://opencomputing.ai/idfile?path=/tmp/137/173/31/47/video.mp4",
    "status": "SUCCEEDED",
}


def test_a_videos_cover_is_no_result_and_its_credits_are_its_cost(server: Scripted) -> None:
    state = polled(server, opencomputing.VIDEOS, DOCUMENT)
    assert state.status is Status.SUCCEEDED
    assert state.cost == 10
    assert [output.url for output in state.outputs] == [DOCUMENT["video"]]
    assert server.seen[0].target == TASKS + "?taskid=oc+17%2Fa"


def test_a_picture_is_under_image(server: Scripted) -> None:
    state = polled(server, opencomputing.IMAGES, {**DOCUMENT, "usage": {"credits": "0.5"}})
    assert [output.url for output in state.outputs] == [DOCUMENT["image"]]
    assert state.cost == 0.5


def test_an_address_without_a_host_is_at_home(server: Scripted) -> None:
    body = {"status": "succeeded", "image": ["/idfile?path=/a.png", "https://h.example/%2f?a"]}
    state = polled(server, opencomputing.IMAGES, body)
    assert [o.url for o in state.outputs] == [
        server.url + "/idfile?path=/a.png",
        "https://h.example/%2f?a",
    ]


@pytest.mark.parametrize("key", ["error", "message", "reason"])
def test_a_failed_task_gives_its_reason_wherever_it_stands(server: Scripted, key: str) -> None:
    state = polled(server, opencomputing.VIDEOS, {"status": "FAILED", key: "not allowed"})
    assert (state.status, state.message) == (Status.FAILED, "not allowed")


@pytest.mark.parametrize("answer", [{"taskid": 7}, {"taskid": "7"}, {"task_id": 7}])
def test_a_task_id_may_be_a_number(server: Scripted, answer: Any) -> None:
    server.on(IMAGES, answer_json(answer))
    assert platform(server).submit(generation("cogview-3-flash", "t2i", prompt="x")) == "7"


# -- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "Invalid API Key", AuthRejected),
        (400, "Missing required parameter: prompt", InputRejected),
        (429, "Insufficient balance", OutOfCredit),
        (200, "Insufficient balance", OutOfCredit),
        (200, "Missing required parameter: prompt", InputRejected),
    ],
)
def test_an_error_of_the_document_is_of_its_class_and_made_once(
    server: Scripted, tmp_path: Path, status: int, words: str, kind: type[SkyportError]
) -> None:
    server.on(IMAGES, answer_json({"error": words}, status))
    error = answered(server, generation("cogview-3-flash", "t2i", prompt="x"), tmp_path)
    assert type(error) is kind
    assert words in str(error)
    assert server.counts[IMAGES] == 1


def test_a_refusal_without_a_task_is_no_unknown_outcome(server: Scripted, tmp_path: Path) -> None:
    server.on(IMAGES, answer_json({"status": "FAILED", "message": "not allowed"}))
    error = answered(server, generation("cogview-3-flash", "t2i", prompt="x"), tmp_path)
    assert type(error) is InputRejected
    assert not isinstance(error, (OutcomeUnknown, TransportError))


# -- models without a table -----------------------------------------------------------------


def test_models_are_asked_for_category_by_category(server: Scripted) -> None:
    server.on(V1 + "models", lambda seen: answer_json({"data": listed(seen.target)}))
    rows = platform(server).list_rows()
    asked = [seen.target.partition("catelogid=")[2] for seen in server.seen]
    assert asked == ["t2t", "t2i", "t2v", "i2v", "ref2v"]
    found = [(row["model"], row["catelogid"]) for row in rows]
    assert found[0] == ("new-t2t", "t2t")
    assert ("new-t2v", "t2v") in found
    assert [name for name, task in found if task == "i2v"] == [
        name for name, task in TABLES if task == "i2v"
    ]  # nothing was listed: the document's


def listed(target: str) -> list[Any]:
    task = target.partition("catelogid=")[2]
    return [] if task == "i2v" else [{"id": f"new-{task}", "owned_by": "somebody"}, {"id": None}]


@pytest.mark.parametrize(
    "answer",
    [
        [{"model": "a", "catelogid": "t2v"}, {"name": "b", "catelogid": "t2t"}],
        {"data": [{"id": "a", "catelogid": "t2v"}, {"id": "b", "catelogid": "t2t"}]},
        {"models": [{"name": "a", "catelogid": "t2v"}, {"model": "b", "catelogid": "t2t"}, 5]},
        {"data": None, "models": [{"id": "a", "catelogid": "t2v"}, {"id": "b"}]},
        {
            "data": {
                "models": [
                    {"id": "Xy7", "model": "a", "name": "c", "catelogid": "t2v"},
                    {"id": "b"},
                ]
            }
        },
    ],
    ids=["list", "data", "models", "one of two", "nested"],
)
def test_a_list_that_heard_no_filter_is_sorted_by_what_it_says(
    server: Scripted, answer: Any
) -> None:
    server.on(V1 + "models", answer_json(answer))
    rows = platform(server).list_rows()
    named = {(r["model"], r["catelogid"]) for r in rows if ("-" not in r["model"])}
    assert named >= {("a", "t2v"), ("b", "t2t")}
    assert {name for name, _ in named} == {"a", "b"}


def test_a_category_the_platform_refuses_keeps_the_documents_models(server: Scripted) -> None:
    server.on(V1 + "models", answer_json({"error": "unknown catelogid"}, 400))
    rows = platform(server).list_rows()
    assert {(row["model"], row["catelogid"]) for row in rows} == set(models())


def test_a_new_model_has_what_its_task_has_and_takes_more(server: Scripted) -> None:
    model = opencomputing.unlisted("new-t2v", "t2v")
    assert [param.name for param in model.params] == ["prompt", "parameters"]
    request = opencomputing.generation(
        model, fill(model, {"prompt": "x"}), more={"duration": 5, "mood": "calm"}
    )
    assert body(server, request) == {
        "model": "new-t2v",
        "catelogid": "t2v",
        "prompt": "x",
        "duration": 5,
        "mood": "calm",
    }


def test_a_new_models_frames_go_under_the_names_it_is_told_to_have(
    server: Scripted, tmp_path: Path
) -> None:
    model = opencomputing.unlisted("new-i2v", "i2v")
    values = {"prompt": "x", "first_frame": clip(tmp_path, b"one", "1.jpg")}
    usual = opencomputing.generation(model, fill(model, values), more={"tags": ["a", "b"]})
    assert fields(server, usual)[3:] == [
        ("image_file1", "1.jpg", "one"),
        ("tags", "", "a"),
        ("tags", "", "b"),
    ]
    named = fill(model, {**values, "first_frame_field": "start_image"})
    assert ("start_image", "1.jpg", "one") in fields(server, opencomputing.generation(model, named))


def test_a_live_model_of_the_document_keeps_its_table() -> None:
    model = OpenComputing.read_row({"model": DOUBAO, "catelogid": "i2v", "description": ""})
    assert model.params == models()[DOUBAO, "i2v"].params
    assert model.label == models()[DOUBAO, "i2v"].label
