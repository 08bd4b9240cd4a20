"""Pins that all 52 rows are the document's: its tables, and its request examples key by key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from contract import KEY
from scripted import Scripted, answer_json
from skyport.engine.base.types import Model, Param, Task
from skyport.engine.http.client import Http
from skyport.engine.platforms.parameters import fill, prompt_param, seed_param
from skyport.providers import happyhorse
from skyport.providers.happyhorse import ROUTES, HappyHorse

EXAMPLES = json.loads(
    (Path(__file__).parent / "happyhorse_examples.json").read_text(encoding="utf-8")
)
MODELS = {
    (model.id, model.task): model for model in map(HappyHorse.read_row, HappyHorse.built_in_rows())
}
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one['task']}-{one['model']}")


def row(example: Mapping[str, Any]) -> Model:
    return MODELS[example["model"], example["task"]]


# -- the examples -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        server.on("*", answer_json({"id": "task 7/a", "task_id": "task 7/a"}))
        yield server


@pytest.fixture
def platform(server: Scripted) -> HappyHorse:
    server.seen.clear()
    return HappyHorse(Http("HappyHorse", server.url, HappyHorse.auth_headers(KEY)))


@each
def test_a_row_filled_with_the_examples_values_sends_the_example(
    example: Any, server: Scripted, platform: HappyHorse
) -> None:
    shown = example.get("body") or example["form"]
    model = row(example)
    request = happyhorse.generation(model, fill(model, values_in(shown, model)))
    task_id = platform.submit(request)
    (sent,) = server.seen
    assert f"{sent.method} {sent.target}" == f"POST {example['submit']}"
    if "form" in example:
        assert dict(parts(sent.body)) == shown
    else:
        assert sent.json() == shown
        assert same_types(sent.json(), shown)
    platform.poll(Task("happyhorse", request.endpoint, task_id))
    assert server.seen[-1].target == example["poll"].replace("{task_id}", "task%207%2Fa")


def parts(form: bytes) -> list[tuple[str, str]]:
    """(name, text) of every part of a form; a part with a file name or a type is none of these."""
    pattern = r'Content-Disposition: form-data; name="([^"]*)"\r\n\r\n(.*?)\r\n--'
    return re.findall(pattern, form.decode(), re.DOTALL)


def same_types(one: Any, other: Any) -> bool:
    """1 equals 1.0 and True in Python, not on the wire."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def values_in(body: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The parameters that a body holds, read from where the document's tables say they are."""
    found = {param.name: found_at(body, param.path) for param in model.params}
    stored = {name: value for name, value in found.items() if value not in (None, [])}
    for frame, number in (("first_frame", 0), ("last_frame", 1)):
        if isinstance(stored.get(frame), list) and len(stored[frame]) == 2:
            stored[frame] = stored[frame][number]
    lists = {param.name for param in model.params if param.type.startswith("array[")}
    return {n: v[0] if isinstance(v, list) and n not in lists else v for n, v in stored.items()}


def found_at(tree: Any, path: str) -> Any:
    if path.startswith("messages"):
        content = tree["messages"][0]["content"]
        return content if path == "messages[]" else None
    if " + " in path:
        first, rest = path.split(" + ")
        return [found_at(tree, first), *(found_at(tree, rest) or [])]
    for part in path.split("."):
        name, kind = re.fullmatch(r"(\w+)(?:\[(\w*)\])?", part).groups()
        tree = tree.get(name) if isinstance(tree, dict) else None
        if kind:
            tree = [one for one in tree or [] if one["type"] == kind]
            tree = tree[0] if tree and path.endswith("reference_voice") else tree
    return [one["url"] for one in tree] if kind and tree else tree


def test_pictures_beside_an_instruction_make_it_a_list_of_parts() -> None:
    model = MODELS["omni_flash_edit", "edit-video"]
    clip, one, two = (f"https://example.com/{name}" for name in ("a.mp4", "1.png", "2.png"))
    values = {"video": clip, "prompt": "warmer", "images": [one, two]}
    assert happyhorse.generation(model, fill(model, values)).payload == {
        "model": "omni_flash_edit",
        "input_video": clip,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "warmer"},
                    {"type": "image_url", "image_url": {"url": one}},
                    {"type": "image_url", "image_url": {"url": two}},
                ],
            }
        ],
    }


