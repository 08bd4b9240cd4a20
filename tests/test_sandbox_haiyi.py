"""Pins that the imitated HaiYi takes what its document allows and no more; real media come out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import av
import numpy as np
import pytest
import requests
from _clips import pictures, tone, write_clip, write_sound
from _clock import StoppedClock
from _waiting import PATIENCE
from PIL import Image
from sandboxes import SandboxClient, fetch
from skyport.providers import haiyi
from skyport.sandbox import Sandbox, start
from skyport.sandbox._haiyi_bodies import SHAPES

V1 = "/openapi/v1"
FOX = "\u72d0\u72f8 fox.png"
IMAGE2IMAGE = {
    "provider": "google",
    "model": "gemini-3-pro-image-preview",
    "type": "image2image",
}
TEXT2IMAGE = {
    "provider": "google",
    "model": "gemini-3.1-flash-image-preview",
    "type": "text2image",
}
KLING = {"provider": "kwai", "model": "kling-v3", "type": "image2video"}
TENCENT = {"provider": "tencent", "model": "Kling-3.0", "type": "image2video"}


class Client(SandboxClient):
    platform = "haiyi"

    def get(self, path: str, **more: Any) -> Any:
        answer = self.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **more: Any) -> Any:
        answer = self.ask("POST", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, **more: Any) -> str:
        answer = self.ask(method, path, **more)
        body = answer.json()
        assert answer.status_code == body["code"] == 400, answer.text
        return body["msg"]

    def upload(self, data: bytes, name: str = "a.png") -> str:
        return self.post(f"{V1}/file/upload", files={"file": (name, data)})["url"]

    def upload_input(self, data: bytes, name: str = "a.png") -> str:
        answer = self.post(f"{V1}/workflow/upload/file", files={"file": (name, data)})
        return answer["data"]["filename"]

    def submit(self, model: Any, **parameters: Any) -> Any:
        body = {"model": model, "parameters": parameters}
        return self.post(f"{V1}/generate/image", json=body)["task_id"]

    def poll(self, task_id: int, after: float = 0.0) -> Any:
        self.clock.now += after
        return self.get(f"{V1}/generate/result/{task_id}")

    def results(self, task_id: int) -> list[str]:
        return urls_in(self.poll(task_id, after=60))

    def run_app(self, data: Any, **files: Any) -> int:
        answer = self.post(f"{V1}/workflow/apps/run", data=data, files=files)
        assert answer["code"] == 0, answer
        return answer["data"]["task_id"]

    def app_task(self, task_id: int, after: float = 60.0) -> Any:
        self.clock.now += after
        return self.get(f"{V1}/workflow/apps/task/{task_id}")["data"]

    def run_workflow(self, prompt: Any, cluster: str = "GPU-4090") -> int:
        body = {"parameters": {"prompt": prompt}, "cluster_name": cluster}
        return self.post(f"{V1}/workflow/task/submit", json=body)["data"]["task_id"]

    def workflow_task(self, task_id: int, after: float = 60.0) -> Any:
        self.clock.now += after
        return self.get(f"{V1}/workflow/task/{task_id}")["data"]

    def view(self, name: str) -> bytes:
        answer = self.ask("GET", "/api/view", params={"type": "output", "filename": name})
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture
def client() -> Iterator[Client]:
    with Client.open() as client:
        client.imitation.result_shape = "envelope"
        yield client


@pytest.fixture(scope="module")
def strict() -> Iterator[Client]:
    """One sandbox for every test that leaves no task behind."""
    with Client.open() as client:
        yield client


@pytest.fixture(scope="module")
def clip(tmp_path_factory: Any) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_clip(path, pictures(6, 64, 48), sound=tone(2, 0.6)).read_bytes()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: Any) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    return write_sound(path, tone(1, 0.3), "pcm_s16le", "s16").read_bytes()


def png(size: tuple[int, int] = (64, 48), color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def image_of(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def urls_in(tree: Any) -> list[str]:
    """The URLs of an answer, whatever its shape."""
    if isinstance(tree, str):
        return [tree] if tree.startswith("http") else []
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    return [url for value in values for url in urls_in(value)]


# -- files --------------------------------------------------------------------------------------


def test_an_upload_is_answered_as_documented(strict):
    files = {"file": ("image.jpg", png(), "image/jpeg")}
    answer = strict.post(f"{V1}/file/upload", files=files)
    assert list(answer) == ["success", "url", "filename", "file_size"]
    assert (answer["success"], answer["filename"], answer["file_size"]) == (
        True,
        "image.jpg",
        len(png()),
    )
    assert re.fullmatch(
        re.escape(strict.base) + r"/oss/haiyi%2F\d{8}%2F[0-9a-f-]{36}\.png"
        r"\?OSSAccessKeyId=\w+&Expires=\d+&Signature=\S*%2F\S*%3D",
        answer["url"],
    )
    assert fetch(answer["url"]) == png()


def test_a_file_name_in_chinese_comes_back_as_sent(strict):
    answer = strict.post(f"{V1}/file/upload", files={"file": (FOX, png())})
    assert answer["filename"] == FOX


def test_a_signed_url_holds_only_as_it_was_given(client):
    url = client.upload(png())
    target = url.removeprefix(client.box.origin)
    assert raw_status(client.box, target) == 200
    for change in (("%3D", "="), ("%2F", "%2f"), ("Expires=", "Expires=1"), ("SANDBOX", "ME")):
        assert raw_status(client.box, target.replace(*change)) == 403
    assert raw_status(client.box, target.split("?")[0]) == 403
    assert raw_status(client.box, unquote(target)) == 404
    assert client.ask("GET", f"{client.base}/oss/unknown.png?Signature=x").status_code == 404


def raw_status(box: Sandbox, target: str) -> int:
    """Asked without a library that would tidy up the target."""
    with closing(HTTPConnection("127.0.0.1", box.port, timeout=PATIENCE)) as line:
        line.putrequest("GET", target)
        line.endheaders()
        return line.getresponse().status


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"files": {"image": ("a.png", png())}}, "Unknown form field 'image'"),
        ({"files": {"file": ("a.png", png()), "more": (None, "x")}}, "Unknown form field 'more'"),
        ({"files": {"file": (None, "text")}}, "must be a file"),
        ({"files": {"file": ("a.png", b"")}}, "is empty"),
        ({"files": {"file": ("a.png", b"plain text, no picture")}}, "no image, video or audio"),
        ({"files": {"file": ("a.png", png())}, "params": {"x": 1}}, "Unknown query parameter"),
    ],
)
@pytest.mark.parametrize("path", ["file/upload", "workflow/upload/file"])
def test_an_upload_outside_the_document_is_refused(strict, path, more, words):
    assert words in strict.refused("POST", f"{V1}/{path}", **more)


# -- models -------------------------------------------------------------------------------------


def test_the_models_are_listed_and_filtered(strict):
    everything = strict.get(f"{V1}/model/list")
    assert all(list(row) == ["provider", "model", "label", "type"] for row in everything)
    assert len({row["type"] for row in everything}) == 8
    some = strict.get(f"{V1}/model/list?model_types=text2image&model_types=image2video")
    assert {row["type"] for row in some} == {"text2image", "image2video"}
    assert some == [row for row in everything if row["type"] in ("text2image", "image2video")]


def test_an_unknown_type_or_model_is_refused(strict):
    assert "text2smell" in strict.refused("GET", f"{V1}/model/list?model_types=text2smell")
    assert "'types'" in strict.refused("GET", f"{V1}/model/list?types=text2image")
    wrong = {**KLING, "type": "text2image"}
    assert "kling-v3" in strict.refused("GET", f"{V1}/model/info", params=wrong)
    short = {"provider": "kwai", "model": "kling-v3"}
    assert "'type'" in strict.refused("GET", f"{V1}/model/info", params=short)


def test_kling_v3_is_told_as_the_document_tells_it(strict):
    answer = strict.get(f"{V1}/model/info", params=KLING)
    rules = {rule["name"]: rule for rule in answer["parameter_rules"]}
    keys = ["model", "label", "description", "model_type", "parameter_rules", "provider"]
    assert list(answer) == keys
    assert answer["model_type"] == "image2video"
    assert answer["provider"]["provider"] == "kwai"
    assert set(answer["provider"]["supported_model_types"]) == {"text2video", "image2video"}
    assert list(rules) == ["prompt", "key_frames", "mode", "duration", "sound"]
    assert [(k["key"], k["required"]) for k in rules["key_frames"]["keys"]] == [
        ("start", True),
        ("end", False),
    ]
    assert [o["value"] for o in rules["mode"]["options"]] == ["std", "pro"]
    assert {k: rules["duration"][k] for k in ("default", "min", "max")} == {
        "default": 8,
        "min": 3,
        "max": 15,
    }


def test_the_catalogue_shows_everything_a_rule_can_be(strict):
    rules = [
        rule for row in strict.box.platforms["haiyi"].models for rule in row["parameter_rules"]
    ]
    arrays = {f"array[{t}]" for t in ("string", "number", "image", "video", "audio")}
    plain = {"string", "int", "float", "boolean", "text", "image", "video", "audio"}
    assert {rule["type"] for rule in rules} == plain | arrays | {"dict[image]"}
    words = {"default", "min", "max", "options", "keys", "size", "image_config", "help"}
    assert words <= {word for rule in rules for word in rule}


# -- generation ---------------------------------------------------------------------------------


def test_an_edit_shows_the_input_image(client):
    url = client.upload(png((96, 64), "blue"))
    task_id = client.submit(IMAGE2IMAGE, prompt="\u628a\u8349\u8393", images=[url])
    (result,) = client.results(task_id)
    image = image_of(fetch(result))
    red, _, blue = image.getpixel((48, 24))
    assert (image.format, image.size) == ("PNG", (96, 64))
    assert blue > 150 > red


def test_a_submit_is_answered_as_documented(client):
    body = {"model": TEXT2IMAGE, "parameters": {"prompt": "a fox", "aspect_ratio": "16:9"}}
    answer = client.post(f"{V1}/generate/image", json=body)
    assert answer == {
        "task_id": 24317,
        "status": "submitted",
        "message": "Task has been submitted for processing",
    }
    assert client.box.charges == {"haiyi": 1}
    assert client.box.log[-1].fields == body


def test_a_task_goes_from_pending_over_running_to_success(client):
    client.box.platforms["haiyi"].result_shape = "flat"
    task_id = client.submit(TEXT2IMAGE, prompt="a fox", aspect_ratio="1:1")
    answers = [client.poll(task_id, after) for after in (0.1, 0.9, 0.5, 1.0)]
    assert [t["status"] for t in answers] == ["pending", "running", "running", "success"]
    assert 0 < answers[1]["progress"] < answers[2]["progress"] < 100
    assert [bool(urls_in(t)) for t in answers] == [False, False, False, True]


def test_the_same_request_gives_the_same_picture_and_another_seed_another(client):
    seeds = (1, 1, 2)
    ids = [client.submit(TEXT2IMAGE, prompt="a fox", aspect_ratio="1:1", seed=s) for s in seeds]
    first, second, third = (fetch(client.results(each)[0]) for each in ids)
    assert first == second != third


def test_several_pictures_are_several_results_of_the_size_asked_for(client):
    task_id = client.submit(TEXT2IMAGE, prompt="a fox", aspect_ratio="16:9", n=3)
    results = [fetch(url) for url in client.results(task_id)]
    assert len(set(results)) == 3
    assert {image_of(data).size for data in results} == {(768, 432)}


def test_a_video_has_the_length_asked_for_and_sound(client):
    frames = {"start": client.upload(png((80, 60))), "end": client.upload(png((80, 60), "blue"))}
    task_id = client.submit(
        TENCENT, prompt="dance", key_frames=frames, mode="std", Duration=3, sound=True
    )
    with av.open(io.BytesIO(fetch(client.results(task_id)[0]))) as film:
        assert [s.codec_context.name for s in film.streams] == ["h264", "aac"]
        assert film.streams.video[0].codec_context.pix_fmt == "yuv420p"
        images = [frame.to_image() for frame in film.decode(video=0)]
    assert (len(images), images[0].size) == (72, (80, 60))
    first, last = images[0].getpixel((20, 30)), images[-1].getpixel((20, 30))
    assert first[0] > first[2]
    assert last[2] > last[0]


def test_a_video_without_sound_has_none(client):
    values = {"mode": "std", "duration": 3, "sound": False}
    frames = {"start": client.upload(png())}
    task_id = client.submit(KLING, prompt="dance", key_frames=frames, **values)
    with av.open(io.BytesIO(fetch(client.results(task_id)[0]))) as film:
        assert [s.type for s in film.streams] == ["video"]


@pytest.mark.parametrize(("ending", "codec"), [("mp3", "mp3"), ("wav", "pcm_s16le")])
def test_speech_comes_in_the_format_asked_for(client, ending, codec):
    model = {"provider": "sandbox", "model": "sandbox-voice", "type": "text2speech"}
    task_id = client.submit(model, text="hello", voice="female", format=ending)
    with av.open(io.BytesIO(fetch(client.results(task_id)[0]))) as file:
        assert file.streams.audio[0].codec_context.name.startswith(codec)
        assert file.duration / av.time_base == pytest.approx(3.0, abs=0.1)


MIMES = {
    **dict.fromkeys(("text2image", "image2image"), "image/png"),
    **dict.fromkeys(("text2video", "image2video", "video-edit", "style-trans"), "video/mp4"),
    **dict.fromkeys(("text2music", "text2speech"), "audio/mpeg"),
}


def test_every_model_of_the_catalogue_runs_on_its_smallest_request(client, clip, sound):
    media = {"image": client.upload(png((80, 80))), "video": client.upload(clip, "a.mp4")}
    media["audio"] = client.upload(sound, "a.wav")
    made = {}
    for row in client.box.platforms["haiyi"].models:
        values = {r["name"]: smallest(r, media) for r in row["parameter_rules"] if r["required"]}
        values = {n: 3 if n.lower() == "duration" else v for n, v in values.items()}
        name = {key: row[key] for key in ("provider", "model", "type")}
        made[row["model"], row["type"]] = client.submit(name, **values)
    for (model, kind), task_id in made.items():
        (url,) = client.results(task_id)
        mime = requests.head(url, timeout=PATIENCE).headers["Content-Type"]
        assert mime == {"sandbox-ink": "image/png"}.get(model, MIMES[kind]), model


def smallest(rule: Any, media: Any) -> Any:
    """The least a rule asks for, with its default where it has one."""
    kind = rule["type"]
    if "default" in rule:
        return rule["default"]
    if kind.startswith("dict"):
        return {key["key"]: media["image"] for key in rule["keys"] if key["required"]}
    if kind.startswith("array"):
        return [media[kind[6:-1]]]
    return media.get(kind, "words")


def test_a_request_by_the_form_of_the_document_runs_before_the_models_are_refreshed(client):
    """The first practice run of a fresh node: the built-in rows know fewer parameters."""
    rows = json.loads((Path(haiyi.__file__).parent / "models.json").read_text("utf-8"))
    plain = [row for row in rows if {one["name"] for one in row["parameter_rules"]} == {"prompt"}]
    assert len(plain) >= 2
    for row in plain:
        model = {name: row[name] for name in ("provider", "model", "type")}
        body = {"model": model, "parameters": {"prompt": "a fox"}}
        assert client.post(f"{V1}/generate/image", json=body)["task_id"]


GOOD = {"prompt": "a fox", "aspect_ratio": "1:1"}
STAGE = {"prompt": "x", "mode": "std", "duration": 5, "sound": False}
WEB = "https://example.com/a.png?Signature=a%2Fb%3D"


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        (TEXT2IMAGE, {"aspect_ratio": "1:1"}, "'prompt' is required"),
        (TEXT2IMAGE, {**GOOD, "prompt": "  "}, "prompt must not be empty"),
        (TEXT2IMAGE, {**GOOD, "prompt": 5}, "prompt must be of type text"),
        (TEXT2IMAGE, {**GOOD, "steps": 20}, "Unknown parameter 'steps'"),
        (TEXT2IMAGE, {**GOOD, "aspect_ratio": "2:1"}, "aspect_ratio must be one of"),
        (TEXT2IMAGE, {**GOOD, "n": "2"}, "n must be of type int"),
        (TEXT2IMAGE, {**GOOD, "n": True}, "n must be of type int"),
        (TEXT2IMAGE, {**GOOD, "n": 2.0}, "n must be of type int"),
        (TEXT2IMAGE, {**GOOD, "n": None}, "n must be of type int"),
        (TEXT2IMAGE, {**GOOD, "n": 5}, "n must be from 1 to 4"),
        (TEXT2IMAGE, [], "must be an object"),
        (KLING, {**STAGE, "key_frames": {}}, "key_frames.start is required"),
        (KLING, {**STAGE, "key_frames": [WEB]}, "key_frames must be an object"),
        (KLING, {**STAGE, "key_frames": {"start": WEB, "mid": WEB}}, "unknown key 'mid'"),
        (KLING, {**STAGE, "key_frames": {"start": "a.png"}}, "must be the URL of a file"),
        (
            KLING,
            {**STAGE, "key_frames": {"start": WEB}, "sound": 0},
            "sound must be of type",
        ),
        (KLING, {**STAGE, "key_frames": {"start": WEB}, "duration": 2}, "duration must be from 3"),
        (KLING, {**STAGE, "key_frames": {"start": WEB}, "Duration": 5}, "Unknown parameter"),
        (IMAGE2IMAGE, {"prompt": "x", "images": WEB}, "images must be an array"),
        (IMAGE2IMAGE, {"prompt": "x", "images": []}, "images must not be empty"),
        (IMAGE2IMAGE, {"prompt": "x", "images": [WEB] * 15}, "at most 14"),
        (IMAGE2IMAGE, {"prompt": "x", "images": ["http://10.0.0.1/a.png"]}, "from the internet"),
        (IMAGE2IMAGE, {"prompt": "x", "images": ["http://localhost/a.png"]}, "from the internet"),
        ({**KLING, "model": "kling-v9"}, {}, "Unknown model kwai/kling-v9"),
        ({"provider": "kwai", "model": "kling-v3"}, {}, "'model.type' is required"),
        ({**KLING, "label": "x"}, {}, "Unknown field 'model.label'"),
        ("kling-v3", {}, "model must be a JSON object"),
    ],
)
def test_a_generation_outside_the_rules_is_refused_uncharged(strict, model, parameters, words):
    body = {"model": model, "parameters": parameters}
    assert words in strict.refused("POST", f"{V1}/generate/image", json=body)
    assert strict.box.charges == {}


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b'{"model": ', "application/json", 400),
        (b'{"model": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_submit_must_be_good_json_and_say_so(strict, data, kind, status):
    for path in ("generate/image", "workflow/task/submit"):
        answer = strict.ask("POST", f"{V1}/{path}", data=data, headers={"Content-Type": kind})
        assert answer.status_code == answer.json()["code"] == status


def test_a_key_that_stands_twice_in_the_json_is_refused(strict):
    model = json.dumps(TEXT2IMAGE)
    text = f'{{"model": {model}, "parameters": {json.dumps(GOOD)}, "model": {model}}}'
    headers = {"Content-Type": "application/json"}
    message = strict.refused("POST", f"{V1}/generate/image", data=text, headers=headers)
    assert "a key stands twice" in message


def test_a_web_address_is_taken_unseen_and_a_hosted_one_is_looked_at(client, sound):
    assert client.submit(IMAGE2IMAGE, prompt="x", images=[WEB])
    body = {"model": IMAGE2IMAGE, "parameters": {"prompt": "x"}}

    def refused(url: str) -> str:
        body["parameters"]["images"] = [url]
        return client.refused("POST", f"{V1}/generate/image", json=body)

    assert "SignatureDoesNotMatch" in refused(client.upload(png()).replace("%3D", "="))
    assert "Cannot fetch" in refused(f"{client.base}/elsewhere.png")
    assert "must be image" in refused(client.upload(sound, "a.wav"))
    assert "cannot be read" in refused(client.upload(b"8BPS\0\1 no picture at all", "a.psd"))
    assert "8 x 8 is outside" in refused(client.upload(png((8, 8))))


def test_a_result_can_be_the_input_of_the_next(client):
    first = client.submit(TEXT2IMAGE, prompt="a fox", aspect_ratio="1:1")
    (url,) = client.results(first)
    assert client.results(client.submit(IMAGE2IMAGE, prompt="again", images=[url]))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_tells_of_a_success_and_a_failure(client, shape):
    client.box.platforms["haiyi"].result_shape = shape
    good = client.submit(TEXT2IMAGE, prompt="a fox", aspect_ratio="1:1")
    bad = client.submit(TEXT2IMAGE, prompt="[[fail:no foxes left]]", aspect_ratio="1:1")
    text = json.dumps(client.poll(good, after=60)), json.dumps(client.poll(bad))
    assert '"success"' in text[0].lower()
    assert urls_in(json.loads(text[0]))
    assert '"fail"' in text[1].lower()
    assert "no foxes left" in text[1].replace("[[fail:no foxes left]]", "")
    assert not urls_in(json.loads(text[1]))


def test_shapes_take_turns(client):
    client.box.platforms["haiyi"].result_shape = None
    ids = [client.submit(TEXT2IMAGE, prompt="a", aspect_ratio="1:1") for _ in range(len(SHAPES))]
    bodies = [client.poll(each) for each in ids]
    assert [("code" in body) for body in bodies] == [False, True, False, True, False]


def test_a_task_is_known_only_where_it_was_submitted(client):
    task_id = client.submit(TEXT2IMAGE, prompt="a", aspect_ratio="1:1")
    for path in ("workflow/task", "workflow/apps/task"):
        assert client.ask("GET", f"{V1}/{path}/{task_id}").status_code == 404
    for wrong in ("1", "abc", "-24317", "24317.0"):
        assert client.ask("GET", f"{V1}/generate/result/{wrong}").status_code == 404


# -- AI apps ------------------------------------------------------------------------------------

RUN = {"workflow_id": "1234", "cluster_name": "GPU-A800"}
IMG = ("demo.png", png())


def test_the_app_of_the_document_runs(client, clip):
    task_id = client.run_app(RUN, input_image=IMG, input_video=("demo.mp4", clip))
    data = client.app_task(task_id)
    assert data["status"] == "success"
    assert data["progress"] == {
        "curr_node": {"id": 0, "title": "Unknown Node", "progress": 0},
        "total_progress": 94,
    }
    (output,) = data["outputs"]
    assert (output["id"], output["error_type"]) == ("81", "info")
    assert output["title"].startswith("Video Combine \U0001f3a5")
    assert output["output"].startswith(f"{client.base}/api/view?type=output&filename=HAIYI_")
    with av.open(io.BytesIO(client.ask("GET", output["output"]).content)) as film:
        assert [s.type for s in film.streams] == ["video", "audio"]


def test_an_app_shows_the_node_at_work(client):
    task_id = client.run_app(RUN, input_image=IMG)
    pending, early, late = (client.app_task(task_id, after) for after in (0.1, 0.6, 2.5))
    assert [d["status"] for d in (pending, early, late)] == ["pending", "running", "running"]
    assert pending["progress"]["curr_node"]["title"] == "Unknown Node"
    assert early["progress"]["curr_node"]["id"] == "73"
    assert late["progress"]["curr_node"]["title"].startswith("Video Combine")
    assert 0 < early["progress"]["total_progress"] < late["progress"]["total_progress"] < 100
    assert pending["outputs"] == early["outputs"] == []


def test_an_app_with_words_and_several_outputs(client):
    data = {"workflow_id": "1002", "cluster_name": "GPU-4090", "version_id": "2"}
    task_id = client.run_app({**data, "prompt": "a fox"}, none=None)
    outputs = client.app_task(task_id)["outputs"]
    endings = [parse_qs(urlsplit(o["output"]).query)["filename"][0][-4:] for o in outputs]
    assert endings == [".png", ".mp4", ".mp3"]


@pytest.mark.parametrize("marker", ["warning", "error"])
def test_an_app_can_warn_and_have_a_broken_node_and_still_succeed(client, marker):
    run = {"workflow_id": "1001", "cluster_name": "GPU-4090"}
    task_id = client.run_app({**run, "prompt": f"[[{marker}:too dark]]"}, input_image=IMG)
    data = client.app_task(task_id)
    assert data["status"] == "success"
    assert [(o["error_type"], o["output"]) for o in data["outputs"]][1:] == [(marker, "too dark")]


def test_an_app_that_fails_says_at_which_node(client):
    run = {**RUN, "workflow_id": "1234[[fail:out of memory]]"}
    data = client.app_task(client.run_app(run, input_image=IMG))
    assert data["status"] == "fail"
    (output,) = data["outputs"]
    assert (output["id"], output["output"], output["error_type"]) == (
        "81",
        "out of memory",
        "error",
    )


@pytest.mark.parametrize("change", [{"workflow_id": "99"}, {"version_id": "77"}])
def test_an_unknown_app_or_version_is_an_error_inside_a_200(strict, change):
    answer = strict.post(
        f"{V1}/workflow/apps/run", data={**RUN, **change}, files={"input_image": IMG}
    )
    assert answer["code"] != 0
    assert "No such workflow" in answer["msg"]
    assert strict.box.charges == {}


@pytest.mark.parametrize(
    ("data", "files", "words"),
    [
        ({"workflow_id": "1234"}, {"input_image": IMG}, "'cluster_name' is required"),
        ({"cluster_name": "GPU-4090"}, {"input_image": IMG}, "'workflow_id' is required"),
        ({**RUN, "cluster_name": "auto"}, {"input_image": IMG}, "Unknown cluster 'auto'"),
        (RUN, {"none": (None, "x")}, "Unknown parameter 'none'"),
        (RUN, {"input_video": IMG}, "'input_image' is required"),
        (RUN, {"input_image": IMG, "input_video": IMG}, "'input_video' is video, not image/png"),
        ({**RUN, "input_image": "a.png"}, {"input_video": IMG}, "must be a file"),
        (RUN, {"input_image": IMG, "seed": (None, "5")}, "Unknown parameter 'seed'"),
        ({**RUN, "workflow_id": "1001"}, {"input_image": IMG}, "'prompt' is required"),
        (
            {**RUN, "workflow_id": "1001", "prompt": "x", "strength": "2"},
            {"input_image": IMG},
            "'strength' is from 0 to 1",
        ),
        (
            {**RUN, "workflow_id": "1001", "prompt": "x", "strength": "nan"},
            {"input_image": IMG},
            "'strength' is from 0 to 1",
        ),
        (
            {**RUN, "workflow_id": "1001", "prompt": "x", "strength": "much"},
            {"input_image": IMG},
            "'strength' must be a number",
        ),
    ],
)
def test_an_app_run_outside_the_document_is_refused(strict, data, files, words):
    assert words in strict.refused("POST", f"{V1}/workflow/apps/run", data=data, files=files)
    assert strict.box.charges == {}


def test_an_app_takes_forms_only(strict):
    for more in ({"json": RUN}, {"data": RUN}):
        assert strict.ask("POST", f"{V1}/workflow/apps/run", **more).status_code == 415


# -- clusters -----------------------------------------------------------------------------------


def test_the_clusters_are_those_of_the_document(strict):
    answer = strict.get(f"{V1}/workflow/cluster/all_active_clusters_status")
    assert (answer["code"], answer["msg"]) == (0, "success")
    assert [(c["name"], c["curr_nodes"], c["max_nodes"]) for c in answer["data"]] == [
        ("GPU-4090", 2, 22),
        ("GPU-A800", 8, 21),
        ("GPU-A800x2", 0, 6),
        ("GPU-A800x4", 0, 2),
        ("GPU-A800x8", 0, -1),
    ]


# -- native workflows ---------------------------------------------------------------------------


def graph(image: str, **nodes: Any) -> Any:
    """LoadImage -> ImageInvert -> ImageScale -> SaveImage, in API format."""
    scale = {"upscale_method": "nearest-exact", "width": 32, "height": 0, "crop": "disabled"}
    invert = {"class_type": "ImageInvert", "inputs": {"image": ["73", 0]}}
    return {
        "73": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {**invert, "_meta": {"title": "Turn round"}},
        "3": {"class_type": "ImageScale", "inputs": {"image": ["2", 0], **scale}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["3", 0], "filename_prefix": "out/\u72d0"},
        },
        **nodes,
    }


def test_a_workflow_of_known_nodes_is_computed(client):
    name = client.upload_input(png((64, 48), "#102030"), FOX)
    assert name != FOX
    data = client.workflow_task(client.run_workflow(graph(name)))
    (output,) = data["outputs"]
    assert re.fullmatch("HAIYI_\\d{14}_out_\u72d0_00001.png", output["output"])
    assert (data["status"], output["id"], output["title"]) == ("success", "9", "SaveImage")
    image = image_of(client.view(output["output"]))
    assert image.size == (32, 24)
    assert (np.asarray(image) == (0xEF, 0xDF, 0xCF)).all()


def test_a_workflow_shows_its_own_nodes_in_order(client):
    task_id = client.run_workflow(graph(client.upload_input(png())))
    moments = [
        client.workflow_task(task_id, after)["progress"]["curr_node"]
        for after in (0.6, 0.75, 0.75, 0.75)
    ]
    assert [m["title"] for m in moments] == ["LoadImage", "Turn round", "ImageScale", "SaveImage"]


def test_savers_of_every_kind_get_media_drawn_from_the_uploads(client, clip, sound):
    image, video, voice = (
        client.upload_input(data, name)
        for data, name in ((png(), "a.png"), (clip, "a.mp4"), (sound, "a.wav"))
    )
    extra = {
        "110": {"class_type": "VHS_LoadVideo", "inputs": {"video": video, "force_rate": 0}},
        "66": {"class_type": "LoadAudio", "inputs": {"audio": voice}},
        "50": {"class_type": "Secret", "inputs": {"a": ["73", 0], "b": ["110", 0], "c": ["66", 0]}},
        "81": {"class_type": "VHS_VideoCombine", "inputs": {"images": ["50", 0]}},
        "82": {"class_type": "SaveAudio", "inputs": {"audio": ["50", 1]}},
        "83": {"class_type": "PreviewImage", "inputs": {"images": ["50", 0]}},
    }
    outputs = client.workflow_task(client.run_workflow(graph(image, **extra)))["outputs"]
    kinds = {o["id"]: o["output"].rsplit(".")[-1] for o in outputs}
    assert kinds == {"9": "png", "81": "mp4", "82": "mp3", "83": "png"}
    drawn = image_of(client.view(next(o["output"] for o in outputs if o["id"] == "83")))
    assert drawn.size == (64, 48)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"9": {"class_type": "VAEDecode", "inputs": {}}}, "no outputs"),
        ({"2": {"inputs": {}}}, "'2' has no class_type"),
        ({"2": {"class_type": "ImageInvert"}}, "'2' has no inputs"),
        ({"2": 5}, "'2' has no class_type"),
        ({"2": {"class_type": "X", "inputs": {}, "pos": [1, 2]}}, "unknown field 'pos'"),
        (
            {"2": {"class_type": "X", "inputs": {"image": ["44", 0]}}},
            "2.image is linked to node '44'",
        ),
        (
            {"73": {"class_type": "LoadImage", "inputs": {"image": "my own.png"}}},
            "'my own.png' was",
        ),
        ({"73": {"class_type": "LoadImage", "inputs": {}}}, "73.image: no file None"),
        ({"66": {"class_type": "LoadAudio", "inputs": {"audio": "IMAGE"}}}, "must be audio"),
        ({"nodes": [], "links": []}, "export it in API format"),
    ],
)
def test_a_workflow_that_cannot_run_is_refused(strict, nodes, words):
    name = strict.upload_input(png())
    text = json.dumps(graph(name, **nodes)).replace("IMAGE", name)
    body = {"parameters": {"prompt": json.loads(text)}, "cluster_name": "GPU-4090"}
    assert words in strict.refused("POST", f"{V1}/workflow/task/submit", json=body)
    assert strict.box.charges == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cluster_name": "GPU-9"}, "Unknown cluster 'GPU-9'"),
        ({"client_id": "x"}, "Unknown field 'client_id'"),
        ({"parameters": {"prompt": {}, "seed": 1}}, "Unknown field 'parameters.seed'"),
        ({"parameters": {"prompt": {}}}, "must be a workflow"),
        ({"parameters": {}}, "'parameters.prompt' is required"),
    ],
)
def test_a_native_submit_has_the_documented_fields_only(strict, change, words):
    body = {"parameters": {"prompt": {}}, "cluster_name": "GPU-4090", **change}
    assert words in strict.refused("POST", f"{V1}/workflow/task/submit", json=body)


def test_half_a_letter_in_a_name_is_no_matter(client):
    prompt = graph(client.upload_input(png()))
    prompt["9"]["inputs"]["filename_prefix"] = "a\ud800b"
    prompt["9"]["_meta"] = {"title": "\ud800"}
    (output,) = client.workflow_task(client.run_workflow(prompt))["outputs"]
    assert image_of(client.view(output["output"]))


def test_a_ring_of_nodes_and_a_deep_graph_end(client):
    name = client.upload_input(png())
    ring = {"2": {"class_type": "ImageInvert", "inputs": {"image": ["3", 0]}}}
    deep = {
        str(n): {"class_type": "X", "inputs": {"a": [str(n - 1 if n > 1000 else 73), 0]}}
        for n in range(1000, 4000)
    }
    saver = {"9": {"class_type": "SaveImage", "inputs": {"images": ["3999", 0]}}}
    for nodes in (ring, {**deep, **saver}):
        assert (
            client.workflow_task(client.run_workflow(graph(name, **nodes)))["status"] == "success"
        )


def test_outputs_are_viewed_with_the_key_and_by_their_name(client):
    task_id = client.run_workflow(graph(client.upload_input(png())))
    name = client.workflow_task(task_id)["outputs"][0]["output"]
    url = f"{client.base}/api/view"
    good = {"type": "output", "filename": name}
    assert requests.get(url, params=good, timeout=PATIENCE).status_code == 401
    client.box.platforms["haiyi"].view_needs_key = False
    assert requests.get(url, params=good, timeout=PATIENCE).status_code == 200
    for wrong in ({**good, "type": "input"}, {**good, "filename": "../etc/passwd"}):
        assert client.ask("GET", url, params=wrong).status_code == 404


# -- what goes wrong on demand ------------------------------------------------------------------


def submit_marked(client: Client, marker: str) -> requests.Response:
    parameters = {"prompt": f"a fox {marker}", "aspect_ratio": "1:1"}
    body = {"model": TEXT2IMAGE, "parameters": parameters}
    return client.ask("POST", f"{V1}/generate/image", json=body)


def result_of(client: Client, marker: str) -> str:
    (url,) = client.results(submit_marked(client, marker).json()["task_id"])
    return url


def test_markers_refuse_a_submit_without_charging(client):
    assert submit_marked(client, "[[status:503]]").status_code == 503
    broke = submit_marked(client, "[[balance]]")
    assert (broke.status_code, "balance" in broke.json()["msg"]) == (429, True)
    with pytest.raises(requests.ConnectionError):
        submit_marked(client, "[[cut_before]]")
    assert client.box.charges == {}


def test_a_lost_answer_leaves_a_task_that_was_charged(client):
    with pytest.raises(requests.ConnectionError):
        submit_marked(client, "[[cut_after]]")
    assert client.box.charges == {"haiyi": 1}
    assert urls_in(client.poll(24317, after=60))


def test_a_scripted_fault_can_lose_the_answer_too(client):
    client.box.faults.add(f"POST {V1}/generate/image", "cut_after")
    client.box.faults.add(f"POST {V1}/generate/image", "bad_json", taken=True)
    client.box.faults.add(f"POST {V1}/generate/image", "html")
    with pytest.raises(requests.ConnectionError):
        submit_marked(client, "")
    assert len(client.box.tasks) == client.box.charges["haiyi"] == 1
    assert submit_marked(client, "").text.startswith('{"code"')
    assert client.box.charges["haiyi"] == 2
    assert submit_marked(client, "").text.startswith("<!DOCTYPE")
    assert client.box.charges["haiyi"] == 2


def test_a_slow_task_is_slow(client):
    client.box.platforms["haiyi"].result_shape = "flat"
    task_id = submit_marked(client, "[[slow:20]]").json()["task_id"]
    assert client.poll(task_id, after=19)["status"] == "running"
    assert client.poll(task_id, after=2)["status"] == "success"


def test_an_empty_success_and_a_strange_word(client):
    client.box.platforms["haiyi"].result_shape = "flat"
    empty = submit_marked(client, "[[empty]]").json()["task_id"]
    strange = submit_marked(client, "[[word:banana]]").json()["task_id"]
    assert client.poll(empty, after=60)["status"] == "success"
    assert urls_in(client.poll(empty)) == []
    assert client.poll(strange)["status"] == "banana"


def test_a_poll_can_be_garbage(client):
    task_id = submit_marked(client, "[[bad_json]]").json()["task_id"]
    answer = client.ask("GET", f"{V1}/generate/result/{task_id}")
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_a_result_can_be_on_a_private_address(client):
    assert result_of(client, "[[private]]") == "http://10.20.30.40/sandbox/result.png"


def test_a_result_can_be_truncated_a_page_or_elsewhere(client):
    with pytest.raises(OSError, match="truncated"):
        image_of(fetch(result_of(client, "[[truncated]]")))
    assert fetch(result_of(client, "[[html]]")).startswith(b"<!DOCTYPE html>")
    answer = requests.get(
        result_of(client, "[[redirect]]"), allow_redirects=False, timeout=PATIENCE
    )
    assert answer.headers["Location"].startswith("http://localhost:")


def test_a_cut_download_wears_off(client):
    url = result_of(client, "[[cut:1]]")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, timeout=PATIENCE)
    image_of(fetch(url))


def test_polls_can_be_scripted(client):
    task_id = submit_marked(client, "").json()["task_id"]
    client.clock.now += 60
    poll = "GET /openapi/v1/generate/result/*"
    client.box.faults.add(poll, "word", word="thinking")
    client.box.faults.add(poll, "empty")
    client.box.faults.add(poll, "result_url", url="http://192.168.0.1/x.png")
    answers = [client.poll(task_id) for _ in range(4)]
    assert "thinking" in json.dumps(answers[0])
    assert urls_in(answers[1]) == []
    assert urls_in(answers[2]) == ["http://192.168.0.1/x.png"]
    assert len(urls_in(answers[3])) == 1


def test_nothing_is_left_on_disk():
    with start() as box:
        client = Client(box, StoppedClock())
        client.upload(png())
        folder = Path(box.platforms["haiyi"].world.root)
        assert any(folder.iterdir())
    assert not folder.exists()
