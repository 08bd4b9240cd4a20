"""Pins that the imitated HappyHorse takes what its document allows, no more, and answers as it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import requests
from _clips import pictures, tone, write_clip, write_sound
from _clock import StoppedClock
from _waiting import PATIENCE
from PIL import Image
from sandboxes import SandboxClient, fetch
from scripted import Answer, Scripted, closed_port
from skyport.sandbox import Sandbox
from skyport.sandbox._happyhorse_bodies import ID_PLACES, RESULT_PLACES, WORDS
from skyport.sandbox._happyhorse_rows import match_row, read_rows

EXAMPLES = json.loads(Path(__file__).with_name("happyhorse_examples.json").read_text("utf-8"))
WEB = "https://example.com/a.png?Signature=a%2Fb%3D"
GENERATIONS, EDITS = "/v1/images/async/generations", "/v1/images/async/edits"
IMAGES, VIDEOS, FILMS = "/v1/images/async", "/v1/videos", "/v1/videos/generations"
GROK, NOTEVIDEO = "/v1/videos/grok", "/v1/videos/notevideo"
PICTURE = {"model": "gpt-image-2", "prompt": "a fox"}
KLING = {"model": "kling-video", "prompt": "a fox"}
OMNI = {"model": "omni_flash", "prompt": "a fox"}


class Client(SandboxClient):
    platform = "happyhorse"

    def __init__(self, box: Sandbox, clock: StoppedClock) -> None:
        super().__init__(box, clock)
        self.imitation.most_seconds = 0.2

    def submit(self, path: str, body: Any) -> Any:
        """The whole answer; `body` is a form at the endpoint that takes one."""
        answer = self.ask("POST", path, **as_sent(path, body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, body: Any) -> str:
        answer = self.ask("POST", path, **as_sent(path, body))
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
        return answer.json()["error"]["message"]

    def poll(self, path: str, task_id: str, after: float = 60.0) -> Any:
        self.clock.now += after
        answer = self.ask("GET", f"{path}/{task_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def films(self, poll: str, *bodies: Any) -> list[Any]:
        """The last polls of these tasks, in order."""
        submit = FILMS if poll in (GROK, NOTEVIDEO) else VIDEOS
        return [self.poll(poll, id_in(self.submit(submit, body))) for body in bodies]

    def pictures(self, body: Any, path: str = GENERATIONS) -> list[Image.Image]:
        answer = self.poll(IMAGES, self.submit(path, body)["task_id"])
        return [picture_at(item) for item in answer["data"]["data"]["data"]]

    def host(self, data: bytes, name: str = "a.png") -> str:
        """A URL of the same sandbox, by HaiYi's upload."""
        url = f"{self.box.base_url('haiyi')}/openapi/v1/file/upload"
        headers = {"Authorization": f"Bearer {self.box.key('haiyi')}"}
        answer = requests.post(url, headers=headers, files={"file": (name, data)}, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()["url"]


@pytest.fixture
def client() -> Iterator[Client]:
    with Client.open() as client:
        yield client


@pytest.fixture(scope="module")
def strict() -> Iterator[Client]:
    """One sandbox for every test that leaves no task behind."""
    with Client.open() as client:
        yield client


def as_sent(path: str, body: Any) -> Any:
    if path != EDITS:
        return {"json": body}
    return {"files": {name: (None, value) for name, value in body.items()}}


def id_in(body: Any) -> str:
    return body.get("id") or body.get("task_id") or body["output"]["task_id"]


def url_in(body: Any) -> str:
    """The address of a film, in any documented place."""
    head = {**body, **body.get("output", {})}
    named = (head.get(name) for name in ("media_url", "video_url", "result_url"))
    nested = (body.get("metadata") or {}).get("url"), *(r["url"] for r in body.get("results", ()))
    return next(filter(None, (*named, *nested)))


def picture_at(item: Any) -> Image.Image:
    data = base64.b64decode(item["b64_json"]) if "b64_json" in item else fetch(item["url"])
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png(size: tuple[int, int] = (320, 300), mode: str = "RGB", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, "red").save(file, kind)
    return file.getvalue()


def clip(path: Path, seconds: float, size: tuple[int, int] = (32, 32)) -> bytes:
    return write_clip(path, pictures(round(seconds * 10), *size)).read_bytes()


def song(path: Path, seconds: float) -> bytes:
    codec = "pcm_s16le" if path.suffix == ".wav" else "libmp3lame"
    form = "s16" if path.suffix == ".wav" else "fltp"
    return write_sound(path, tone(1, seconds), codec, form).read_bytes()


# -- rows ---------------------------------------------------------------------------------------


def test_every_example_of_the_document_brings_its_kind_of_result(client):
    ids = [id_in(client.submit(each["submit"], sent(each))) for each in EXAMPLES]
    client.clock.now += 60
    assert client.box.charges == {"happyhorse": 52}
    for each, task_id in zip(EXAMPLES, ids, strict=True):
        answer = client.poll(each["poll"].removesuffix("/{task_id}"), task_id)
        image = each["poll"].startswith(IMAGES)
        url = answer["data"]["data"]["data"][0]["url"] if image else url_in(answer)
        kind = requests.head(url, timeout=PATIENCE).headers["Content-Type"]
        assert kind == ("image/png" if image else "video/mp4"), each


def sent(example: Any) -> Any:
    return example.get("form") or example["body"]


def test_every_example_is_its_own_row():
    rows = read_rows()
    found = [match_row(rows, each["submit"], sent(each)).row for each in EXAMPLES]
    assert [rows.index(row) for row in found] == list(range(52))
    assert len({(each["task"], row.task) for each, row in zip(EXAMPLES, rows, strict=True)}) == 11


def test_the_rows_have_the_fields_of_the_documents_tables():
    """A watermark beside the parameters and a reference row's tenth picture are decided."""
    types = {"text": "string", "url": "string", "count": "number", "urls": "string[]"}
    types |= {"media": "object[]", "messages": "object[]"}
    decided = {"watermark", "messages[].content[]", "messages[].content"}

    def leaves(fields: Any, before: str = "") -> Iterator[tuple[str, Any]]:
        for name, rule in fields.items():
            if rule["type"] == "object":
                yield from leaves(rule["fields"], f"{before}{name}.")
            else:
                yield before + name, rule

    for row, each in zip(read_rows(), EXAMPLES, strict=True):
        expected = {f["name"].removesuffix("[]"): f for f in each["fields"]}
        expected = {name: f for name, f in expected.items() if name not in decided}
        ours = dict(leaves(row.fields))
        extra = {"extra_images"} if "extra_audios" in ours else set()
        assert ours.keys() == expected.keys() | extra, row.label
        for name, f in expected.items():
            kind = types.get(ours[name]["type"], ours[name]["type"])
            assert (kind, bool(ours[name].get("required"))) == (f["type"], f["required"]), name
            if "options" in f:
                assert ours[name]["options"] == f["options"], name


HORSE = {"model": "happyhorse-1.0-t2v", "prompt": "a fox"}
WAN = {"model": "wan2.7-t2v", "input": {"prompt": "a fox"}}
EDIT = {"model": "gpt-image-2", "prompt": "a fox", "image": WEB}
FAST = {"model": "omni_flash-fast", "prompt": "a fox"}
RESTYLE = {"model": "omni_flash_edit-fast", "prompt": "a fox"}
SORA = {"model": "video-fast-720p", "prompt": "a fox", "image_url": WEB}
GROKKED = {"model": "grok-imagine-video", "prompt": "a fox"}


def wan(*media: Any, model: str = "wan2.7-i2v") -> Any:
    entries = [{"type": m, "url": WEB} if isinstance(m, str) else m for m in media]
    return {"model": model, "input": {"prompt": "a fox", "media": entries}}


def says(content: Any, **more: Any) -> Any:
    message = {"role": "user", "content": content, **more}
    return {"model": "omni_flash_edit", "input_video": WEB, "messages": [message]}


WORDS_PART = {"type": "text", "text": "a fox"}
PICTURE_PART = {"type": "image_url", "image_url": {"url": WEB}}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (GENERATIONS, {"model": "gpt-image-9", "prompt": "x"}, "Unknown model 'gpt-image-9'"),
        (GENERATIONS, {"prompt": "x"}, "Unknown model None"),
        (VIDEOS, OMNI, "Unknown model 'omni_flash' at /v1/videos;"),
        (FILMS, KLING, "Unknown model 'kling-video' at /v1/videos/generations;"),
        (GENERATIONS, [PICTURE], "must be a JSON object"),
        # fields
        (GENERATIONS, {"model": "gpt-image-2"}, "prompt is required"),
        (GENERATIONS, {**PICTURE, "prompt": "  "}, "prompt must not be empty"),
        (GENERATIONS, {**PICTURE, "prompt": None}, "prompt must be a string, not null"),
        (GENERATIONS, {**PICTURE, "quality": "high"}, "unknown field 'quality'"),
        (GENERATIONS, {**PICTURE, "size": ""}, "size must be a string that is not empty"),
        (GENERATIONS, {**PICTURE, "n": "1"}, 'n must be a whole number from 1, not "1"'),
        (GENERATIONS, {**PICTURE, "n": True}, "n must be a whole number"),
        (GENERATIONS, {**PICTURE, "n": 0}, "n must be a whole number"),
        (GENERATIONS, {**PICTURE, "output_compression": "80"}, "must be a number"),
        (
            GENERATIONS,
            {**PICTURE, "output_compression": 10**400, "size": 5},
            "size must be a string",
        ),
        (GENERATIONS, {**PICTURE, "output_format": "gif"}, "one of png, jpeg, webp"),
        (GENERATIONS, {**PICTURE, "image_urls[]": [WEB]}, "brackets in the document"),
        (GENERATIONS, {**PICTURE, "image_urls": WEB}, "image_urls must be an array"),
        (GENERATIONS, {**PICTURE, "image_urls": []}, "at least 1"),
        (GENERATIONS, {**PICTURE, "image_urls": ["data:image/png;base64,AA"]}, "http(s) URL"),
        (GENERATIONS, {**PICTURE, "image_urls": [{"url": WEB}]}, "image_urls[0] must be the"),
        (VIDEOS, {**HORSE, "metadata": []}, "metadata must be an object"),
        (VIDEOS, {**HORSE, "metadata": {"duration": "5"}}, "metadata.duration must be a number"),
        (VIDEOS, {**HORSE, "metadata": {"size": "1K"}}, "unknown field 'metadata.size'"),
        (VIDEOS, {**HORSE, "metadata.duration": 5}, "unknown field 'metadata.duration'"),
        (VIDEOS, {**HORSE, "duration": 5}, "unknown field 'duration'"),
        (VIDEOS, {**HORSE, "model": "happyhorse-1.0-video-edit"}, "metadata is required"),
        (
            VIDEOS,
            {
                **HORSE,
                "model": "happyhorse-1.0-video-edit",
                "metadata": {"video": WEB, "duration": 16, "audio_setting": "loud"},
            },
            "metadata.duration must be at most 15, not 16; metadata.audio_setting must be one of",
        ),
        (VIDEOS, {"model": "veo_3_1-fast", "prompt": "x", "enhance_prompt": "true"}, "true or"),
        # the form
        (EDITS, {**EDIT, "n": "two"}, "n must be a whole number"),
        (EDITS, {**EDIT, "n": "1.5"}, "n must be a whole number"),
        (EDITS, {**EDIT, "output_compression": "[" * 9999}, "output_compression must be a number"),
        (EDITS, {**EDIT, "image": "a.png"}, "image must be the http(s) URL"),
        (EDITS, {**EDIT, "model": "gemini-3.1-flash-image", "mask": WEB}, "unknown field 'mask'"),
        # wan
        (VIDEOS, {**WAN, "watermark": False}, "unknown field 'watermark'"),
        (VIDEOS, {**WAN, "prompt": "a fox"}, "unknown field 'prompt'"),
        (VIDEOS, {**WAN, "input": {}}, "input.prompt is required"),
        (VIDEOS, {**WAN, "parameters": {"watermark": "false"}}, "watermark must be true or false"),
        (VIDEOS, wan("first_frame", "first_frame"), "of type first_frame: at most 1"),
        (VIDEOS, wan("last_frame"), "of type first_frame: at least 1"),
        (VIDEOS, wan("first_clip", "first_frame"), "type must be one of first_frame, not"),
        (VIDEOS, wan("driving_audio"), "input.media[0].type must be one of"),
        (
            VIDEOS,
            wan({"type": "first_frame", "url": "a.png"}),
            "media[0].url must be the http(s) URL",
        ),
        (VIDEOS, wan([WEB]), "input.media[0].type must be one of"),
        (VIDEOS, wan({"type": "first_frame"}), "input.media[0].url is required"),
        (
            VIDEOS,
            wan(
                {"type": "reference_image", "url": WEB, "reference_voice": WEB}, model="wan2.7-r2v"
            ),
            "unknown field 'input.media[0].reference_voice'",
        ),
        (VIDEOS, wan("reference_image", model="wan2.7-videoedit"), "of type video: at least 1"),
        # several rows of one model
        (VIDEOS, {**KLING, "image_url": WEB}, "kling-video, text_to_video: unknown field"),
        (FILMS, {**GROKKED, "images": [WEB], "image_url": WEB}, "grok-imagine-video, image_to_vid"),
        (VIDEOS, {**SORA, "extra_images": [WEB] * 9}, "extra_images: at most 8"),
        (VIDEOS, {**SORA, "extra_audios": [WEB] * 2}, "extra_audios: at most 1"),
        (VIDEOS, {**SORA, "extra_videos": [WEB]}, "multimodal_to_video: extra_audios is required"),
        (
            VIDEOS,
            {"model": "veo_3_1-fast", "prompt": "x", "images": [WEB]},
            "first_last_frame_to_video: images: at least 2",
        ),
        # fields that belong together
        (FILMS, {**FAST, "duration": 10}, "seconds and duration must come together"),
        (FILMS, {**FAST, "duration": 10, "seconds": "8"}, "seconds and duration must"),
        (FILMS, {**FAST, "duration": 10, "seconds": 10}, "seconds must be a string"),
        (FILMS, {**says("x"), "resolution": "720p"}, "resolution_name and resolution must"),
        (FILMS, {**RESTYLE, "video_url": WEB, "input_video": WEB + "x"}, "video_url and input_vid"),
        (FILMS, {**RESTYLE, "input_video": WEB}, "video_url is required"),
        # messages
        (FILMS, says("  "), "messages[0].content must not be empty"),
        (FILMS, says(WORDS_PART), "messages[0].content must be a string"),
        (FILMS, says([WORDS_PART]), "must be a string, or parts with words and a picture"),
        (FILMS, says([PICTURE_PART]), "must be a string, or parts with words and a picture"),
        (FILMS, says([WORDS_PART, {"type": "video_url"}]), "content[1].type must be text or"),
        (FILMS, says([WORDS_PART, {**PICTURE_PART, "image_url": WEB}]), "image_url must be an obj"),
        (FILMS, says("x", name="me"), "unknown field 'messages[0].name'"),
        (FILMS, {**says("x"), "messages": []}, "messages must be an array of one object"),
        (FILMS, {**says("x"), "messages": ["x"]}, "messages[0] must be an object"),
    ],
)
def test_a_body_outside_the_document_is_refused_uncharged(strict, path, body, words):
    assert words in strict.refused(path, body)
    assert strict.box.charges == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EDITS, {**EDIT, "mask": WEB, "output_compression": "80.5"}),
        (VIDEOS, wan("first_clip")),
        (VIDEOS, wan({"type": "reference_video", "url": WEB}, model="wan2.7-r2v")),
        (VIDEOS, {**SORA, "extra_images": [WEB] * 8, "extra_audios": [WEB], "extra_videos": [WEB]}),
        (FILMS, says([WORDS_PART, PICTURE_PART, PICTURE_PART])),
        (FILMS, FAST),
        (VIDEOS, {"model": "veo_3_1-fast", "image_url": WEB}),
    ],
)
def test_what_no_example_shows_and_the_document_allows_is_taken(client, path, body):
    assert id_in(client.submit(path, body))


