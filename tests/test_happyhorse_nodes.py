"""Pins that all 52 rows run from their nodes, and what is refused before anything is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import requests
from _waiting import PATIENCE
from host import Host, graph, link, node
from PIL import Image
from sandboxes import environment, failed, set_environment
from skyport.sandbox import Sandbox

EXAMPLES = json.loads(Path(__file__).with_name("happyhorse_examples.json").read_text("utf-8"))
NODE = {
    "text2image": "SkyportHappyHorseTextToImage",
    "edit-image": "SkyportHappyHorseEditImage",
    "reference2image": "SkyportHappyHorseReferenceToImage",
    "text2video": "SkyportHappyHorseTextToVideo",
    "image2video": "SkyportHappyHorseImageToVideo",
    "first-last-frame": "SkyportHappyHorseFirstLastFrameToVideo",
    "extend-video": "SkyportHappyHorseExtendVideo",
    "reference2video": "SkyportHappyHorseReferenceToVideo",
    "image-audio2video": "SkyportHappyHorseImageAudioToVideo",
    "multimodal2video": "SkyportHappyHorseMultimodalToVideo",
    "edit-video": "SkyportHappyHorseEditVideo",
}
SOURCES = {
    "picture": node("ProbeImage", seed=1, width=320, height=320),
    "other": node("ProbeImage", seed=2, width=300, height=340),
    "clip": node("ProbeVideo", seconds=3.0, width=320, height=320),
    "tone": node("ProbeAudio", seconds=2.5, rate=22050),
}
MEDIA = {
    "image": ["picture", 0],
    "images.image0": ["picture", 0],
    "images.image1": ["other", 0],
    "extra_images.image0": ["other", 0],
    "first_frame": ["picture", 0],
    "last_frame": ["other", 0],
    "video": ["clip", 0],
    "audio": ["tone", 0],
}

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.platforms["happyhorse"].most_seconds = 0.5
    return sandbox


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    """HaiYi is there to host the media."""
    return environment(sandbox, "happyhorse", "haiyi")


@pytest.fixture
def cloud(opened: Host, sandbox: Sandbox, host_env: Any, monkeypatch: Any) -> Host:
    """Its stand-in has a data folder of the test's own."""
    set_environment(monkeypatch, host_env)
    sandbox.log.clear()
    sandbox.faults.clear()
    return opened


def options(host: Host, task: str) -> dict[str, Any]:
    """The form of each model of a task, as the editor is told of it."""
    info = host.object_info(NODE[task])["input"]["required"]["model"][1]["options"]
    return {one["key"]: one["inputs"].get("required", {}) for one in info}


