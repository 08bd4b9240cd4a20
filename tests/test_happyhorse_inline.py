"""Pins the media of HappyHorse inside its requests, as `happyhorse_media` chooses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _clips import pictures, tone, write_clip, write_sound
from _waiting import PATIENT
from contract import KEY, PNG
from PIL import Image
from scripted import Scripted, answer_json
from skyport import providers
from skyport.engine.base.errors import InvalidInput
from skyport.engine.base.types import Kind, MediaFile, Model, Request
from skyport.engine.hosting.choice import ChosenHost
from skyport.engine.http.client import Http
from skyport.engine.ledger.ledger import fingerprint_of
from skyport.engine.media.files import describe
from skyport.providers import happyhorse
from skyport.providers.happyhorse import HappyHorse
from skyport.sandbox import Sandbox, start
from test_happyhorse import Shelf, unchecked
from test_happyhorse_rows import EXAMPLES, MODELS, values_in
from virtual import Play, clip

MB = 1024 * 1024
DATA = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_HAPPYHORSE_MEDIA", "inline")


@pytest.fixture
def server(server: Scripted) -> Scripted:
    server.on("*", answer_json({"id": "t1", "task_id": "t1", "output": {"task_id": "t1"}}))
    return server


def platform(server: Scripted) -> HappyHorse:
    """One without a media host to use."""
    http = Http("HappyHorse", server.url, HappyHorse.auth_headers(KEY), timeout=PATIENT)
    return HappyHorse(http, ChosenHost("HappyHorse", providers.connect))


def video_of(file: MediaFile) -> Request:
    return unchecked("wan2.7-i2v", "image2video", prompt="a fox", image=file)


def submitted(server: Scripted, request: Request) -> Any:
    """What a submit sends, as the runner has it prepared and sent."""
    with Play() as play:

        async def scene() -> None:
            await play.runner.begin(platform(server), request, Path())
            while not server.seen:
                await play.pause(0.1)

        play.run(scene())
    return server.seen[0]


# -- where the files stand --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "task", "name", "fields"),
    [
        ("gpt-image-2", "reference2image", "images", {"image_urls": [DATA]}),
        (
            "wan2.7-i2v",
            "image2video",
            "image",
            {"input": {"prompt": "a fox", "media": [{"type": "first_frame", "url": DATA}]}},
        ),
        ("grok-imagine-video", "image2video", "image", {"image_url": DATA}),
        ("omni_flash_edit-fast", "edit-video", "video", {"video_url": DATA, "input_video": DATA}),
    ],
)
def test_a_file_is_a_data_url_where_its_url_would_be(
    inline: None, server: Scripted, tmp_path: Path, model: str, task: str, name: str, fields: Any
) -> None:
    file = clip(tmp_path, PNG)
    given = [file] if name == "images" else file
    sent = submitted(server, unchecked(model, task, prompt="a fox", **{name: given})).json()
    assert {key: sent[key] for key in fields} == fields
    assert len(server.seen) == 1


def test_an_edit_carries_its_files_as_parts_of_the_form(
    inline: None, server: Scripted, tmp_path: Path
) -> None:
    image, mask = clip(tmp_path, PNG, "a.png"), clip(tmp_path, PNG + b"m", "m.png")
    sent = submitted(
        server, unchecked("gpt-image-2", "edit-image", prompt="a fox", image=image, mask=mask, n=2)
    )
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    head = 'name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    assert head.encode() + PNG + b"\r\n" in sent.body
    assert b'name="mask"; filename="m.png"' in sent.body
    assert b'name="n"\r\n\r\n2\r\n' in sent.body


def test_an_address_that_is_linked_stays_one(
    inline: None, server: Scripted, tmp_path: Path
) -> None:
    url = "https://example.com/a.png"
    values = {"image": clip(tmp_path, PNG), "mask": url}
    sent = submitted(server, unchecked("gpt-image-2", "edit-image", prompt="a fox", **values))
    assert f'name="mask"\r\n\r\n{url}\r\n'.encode() in sent.body


@pytest.mark.parametrize("route", ["videos", "images/edits"])
def test_a_custom_body_may_hold_files_anywhere(
    inline: None, server: Scripted, tmp_path: Path, route: str
) -> None:
    request = happyhorse.custom("new", route, {"input": {"media": [clip(tmp_path, PNG)]}})
    sent = submitted(server, request)
    assert DATA.encode() in sent.body


def test_without_the_setting_files_go_to_the_media_host(server: Scripted, tmp_path: Path) -> None:
    server.on("/files", answer_json({"url": "https://example.com/hosted.png"}))
    hosting = platform(server)
    hosting.media_host = Shelf(hosting.http)
    request = video_of(clip(tmp_path, PNG))
    with Play() as play:

        async def scene() -> None:
            await play.runner.begin(hosting, request, tmp_path)
            while len(server.seen) < 2:
                await play.pause(0.1)

        play.run(scene())
    assert server.seen[1].json()["input"]["media"][0]["url"] == "https://example.com/hosted.png"


def test_the_setting_makes_no_other_order(
    monkeypatch: pytest.MonkeyPatch, server: Scripted, tmp_path: Path
) -> None:
    request = video_of(clip(tmp_path, PNG))
    prints = set()
    for form in ("url", "inline"):
        monkeypatch.setenv("SKYPORT_HAPPYHORSE_MEDIA", form)
        prints.add(fingerprint_of(platform(server).prepare(request), server.url))
    assert prints == {fingerprint_of(request, server.url)}


# -- what is refused ----------------------------------------------------------------------------


def big(folder: Path, size: int, name: str = "a.png") -> MediaFile:
    path = folder / name
    with path.open("wb") as file:
        file.truncate(size)
    return MediaFile(path, name, "image/png", f"{size:064x}", size)


@pytest.mark.parametrize(
    ("model", "task", "name", "size"),
    [
        ("grok-imagine-video", "image2video", "image", 25 * MB),  # a third more as base64
        ("omni_flash_edit-fast", "edit-video", "video", 13 * MB),  # it stands there twice
        ("gpt-image-2", "edit-image", "image", 33 * MB),
    ],
)
def test_media_too_large_for_a_request_are_refused_and_nothing_is_sent(
    inline: None, server: Scripted, tmp_path: Path, model: str, task: str, name: str, size: int
) -> None:
    request = unchecked(model, task, prompt="a fox", **{name: big(tmp_path, size)})
    with Play() as play, pytest.raises(InvalidInput, match="happyhorse_media") as caught:
        play.result(platform(server), request, tmp_path)
    assert "at most 32 MB" in str(caught.value)
    assert server.seen == []


def test_what_fits_is_sent(inline: None, server: Scripted, tmp_path: Path) -> None:
    for request in (
        unchecked("grok-imagine-video", "image2video", image=big(tmp_path, 23 * MB)),
        unchecked("gpt-image-2", "edit-image", image=big(tmp_path, 31 * MB, "b.png")),
    ):
        assert platform(server).prepare(request) == request


def test_a_file_that_changed_meanwhile_is_refused(
    inline: None, server: Scripted, tmp_path: Path
) -> None:
    file = clip(tmp_path, PNG)
    file.path.write_bytes(b"other")
    with Play() as play, pytest.raises(InvalidInput, match="changed"):
        play.result(platform(server), video_of(file), tmp_path)
    assert server.seen == []


def test_without_a_media_host_the_setting_is_named_as_the_other_way(
    server: Scripted, tmp_path: Path
) -> None:
    with Play() as play, pytest.raises(InvalidInput, match="happyhorse_media to inline") as caught:
        play.result(platform(server), video_of(clip(tmp_path, PNG)), tmp_path)
    assert "no media host is set up" in str(caught.value)
    assert server.seen == []


# -- the rows, against the imitated platform ----------------------------------------------------


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start(pace=0.01) as box:
        yield box


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MediaFile]:
    folder = tmp_path_factory.mktemp("media")
    Image.new("RGB", (320, 320), "red").save(folder / "a.png")
    Image.new("RGBA", (320, 320)).save(folder / "mask.png")
    paths = {
        "image": folder / "a.png",
        "mask": folder / "mask.png",
        "video": write_clip(folder / "a.mp4", pictures(30, 320, 320)),
        "audio": write_sound(folder / "a.mp3", tone(1, 2.5), "libmp3lame", "fltp"),
    }
    return {name: describe(path) for name, path in paths.items()}


WITH_MEDIA = [
    example
    for example in EXAMPLES
    if any(param.media_kind for param in MODELS[example["model"], example["task"]].params)
]


@pytest.mark.parametrize("example", WITH_MEDIA, ids=lambda one: f"{one['task']}-{one['model']}")
def test_every_row_is_taken_with_its_files_inside(
    inline: None, box: Sandbox, files: dict[str, MediaFile], example: Any
) -> None:
    model = MODELS[example["model"], example["task"]]
    values = values_in(example.get("body") or example["form"], model)
    request = happyhorse.generation(model, with_own_files(model, values, files))
    http = Http(
        "HappyHorse", box.base_url("happyhorse"), HappyHorse.auth_headers(box.key("happyhorse"))
    )
    assert HappyHorse(http).submit(HappyHorse(http).prepare(request))
    assert box.log[-1].status == 200
    assert "http" not in json.dumps(box.log[-1].fields)


def with_own_files(model: Model, values: dict[str, Any], files: dict[str, MediaFile]) -> Any:
    """`values` with a file in place of each URL."""
    changed = dict(values)
    for param in model.params:
        if param.name in values and param.media_kind:
            file = files["mask" if param.name == "mask" else Kind(param.media_kind).value]
            given = values[param.name]
            several = isinstance(given, list)
            changed[param.name] = (
                [replace(file, name=f"{n}-{file.name}") for n, _ in enumerate(given)]
                if several
                else file
            )
    return changed


# -- suggestions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "task", "field", "words"),
    [
        ("video-pro-720p", "text2video", "duration", "4 - 15"),
        ("wan2.7-t2v", "text2video", "duration", "2 - 15"),
        ("omni_flash-fast", "image2video", "duration", "4, 6, 8, 10"),
        ("gpt-image-2", "edit-image", "size", "1254x1254, 1024x1536"),
        ("gemini-3.1-flash-image", "text2image", "size", "512, 1K, 2K, 4K"),
        ("wan2.7-t2v", "text2video", "ratio", "16:9, 9:16, 1:1, 4:3, 3:4"),
        ("happyhorse-1.0-t2v", "text2video", "resolution", "720P, 1080P"),
        ("omni_flash", "text2video", "aspect_ratio", "16:9, 9:16"),
    ],
)
def test_values_of_a_newer_text_are_suggested_and_limit_nothing(
    model: str, task: str, field: str, words: str
) -> None:
    row = HappyHorse.read_row(
        next(
            row
            for row in HappyHorse.built_in_rows()
            if (row["model"], row["task"]) == (model, task)
        )
    )
    param = row.param(field)
    assert param is not None
    assert f"Suggested, unverified: {words}" in param.help
    assert (param.choices, param.max) == ((), None)
    assert ", ".join(param.suggested).startswith(words if " - " not in words else "")