# -- files --------------------------------------------------------------------------------------


def test_a_picture_is_looked_at(client):
    def refused(data: bytes) -> str:
        return client.refused(VIDEOS, {**SORA, "image_url": client.host(data)})

    assert "299 x 400 is outside of 300" in refused(png((299, 400)))
    assert "must be image/jpeg, image/png, but the file is image/webp" in refused(png(kind="WEBP"))
    assert "larger than 30 MB" in refused(png() + bytes(30 * 1024**2))
    assert "cannot be read" in refused(png()[:20])
    assert "cannot be fetched: 404" in client.refused(
        VIDEOS, {**SORA, "image_url": f"{client.box.base_url('haiyi')}/oss/none.png"}
    )
    assert client.box.charges == {}


def test_a_mask_is_a_png_with_alpha_of_the_pictures_size(client):
    body = {**EDIT, "image": client.host(png())}
    good = client.host(png(mode="RGBA"))
    assert client.submit(EDITS, {**body, "mask": good})

    def refused(data: bytes) -> str:
        return client.refused(EDITS, {**body, "mask": client.host(data)})

    assert "must have an alpha channel" in refused(png())
    assert "must be image/png" in refused(png(mode="RGBA", kind="WEBP"))
    assert "mask is (320, 320), but the image is (320, 300)" in refused(png((320, 320), "RGBA"))