def defaults(form: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the widgets of a fresh node."""
    return {f"model.{name}": about["default"] for name, (_, about) in form.items()}


def media_of(host: Host, task: str, *left_out: str) -> dict[str, Any]:
    info = host.object_info(NODE[task])["input"]
    sockets = {*info.get("required", {}), *info.get("optional", {})} - set(left_out)
    return {name: value for name, value in MEDIA.items() if name.split(".")[0] in sockets}


def make(host: Host, task: str, model: str, *left_out: str, **changes: Any) -> dict[str, Any]:
    """A node as it is when it was just made, with every socket linked but those `left_out`."""
    form = defaults(options(host, task)[model])
    values = {"prompt": "a fox", "seed": 7, "model": model, **form}
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return node(NODE[task], {**values, **media_of(host, task, *left_out), **changed})


def needed(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The sources that the nodes are linked to."""
    linked = {v[0] for one in nodes for v in one["inputs"].values() if isinstance(v, list)}
    return {name: source for name, source in SOURCES.items() if name in linked}


def submits(sandbox: Sandbox) -> list[Any]:
    return [
        seen
        for seen in sandbox.log
        if seen.method == "POST" and "/happyhorse/v1/" in seen.path and "upload" not in seen.path
    ]


# -- all 52 rows --------------------------------------------------------------------------------

# What a row does not take of its node's sockets.
UNTAKEN = {
    ("edit-image", None): ("mask",),
    ("multimodal2video", "video-fast-720p"): ("first_frame",),
    ("multimodal2video", "video-pro-720p"): ("first_frame",),
    ("edit-video", "omni_flash_edit-fast"): ("images",),
}


@pytest.mark.parametrize("task", NODE)
def test_every_model_of_a_task_runs_and_the_platform_refuses_none(
    cloud: Host, sandbox: Sandbox, task: str
) -> None:
    """As the nodes are when just made: with the widgets' own values, in one graph."""
    examples = [one for one in EXAMPLES if one["task"] == task]
    nodes = {
        f"n{n}": make(cloud, task, one["model"], *untaken(task, one["model"]))
        for n, one in enumerate(examples)
    }
    seen = {f"s{n}": node("ProbeSink", value=link(f"n{n}")) for n in range(len(examples))}
    run = cloud.run(graph(**needed(*nodes.values()), **nodes, **seen))
    assert run.status == "success", (run.error, run.node_errors)
    kind = "IMAGE" if "image" in task.split("2")[-1] and "video" not in task else "VIDEO"
    assert {run.probe(name)["type"] for name in seen} == {kind}
    sent = submits(sandbox)
    assert [one.status for one in sent] == [200] * len(examples)
    assert sorted(one.fields["model"] for one in sent) == sorted(e["model"] for e in examples)
    for one in sent:
        (example,) = [e for e in examples if e["model"] == one.fields["model"]]
        assert shape(one.fields) == shape(example.get("body") or example["form"], one.fields)


def untaken(task: str, model: str) -> tuple[str, ...]:
    return UNTAKEN.get((task, model)) or UNTAKEN.get((task, None), ())


# Fields that a fresh node sends beyond an example: seeds, and defaults that an example leaves out.
BEYOND = ("seed", "aspect_ratio", "extra_images")


TOLD_APART = ("prompt", "media", "messages")  # other words, other pictures


def shape(body: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> Any:
    """A body with texts in place of URLs and prompts, and without what is beyond an example."""
    fields = dict(body)
    if beside is not None:
        fields |= {name: beside[name] for name in BEYOND if name in beside}
    return plain(fields)


def plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items() if key not in TOLD_APART}
    if isinstance(tree, list):
        return [plain(value) for value in tree[:1]]
    return "URL" if isinstance(tree, str) and tree.startswith("http") else tree


def test_wan_gets_every_medium_under_its_type(cloud: Host, sandbox: Sandbox) -> None:
    made = make(cloud, "multimodal2video", "wan2.7-r2v", prompt="by type")
    run = cloud.run(graph(**needed(made), make=made))
    assert run.status == "success", (run.error, run.node_errors)
    (sent,) = submits(sandbox)
    media = sent.fields["input"]["media"]
    kinds = ["first_frame", "reference_video", "reference_image", "reference_image"]
    assert [one["type"] for one in media] == kinds
    assert requests.get(media[1]["reference_voice"], timeout=PATIENCE).content[:3] in (
        b"ID3",
        b"\xff\xfb\x90",
    )


# -- media as the rows want them ----------------------------------------------------------------


def test_sound_goes_up_as_mp3_of_the_same_length(cloud: Host, sandbox: Sandbox) -> None:
    made = make(cloud, "image-audio2video", "video-fast-720p", prompt="as mp3")
    assert cloud.run(graph(**needed(made), make=made)).status == "success"
    (sent,) = submits(sandbox)
    (url,) = sent.fields["extra_audios"]
    with av.open(io.BytesIO(requests.get(url, timeout=PATIENCE).content)) as sound:
        assert sound.format.name == "mp3"
        assert abs(sound.duration / av.time_base - 2.5) < 0.1


def test_a_mask_is_clear_where_it_is_one_and_as_large_as_the_picture(
    cloud: Host, sandbox: Sandbox
) -> None:
    made = make(cloud, "edit-image", "gpt-image-2", mask=link("mask"))
    mask = node("ProbeMask", seed=5, width=320, height=320)
    seen = node("ProbeSink", value=link("mask"))
    run = cloud.run(graph(**needed(made), mask=mask, make=made, seen=seen))
    assert run.status == "success", (run.error, run.node_errors)
    (sent,) = submits(sandbox)
    with Image.open(
        io.BytesIO(requests.get(sent.fields["mask"], timeout=PATIENCE).content)
    ) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (320, 320))
        alpha = np.asarray(picture)[..., 3]
    assert set(np.unique(alpha)) == {0, 255}
    assert abs((alpha == 0).mean() - 0.5) < 0.02  # the mask's noise is even