def test_a_voice_stands_beside_its_video_only_where_there_is_one() -> None:
    model = MODELS["wan2.7-r2v", "multimodal2video"]
    clip = "https://example.com/a.mp4"
    payload = happyhorse.generation(model, fill(model, {"prompt": "x", "video": clip})).payload
    assert payload["input"]["media"] == [{"type": "reference_video", "url": clip}]


def test_a_value_that_stands_twice_is_the_same_twice() -> None:
    clip = "https://example.com/a.mp4"
    fast = MODELS["omni_flash-fast", "text2video"]
    sent = happyhorse.generation(fast, fill(fast, {"prompt": "x", "duration": 7})).payload
    assert (sent["duration"], sent["seconds"]) == (7, "7")
    edit = MODELS["omni_flash_edit", "edit-video"]
    values = {"prompt": "x", "video": clip, "resolution": "1080p"}
    sent = happyhorse.generation(edit, fill(edit, values)).payload
    assert sent["resolution_name"] == sent["resolution"] == "1080p"
    again = MODELS["omni_flash_edit-fast", "edit-video"]
    sent = happyhorse.generation(again, fill(again, values)).payload
    assert sent["video_url"] == sent["input_video"] == clip


def test_the_only_reference_leaves_no_empty_list_of_others() -> None:
    model = MODELS["video-pro-720p", "reference2video"]
    filled = fill(model, {"prompt": "x", "images": ["https://example.com/a.png"]})
    assert happyhorse.generation(model, filled).payload == {
        "model": "video-pro-720p",
        "prompt": "x",
        "image_url": "https://example.com/a.png",
    }


# -- the tables ---------------------------------------------------------------------------------

TYPES = {"text": "string", "string": "string", "int": "number", "boolean": "boolean"}
MEDIA = {"image", "video", "audio"}
# In the tables but not sent: of two places for one value, the example's.
TWICE = {("wan", "watermark")}
# Sent but not in the row's table: its material section allows up to nine pictures.
IN_PROSE = {"extra_images[]"}
# A table names these values in its text only.
TOLD = {"audio_setting": ["auto", "origin"]}
# One type on the wire, another one in the table.
OBJECTS = {"input.media[]", "messages[]", "messages[].content[]"}


def test_the_rows_are_those_of_the_document() -> None:
    assert len(EXAMPLES) == 52
    assert list(MODELS) == [(one["model"], one["task"]) for one in EXAMPLES]
    assert [model.label for model in MODELS.values()] == [one["label"] for one in EXAMPLES]


@each
def test_a_row_takes_the_fields_of_its_table(example: Any) -> None:
    model = row(example)
    sent = {place: param for param in model.params for place in places(param)}
    fields = {one["name"]: one for one in example["fields"]}
    dropped = {name for start, name in TWICE if model.id.startswith(start)}
    assert set(sent) - set(fields) <= IN_PROSE
    assert set(fields) - set(sent) == dropped & set(fields)
    for name in set(fields) & set(sent):
        check(name, fields[name], [p for p in model.params if name in places(p)])


def check(name: str, field: Mapping[str, Any], params: list[Param]) -> None:
    first = params[0]
    assert field["required"] == any(param.required for param in params) or name in IN_PROSE
    if name not in OBJECTS:
        assert field["type"] == wire_type(first, name)
    assert str(field.get("default")).lower() == str(first.default).lower()
    listed = [choice.value for choice in first.choices]
    assert listed == field.get("options", TOLD.get(first.name, []))


def places(param: Param) -> list[str]:
    """Where the values of a parameter go, as the tables write it."""
    paths = [*param.path.split(" + "), *(path for path, _ in param.copies)]
    return [re.sub(r"\[\w+\].*", "[]", path) for path in paths]