def test_films_and_sound_are_measured(client, tmp_path):
    short, wide = clip(tmp_path / "a.mp4", 1), clip(tmp_path / "b.mp4", 3, (320, 300))
    seconds = client.host(song(tmp_path / "a.mp3", 1), "a.mp3")
    driven = {**SORA, "extra_audios": [client.host(song(tmp_path / "b.mp3", 3), "b.mp3")]}
    assert client.submit(VIDEOS, driven)
    with_wave = {**SORA, "extra_audios": [client.host(song(tmp_path / "a.wav", 3), "a.wav")]}
    assert "must be audio/mpeg" in client.refused(VIDEOS, with_wave)
    message = client.refused(VIDEOS, {**SORA, "extra_audios": [seconds]})
    assert "s is outside of 2 to 14 seconds" in message
    message = client.refused(VIDEOS, {**driven, "extra_videos": [client.host(short, "a.mp4")]})
    assert "1.00 s is outside of 2 to 14 seconds" in message
    horse = {**HORSE, "model": "happyhorse-1.0-video-edit"}
    message = client.refused(VIDEOS, {**horse, "metadata": {"video": client.host(wide, "b.mp4")}})
    assert "320 x 300 is outside of 320 to 2160 pixels" in message
    long = {**says("x"), "input_video": client.host(clip(tmp_path / "c.mp4", 11), "c.mp4")}
    assert "11.00 s is outside of 0 to 10 seconds" in client.refused(FILMS, long)
    assert "must be video" in client.refused(VIDEOS, wan_edit(client.host(png())))
    assert client.submit(VIDEOS, wan_edit(client.host(short, "a.mp4")))  # 2 to 15 s is advice