def test_a_batch_on_a_single_socket_is_a_task_for_each_and_on_a_list_one_task(
    cloud: Host, sandbox: Sandbox
) -> None:
    many = node("ProbeImage", seed=3, batch=3, width=300, height=300)
    films = make(cloud, "image2video", "kling-video", image=link("many"))
    mixed = make(cloud, "reference2image", "gpt-image-2", "images", images__image0=link("many"))
    run = cloud.run(graph(many=many, films=films, mixed=mixed))
    assert run.status == "success", (run.error, run.node_errors)
    assert sorted(len(one.fields.get("image_urls", "")) for one in submits(sandbox)) == [0, 0, 0, 3]


def test_several_pictures_of_one_task_come_in_order(cloud: Host) -> None:
    made = make(cloud, "text2image", "gpt-image-2-pro", model__n=3)
    seen = node("ProbeSink", value=link("make"))
    run = cloud.run(graph(make=made, seen=seen))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["shape"][0] == 3


def test_pictures_that_come_inside_the_answer_are_kept(cloud: Host) -> None:
    made = make(cloud, "text2image", "gpt-image-2", model__response_format="b64_json", model__n=2)
    run = cloud.run(graph(make=made, seen=node("ProbeSink", value=link("make"))))
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["shape"][0] == 2


def test_advice_is_told_on_the_node_and_the_task_runs(cloud: Host, sandbox: Sandbox) -> None:
    short = node("ProbeVideo", seconds=1.0, width=320, height=320)
    made = make(cloud, "extend-video", "wan2.7-i2v", video=link("short"))
    run = cloud.run(graph(**needed(made), short=short, make=made))
    assert run.status == "success", (run.error, run.node_errors)
    assert any(
        "Only a recommendation" in text and "at least 2" in text for text in run.texts["make"]
    )


def test_a_url_takes_the_place_of_any_medium(cloud: Host, sandbox: Sandbox) -> None:
    url = "https://example.com/a.png?sig=%2Fx"
    made = make(cloud, "image2video", "veo_3_1-fast", image=link("url"))
    run = cloud.run(graph(url=node("ProbeText", value=url), make=made))
    assert run.status == "success", (run.error, run.node_errors)
    assert submits(sandbox)[0].fields["image_url"] == url


# -- a model that is in no list -----------------------------------------------------------------


def custom(host: Host, task: str, parameters: Any, **changes: Any) -> dict[str, Any]:
    values = {
        "model.model_id": "kling-video",
        "model.endpoint": "videos",
        "model.parameters": json.dumps(parameters),
    }
    media = changes.pop("media", {})
    own = {"prompt": "a fox", "seed": 7, "model": "custom", **values, **media, **changes}
    return node(NODE[task], own)


def test_a_custom_model_gets_the_media_where_its_parameters_say(
    cloud: Host, sandbox: Sandbox
) -> None:
    media = {"image": ["picture", 0]}
    made = custom(cloud, "image2video", {"images": ["$image"], "duration": 3}, media=media)
    run = cloud.run(graph(**needed(made), make=made))
    assert run.status == "success", (run.error, run.node_errors)
    (sent,) = submits(sandbox)
    (url,) = sent.fields.pop("images")
    assert url.startswith(sandbox.base_url("haiyi"))
    assert sent.fields == {"model": "kling-video", "prompt": "a fox", "duration": 3}


def test_a_custom_model_may_take_the_prompt_elsewhere(cloud: Host, sandbox: Sandbox) -> None:
    made = custom(cloud, "text2video", {"input": {"prompt": "$prompt"}})
    made["inputs"]["model.model_id"] = "wan2.7-t2v"
    assert cloud.run(graph(make=made)).status == "success"
    (sent,) = submits(sandbox)
    assert sent.fields == {"model": "wan2.7-t2v", "input": {"prompt": "a fox"}}