def wire_type(param: Param, name: str) -> str:
    if name in dict(param.copies) and dict(param.copies)[name]:
        return dict(param.copies)[name]
    if param.media_kind:
        return "string[]" if name.endswith("[]") else "string"
    return TYPES[param.type]


@each
def test_a_row_can_be_asked_for(example: Any) -> None:
    model = row(example)
    route = ROUTES[model.endpoint]
    assert (route.submit, route.poll + "{task_id}") == (example["submit"], example["poll"])
    assert route.form == ("form" in example)
    assert prompt_param(model).name == "prompt"
    has_seed = "seed" in {one["name"] for one in example["fields"]}
    assert (seed_param(model) is not None) == has_seed


# -- the limits of the material sections ---------------------------------------------------------

MB = 1024 * 1024
PICTURE = (("jpeg", "png", "webp"), 10 * MB, 300, None, None)
LARGE_PICTURE = (("jpeg", "png"), 30 * MB, 300, None, None)
SOUND = (("mp3",), 15 * MB, None, 2, 14)
CLIP = (("mp4",), 50 * MB, None, 2, 14)
NONE = ((), None, None, None, None)


def limits(model_id: str, task: str, name: str) -> tuple[Any, ...]:
    rule = MODELS[model_id, task].param(name).media
    return rule.formats, rule.max_bytes, rule.min_width, rule.min_seconds, rule.max_seconds


@pytest.mark.parametrize(
    ("model", "task", "name", "limit"),
    [
        ("gpt-image-2", "edit-image", "image", PICTURE),
        ("gpt-image-2", "edit-image", "mask", (("png",), 10 * MB, None, None, None)),
        ("gemini-3.0-pro-image", "reference2image", "images", PICTURE),
        ("veo_3_1-fast", "first-last-frame", "last_frame", PICTURE),
        ("video-fast-720p", "image2video", "image", LARGE_PICTURE),
        ("video-pro-720p", "image-audio2video", "audio", SOUND),
        ("video-pro-720p", "multimodal2video", "video", CLIP),
        ("wan2.7-i2v", "extend-video", "video", ((), 50 * MB, None, None, None)),
        ("wan2.7-i2v", "extend-video", "last_frame", NONE),
        ("omni_flash_edit", "edit-video", "video", (("mp4",), 100 * MB, None, None, 10)),
        ("omni_flash_edit-fast", "edit-video", "video", (("mp4",), 100 * MB, None, None, None)),
        (
            "happyhorse-1.0-video-edit",
            "edit-video",
            "video",
            (("mp4", "mov"), 100 * MB, 320, 3, 60),
        ),
    ],
)
def test_a_medium_has_the_limits_of_the_document(
    model: str, task: str, name: str, limit: tuple[Any, ...]
) -> None:
    assert limits(model, task, name) == limit


def test_what_is_only_advised_is_no_limit() -> None:
    advised = MODELS["wan2.7-videoedit", "edit-video"].param("video").media.advised
    assert (advised.formats, advised.min_seconds, advised.max_seconds) == (("mp4",), 2, 15)
    edited = MODELS["happyhorse-1.0-video-edit", "edit-video"].param("video").media
    assert edited.advised.codecs == ("h264",)
    assert (edited.max_width, edited.max_height) == (2160, 2160)


@pytest.mark.parametrize("model", ["video-fast-720p", "video-pro-720p"])
def test_nine_pictures_are_the_most_in_all(model: str) -> None:
    for task in ("reference2video", "multimodal2video"):
        assert MODELS[model, task].param("images").max_items == 9
    extra = MODELS[model, "image-audio2video"].param("extra_images")
    assert (extra.max_items, extra.together) == (9, ("image",))


def test_every_medium_of_which_a_limit_is_told_has_it() -> None:
    """36 pictures and 2 masks, of edits (4 + 2), references (5 + 8), frames (9 + 4), sound (6)."""
    counted = dict.fromkeys(MEDIA, 0)
    for model in MODELS.values():
        for param in model.params:
            if param.media_kind and param.media.max_bytes:
                counted[param.media_kind.value] += 1
    assert counted == {"image": 38, "video": 8, "audio": 4}