def wan_edit(url: str) -> Any:
    return wan({"type": "video", "url": url}, model="wan2.7-videoedit")


def test_a_file_of_another_server_on_this_machine_is_fetched_as_named(client):
    with Scripted() as server:
        server.on("/good.png", Answer(body=png()))
        server.on("/small.png", Answer(body=png((9, 9))))
        good = f"{server.url}/good.png?Signature=a%2Fb%3D"
        assert client.submit(VIDEOS, {**SORA, "image_url": good})
        assert [seen.target for seen in server.seen] == ["/good.png?Signature=a%2Fb%3D"]
        small = f"http://localhost:{server.port}/small.png"
        assert "9 x 9" in client.refused(VIDEOS, {**SORA, "image_url": small})
        none = f"{server.url}/none.png"
        assert "fetched: 404" in client.refused(VIDEOS, {**SORA, "image_url": none})
    gone = f"http://127.0.0.1:{closed_port()}/a.png"
    assert "cannot be fetched" in client.refused(VIDEOS, {**SORA, "image_url": gone})


def test_a_result_can_be_the_input_of_the_next_without_a_request(client):
    answer = client.poll(IMAGES, client.submit(GENERATIONS, PICTURE)["task_id"])
    url = answer["data"]["data"]["data"][0]["url"]
    before = len(client.box.log)
    assert client.submit(VIDEOS, {**SORA, "image_url": url})
    assert len(client.box.log) == before + 1