# -- bad input ----------------------------------------------------------------------------------


def refused(host: Host, sandbox: Sandbox, nodes: Mapping[str, Any], *words: str) -> None:
    """The prompt fails with these words, and nobody has heard of it."""
    failed(host, graph(**needed(*nodes.values()), **nodes), "InvalidInput", *words)
    assert len(sandbox.log) == 0


@pytest.mark.parametrize(
    ("name", "model", "media", "source", "words"),
    [
        (
            "reference2video",
            "video-pro-720p",
            {"images.image0": ["many", 0], "images.image1": ["picture", 0]},
            node("ProbeImage", batch=9, width=300, height=300),
            ["10", "9"],
        ),
        (
            "image-audio2video",
            "video-fast-720p",
            {"extra_images.image0": ["many", 0]},
            node("ProbeImage", batch=9, width=300, height=300),
            ["10", "9"],
        ),
        (
            "image2video",
            "kling-video",
            {"image": ["many", 0]},
            node("ProbeImage", width=2000, height=1900),
            ["10 MB"],
        ),
        (
            "image2video",
            "video-pro-720p",
            {"image": ["many", 0]},
            node("ProbeImage", width=200, height=400),
            ["200", "300"],
        ),
        (
            "image-audio2video",
            "video-pro-720p",
            {"audio": ["many", 0]},
            node("ProbeAudio", seconds=20.0),
            ["20 seconds", "14"],
        ),
        (
            "multimodal2video",
            "video-pro-720p",
            {"video": ["many", 0], "first_frame": None},
            node("ProbeVideo", seconds=1.0, width=320, height=320),
            ["1 seconds", "2"],
        ),
        (
            "edit-image",
            "gpt-image-2",
            {"mask": ["many", 0]},
            node("ProbeMask", width=64, height=64),
            ["64 x 64", "320 x 320"],
        ),
        (
            "edit-image",
            "gemini-3.1-flash-image",
            {"mask": ["many", 0]},
            node("ProbeMask", width=320, height=320),
            ["gemini-3.1-flash-image", "mask"],
        ),
    ],
)
def test_what_is_beyond_a_rows_limits_is_refused_before_anything_is_uploaded(
    cloud: Host,
    sandbox: Sandbox,
    name: str,
    model: str,
    media: dict[str, Any],
    source: dict[str, Any],
    words: list[str],
) -> None:
    made = make(cloud, name, model, *untaken(name, model))
    made["inputs"].update({key: value for key, value in media.items() if value})
    refused(cloud, sandbox, {"many": source, "make": made}, *words)


def test_sound_that_a_model_requires_is_asked_for_by_name(cloud: Host, sandbox: Sandbox) -> None:
    made = make(cloud, "multimodal2video", "video-pro-720p", "first_frame", "audio")
    refused(cloud, sandbox, {"make": made}, "video-pro-720p", "audio", "required")


@pytest.mark.parametrize(
    ("name", "parameters", "media", "words"),
    [
        ("image2video", {"duration": 3}, {"image": ["picture", 0]}, ["image", '"$image"']),
        ("edit-image", {"a": "$image", "b": "$mask"}, {"image": ["picture", 0]}, ["mask"]),
        ("text2video", [1], {}, ["JSON object"]),
    ],
)
def test_parameters_of_a_custom_model_that_do_not_fit_the_node_are_refused(
    cloud: Host,
    sandbox: Sandbox,
    name: str,
    parameters: Any,
    media: dict[str, Any],
    words: list[str],
) -> None:
    refused(cloud, sandbox, {"make": custom(cloud, name, parameters, media=media)}, *words)


def test_a_prompt_of_nothing_but_space_is_none(cloud: Host, sandbox: Sandbox) -> None:
    made = make(cloud, "text2video", "kling-video", prompt=" \n")
    refused(cloud, sandbox, {"make": made}, "kling-video", "prompt", "required")


@pytest.mark.parametrize("model", ["omni_flash_edit", "omni_flash_edit-fast"])
def test_an_omni_edit_follows_its_source_unless_a_ratio_is_chosen(
    cloud: Host, sandbox: Sandbox, model: str
) -> None:
    """The document's examples name no ratio."""
    for changes, sent in (({}, None), ({"model__aspect_ratio": "9:16"}, "9:16")):
        made = make(cloud, "edit-video", model, "images", prompt=f"ratio {sent}", **changes)
        run = cloud.run(graph(**needed(made), make=made))
        assert run.status == "success", (run.error, run.node_errors)
        assert submits(sandbox)[-1].fields.get("aspect_ratio") == sent


def test_a_seed_of_minus_one_is_not_sent(cloud: Host, sandbox: Sandbox) -> None:
    made = make(cloud, "text2video", "wan2.7-t2v", prompt="no seed", seed=-1)
    run = cloud.run(graph(make=made))
    assert run.status == "success", (run.error, run.node_errors)
    assert "seed" not in submits(sandbox)[-1].fields


@pytest.mark.parametrize("n", [11, 1000])
def test_more_results_than_the_setting_allows_are_refused_before_any_upload(
    cloud: Host, sandbox: Sandbox, n: int
) -> None:
    made = make(cloud, "edit-image", "gpt-image-2", "mask", model__n=n)
    refused(cloud, sandbox, {"make": made}, str(n), "most_per_task")
    free = custom(cloud, "text2image", {"n": n})
    refused(cloud, sandbox, {"make": free}, str(n), "most_per_task")


def test_a_custom_model_without_its_id_is_refused(cloud: Host, sandbox: Sandbox) -> None:
    made = custom(cloud, "text2video", {})
    made["inputs"]["model.model_id"] = " "
    refused(cloud, sandbox, {"make": made}, "model id")


@pytest.mark.parametrize(
    ("task", "model", "missing"),
    [
        ("first-last-frame", "veo_3_1-fast", "last_frame"),
        ("image2video", "kling-video", "image"),
        ("reference2video", "kling-video", "images.image0"),
        ("edit-video", "wan2.7-videoedit", "video"),
    ],
)
def test_a_missing_frame_is_refused_at_queue_time(
    cloud: Host, sandbox: Sandbox, task: str, model: str, missing: str
) -> None:
    made = make(cloud, task, model, *untaken(task, model))
    del made["inputs"][missing]
    run = cloud.run(graph(**needed(made), make=made))
    assert run.status == "refused"
    assert missing in json.dumps(run.node_errors)
    assert len(sandbox.log) == 0


def test_a_preset_that_the_document_does_not_name_is_refused_with_those_it_does(
    cloud: Host, sandbox: Sandbox
) -> None:
    made = make(cloud, "text2video", "grok-imagine-video", model__preset="wild")
    run = cloud.run(graph(make=made))
    assert run.status == "refused"
    text = json.dumps(run.node_errors)
    assert [word for word in ("normal", "fun", "spicy", "custom") if word not in text] == []
    assert len(sandbox.log) == 0


# -- the forms ----------------------------------------------------------------------------------


def test_a_form_holds_what_its_model_takes_with_the_documents_defaults(cloud: Host) -> None:
    forms = options(cloud, "text2video")
    assert defaults(forms["kling-video"]) == {
        "model.duration": 5,
        "model.aspect_ratio": "16:9",
        "model.resolution": "720p",
    }
    assert defaults(forms["grok-imagine-video"]) == {"model.preset": "(default)"}
    assert set(forms["custom"]) == {"model_id", "endpoint", "parameters"}


def test_the_models_of_a_task_are_in_the_documents_order(cloud: Host) -> None:
    for task in NODE:
        models = [one["model"] for one in EXAMPLES if one["task"] == task]
        assert list(options(cloud, task)) == [*models, "custom"]


def test_without_an_address_the_node_says_which_variable_to_set(
    opened: Host, sandbox: Sandbox, monkeypatch: Any
) -> None:
    if opened.kind != "standin":
        pytest.skip("the address of a running ComfyUI cannot be changed from here")
    monkeypatch.setenv("HAPPYHORSE_API_KEY", sandbox.key("happyhorse"))
    run = opened.run(graph(make=make(opened, "text2video", "kling-video")))
    assert run.status == "error"
    assert "HAPPYHORSE_BASE_URL" in run.error.message