def test_a_picture_that_is_edited_shows_in_the_result(client):
    url = client.host(png((400, 300)))
    (image,) = client.pictures({**EDIT, "image": url}, EDITS)
    assert image.size == (400, 300)
    red, green, _ = image.getpixel((200, 150))
    assert red > 150 > green


# -- answers ------------------------------------------------------------------------------------


def test_ids_and_results_take_turns_at_every_documented_place(client):
    answers = [client.submit(VIDEOS, KLING) for _ in range(6)]
    assert [next(iter(answer)) for answer in answers] == ["id", "task_id", "output"] * 2
    ends = [client.poll(VIDEOS, id_in(answer)) for answer in answers]
    assert [
        next(place for place in RESULT_PLACES["video"] if place in answer) for answer in ends
    ] == [*RESULT_PLACES["video"]]
    words = [answer.get("status") or answer["output"]["task_status"] for answer in ends]
    assert words == ["SUCCESS", "succeeded", "Completed", "success", "SUCCEEDED", "completed"]
    assert len({fetch(url_in(answer)) for answer in ends}) == 1
    assert [answer.get("progress") for answer in ends[:4]] == [100, "100%", "100", None]


@pytest.mark.parametrize(("poll", "body"), [(NOTEVIDEO, OMNI), (GROK, GROKKED)])
def test_nested_rows_tell_everything_below_output(client, poll, body):
    first = client.submit(FILMS, body)
    assert list(first) == ["output"]
    ends = [client.poll(poll, id_in(first)), *client.films(poll, body, body)]
    assert [list(answer) for answer in ends] == [["output"]] * 3
    places = [list(answer["output"])[2] for answer in ends]
    assert places == ["media_url", "video_url", "result_url"]


def test_a_knob_holds_answers_to_one_place(client):
    client.imitation.id_place, client.imitation.result_shape = "output", "results"
    answer = [client.submit(VIDEOS, KLING) for _ in range(2)]
    assert [list(each) for each in answer] == [["output"]] * 2
    assert all(client.poll(VIDEOS, id_in(each))["results"][0]["url"] for each in answer)


def test_a_task_goes_from_queued_over_running_to_success(client):
    client.imitation.result_shape = "video_url"
    task_id = id_in(client.submit(VIDEOS, KLING))
    answer = [client.poll(VIDEOS, task_id, after) for after in (0.1, 0.9, 1.0, 3.0)]
    assert [each["status"] for each in answer] == ["queued", "processing", "processing", "SUCCESS"]
    assert 0 == answer[0]["progress"] < answer[1]["progress"] < answer[2]["progress"] < 100
    assert [bool(each["video_url"]) for each in answer] == [False, False, False, True]


def test_the_words_of_an_end_are_the_documents_in_any_case():
    assert {word.lower() for word in WORDS["success"]} == {"success", "succeeded", "completed"}
    assert {word.lower() for word in WORDS["fail"]} == {"failed", "failure", "error"}


def test_a_task_is_known_only_where_its_row_is_polled(client):
    ids = {
        IMAGES: client.submit(GENERATIONS, PICTURE)["task_id"],
        VIDEOS: id_in(client.submit(VIDEOS, KLING)),
        GROK: id_in(client.submit(FILMS, GROKKED)),
        NOTEVIDEO: id_in(client.submit(FILMS, OMNI)),
    }
    known = {(path, own): client.ask("GET", f"{path}/{ids[own]}") for path in ids for own in ids}
    assert [key for key, answer in known.items() if answer.status_code != 404] == [
        (path, path) for path in ids
    ]
    for wrong in ("1", "task_video_1", "task_video_000009", ids[VIDEOS] + "0"):
        assert client.ask("GET", f"{VIDEOS}/{wrong}").status_code == 404


def test_pictures_come_as_many_as_asked_for_in_size_and_format(client):
    images = client.pictures({**PICTURE, "n": 3, "size": "1536x1024", "output_format": "webp"})
    assert [(i.format, i.size) for i in images] == [("WEBP", (1536, 1024))] * 3
    assert len({i.tobytes() for i in images}) == 3
    coded = {**PICTURE, "output_format": "jpeg", "response_format": "b64_json"}
    (jpeg,) = client.pictures({**coded, "background": "transparent"})
    assert (jpeg.format, jpeg.mode) == ("JPEG", "RGB")
    (clear,) = client.pictures({**PICTURE, "background": "transparent"})
    assert (clear.mode, clear.getpixel((0, 0))[3]) == ("RGBA", 0)
    banana = {**PICTURE, "model": "gemini-3.1-flash-image", "size": "1K", "aspect_ratio": "16:9"}
    assert [i.size for i in client.pictures(banana)] == [(1024, 576)]
    two = client.pictures({**EDIT, "image": client.host(png()), "n": "2"}, EDITS)
    assert [i.size for i in two] == [(320, 300)] * 2


def test_a_film_has_the_length_and_the_shape_asked_for(client):
    client.imitation.most_seconds = 30.0
    body = {**HORSE, "metadata": {"duration": 1, "ratio": "9:16"}}
    (answer,) = client.films(VIDEOS, body)
    with av.open(io.BytesIO(fetch(url_in(answer)))) as film:
        assert film.duration / av.time_base == pytest.approx(1.0, abs=0.1)
        assert film.streams.video[0].width < film.streams.video[0].height


# -- going wrong --------------------------------------------------------------------------------


def test_a_failure_gives_its_reason_where_the_document_has_it(client):
    prompt = {"prompt": "[[fail:no foxes left]]"}
    answer = client.poll(IMAGES, client.submit(GENERATIONS, {**PICTURE, **prompt})["task_id"])
    assert (answer["data"]["status"], answer["data"]["fail_reason"]) == ("failed", "no foxes left")
    (answer,) = client.films(NOTEVIDEO, {**OMNI, **prompt})
    assert answer["output"]["task_status"] == "failed"
    assert answer["output"]["fail_reason"] == "no foxes left"
    ends = client.films(VIDEOS, {**KLING, **prompt}, {**KLING, **prompt})
    assert [end["fail_reason"] for end in ends] == ["no foxes left"] * 2
    assert [end["status"] for end in ends] == ["failed", "FAILURE"]


def test_markers_work_wherever_a_text_can_stand(client):
    assert client.ask("POST", VIDEOS, json={**KLING, "prompt": "[[status:503]]"}).status_code == 503
    answer = client.ask("POST", FILMS, json=says("[[balance]]"))
    assert answer.status_code == 429
    assert "balance" in answer.json()["error"]["message"]
    (empty,) = client.films(NOTEVIDEO, {**OMNI, "prompt": "[[empty]]"})
    assert empty["output"]["media_url"] == ""
    (word,) = client.films(GROK, {**GROKKED, "prompt": "[[word:thinking]]"})
    assert word["output"]["task_status"] == "thinking"
    (private,) = client.films(GROK, {**GROKKED, "prompt": "[[private]]"})
    assert url_in(private).startswith("http://10.")
    with pytest.raises(requests.ConnectionError):
        client.submit(EDITS, {**EDIT, "prompt": "[[cut_after]]"})
    assert client.box.charges == {"happyhorse": 4}


def test_errors_are_worded_alike(strict):
    answer = [
        strict.ask("POST", VIDEOS, json=KLING, headers={"Authorization": "Bearer wrong"}),
        strict.ask("GET", "/v1/models"),
        strict.ask("GET", EDITS.replace("edits", "a/b")),
        strict.ask("POST", VIDEOS, data=b"{}", headers={"Content-Type": "text/plain"}),
        strict.ask("POST", EDITS, json=EDIT),
        strict.ask("POST", EDITS, files={**as_sent(EDITS, EDIT)["files"], "mask": ("a", b"x")}),
        strict.ask("POST", f"{VIDEOS}?x=1", json=KLING),
        strict.ask("DELETE", VIDEOS),
    ]
    assert [each.status_code for each in answer] == [401, 404, 404, 415, 415, 400, 400, 405]
    assert all(each.json()["error"].keys() == {"message", "type"} for each in answer)
    assert ID_PLACES.keys() == RESULT_PLACES.keys()
