"""Pins what a graph author gets from the HaiYi nodes, on the stand-in and in ComfyUI."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from _clock import LONG, Clock
from _waiting import PATIENCE, until
from host import Host, graph, link, node
from PIL import Image
from sandboxes import environment, failed, set_environment
from skyport.sandbox import Sandbox

KEY = "AI-sandbox-haiyi"
GENERATE = "/openapi/v1/generate/image"
INK = "sandbox/sandbox-ink"
KLING = "kwai/kling-v3"
NANO = "google/gemini-3-pro-image-preview"

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    assert sandbox.key("haiyi") == KEY
    return environment(sandbox, "haiyi")


@pytest.fixture
def cloud(opened: Host, sandbox: Sandbox, host_env: Any, monkeypatch: Any) -> Host:
    """A host whose forms are the sandbox's live models."""
    set_environment(monkeypatch, host_env)
    answer = refresh(opened)
    assert answer.status_code == 200, answer.text
    sandbox.log.clear()
    sandbox.faults.clear()
    return opened


def refresh(host: Host) -> requests.Response:
    return host.route("POST", "/skyport/models/haiyi/refresh", json={}, headers={"X-Skyport": "1"})


def generate(class_type: str, model: str, prompt: str = "a lighthouse", **nested: Any) -> dict:
    """A generation node; `nested` are the parameters below the model, with __ for a dot."""
    values = {f"model.{name.replace('__', '.')}": value for name, value in nested.items()}
    return node(class_type, {"prompt": prompt, "seed": 1, "model": model, **values})


def ink(prompt: str = "", picture: Any = ("picture", 0), **inputs: Any) -> dict:
    made = generate(
        "SkyportHaiyiStyleTransfer", INK, prompt, image=list(picture), style="ink", strength=0.5
    )
    made["inputs"].update(inputs)
    return made


def edit(prompt: str, picture: str = "picture", seed: int = 1) -> dict:
    made = generate(
        "SkyportHaiyiImageToImage",
        NANO,
        prompt,
        images__image0=link(picture),
        aspect_ratio="(default)",
        resolution="1K",
    )
    made["inputs"]["seed"] = seed
    return made


def film(prompt: str, picture: str = "picture", seed: int = 1) -> dict:
    made = generate(
        "SkyportHaiyiImageToVideo",
        KLING,
        prompt,
        key_frames_start=link(picture),
        mode="std",
        duration=3,
        sound=True,
    )
    made["inputs"]["seed"] = seed
    return made


def submits(sandbox: Sandbox) -> list[Any]:
    return [seen.fields for seen in sandbox.log.of("POST", "generate/image")]


# -- every node runs ----------------------------------------------------------------------------


def test_text_to_image_gives_a_picture_and_its_url(cloud: Host, sandbox: Sandbox) -> None:
    run = cloud.run(
        graph(
            make=generate(
                "SkyportHaiyiTextToImage",
                "google/gemini-3.1-flash-image-preview",
                aspect_ratio="1:1",
                n=1,
            ),
            seen=node("ProbeSink", value=link("make")),
            url=node("ProbeSink", value=link("make", 1)),
        )
    )
    assert run.status == "success", run.error
    assert run.probe("seen")["type"] == "IMAGE"
    assert run.probe("url")["value"].startswith(sandbox.base_url("haiyi"))
    assert submits(sandbox)[-1] == {
        "model": {
            "provider": "google",
            "model": "gemini-3.1-flash-image-preview",
            "type": "text2image",
        },
        "parameters": {"prompt": "a lighthouse", "aspect_ratio": "1:1", "n": 1, "seed": 1},
    }


def test_image_to_image_takes_several_pictures_for_one_task(cloud: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        one=node("ProbeImage", seed=1),
        two=node("ProbeImage", seed=2),
        make=edit("both of them", "one"),
        seen=node("ProbeSink", value=link("make")),
    )
    prompt["make"]["inputs"]["model.images.image1"] = link("two")
    run = cloud.run(prompt)
    assert run.status == "success", run.error
    (sent,) = submits(sandbox)
    assert len(sent["parameters"]["images"]) == 2


def test_style_transfer_of_a_video_gives_a_video(cloud: Host) -> None:
    run = cloud.run(
        graph(
            clip=node("ProbeVideo", seconds=1.0),
            make=generate(
                "SkyportHaiyiStyleTransfer",
                "sandbox/sandbox-anime-video",
                video=link("clip"),
                tags="ink\nsoft",
            ),
            seen=node("ProbeSink", value=link("make", 1)),
        )
    )
    assert run.status == "success", run.error
    assert run.probe("seen")["type"] == "VIDEO"


def test_text_to_video_gives_video_sound_frames_and_url(cloud: Host) -> None:
    run = cloud.run(
        graph(
            make=generate(
                "SkyportHaiyiTextToVideo",
                KLING,
                mode="std",
                duration=3,
                sound=True,
                aspect_ratio="16:9",
            ),
            video=node("ProbeSink", value=link("make", 0)),
            frames=node("ProbeSink", value=link("make", 1)),
            audio=node("ProbeSink", value=link("make", 2)),
            url=node("ProbeSink", value=link("make", 3)),
        )
    )
    assert run.status == "success", run.error
    video, frames = run.probe("video"), run.probe("frames")
    assert video["container"].startswith(("mov", "mp4"))
    assert frames["shape"] == [video["frames"], video["size"][1], video["size"][0], 3]
    assert run.probe("audio")["type"] == "AUDIO"
    assert run.probe("url")["value"].startswith("http")
    assert run.ui["make"]["animated"] == [True]


def test_image_to_video_takes_first_and_last_frame(cloud: Host, sandbox: Sandbox) -> None:
    prompt = graph(
        one=node("ProbeImage", seed=1),
        two=node("ProbeImage", seed=2),
        make=film("walk", "one"),
        seen=node("ProbeSink", value=link("make")),
    )
    prompt["make"]["inputs"]["model.key_frames_end"] = link("two")
    run = cloud.run(prompt)
    assert run.status == "success", run.error
    assert set(submits(sandbox)[0]["parameters"]["key_frames"]) == {"start", "end"}


def test_edit_video_takes_videos_sounds_and_numbers(cloud: Host, sandbox: Sandbox) -> None:
    run = cloud.run(
        graph(
            clip=node("ProbeVideo", seconds=1.0),
            tone=node("ProbeAudio"),
            make=generate(
                "SkyportHaiyiEditVideo",
                "sandbox/sandbox-mix",
                videos__video0=link("clip"),
                audios__audio0=link("tone"),
                weights="0.5, 1",
            ),
            seen=node("ProbeSink", value=link("make")),
        )
    )
    assert run.status == "success", run.error
    assert submits(sandbox)[0]["parameters"]["weights"] == [0.5, 1]


@pytest.mark.parametrize(
    ("class_type", "model", "nested"),
    [
        (
            "SkyportHaiyiTextToMusic",
            "sandbox/sandbox-song",
            {"lyrics": "", "instrumental": True, "tags": "calm", "duration": 5},
        ),
        (
            "SkyportHaiyiTextToSpeech",
            "sandbox/sandbox-voice",
            {"voice": "warm", "speed": 1.0, "format": "wav"},
        ),
    ],
)
def test_music_and_speech_give_sound(
    cloud: Host, class_type: str, model: str, nested: dict[str, Any]
) -> None:
    options = cloud.object_info(class_type)["input"]["required"]["model"][1]["options"]
    rules = next(option["inputs"] for option in options if option["key"] == model)
    known = {**rules.get("required", {}), **rules.get("optional", {})}
    chosen = {name: value for name, value in nested.items() if name in known}
    for name, (kind, about) in known.items():
        if kind == "COMBO":
            chosen[name] = about["options"][0]
    run = cloud.run(
        graph(
            make=generate(class_type, model, **chosen),
            seen=node("ProbeSink", value=link("make")),
        )
    )
    assert run.status == "success", (run.error, run.node_errors)
    assert run.probe("seen")["type"] == "AUDIO"
    assert run.ui["make"]["audio"]


def test_an_app_runs_with_files_and_values_from_remote_inputs(
    cloud: Host, sandbox: Sandbox
) -> None:
    run = cloud.run(
        graph(
            picture=node("ProbeImage", seed=4),
            image=node("SkyportRemoteInput", value=link("picture"), target="input_image"),
            words=node("ProbeText", value="in winter"),
            text=node(
                "SkyportRemoteInput", value=link("words"), target="prompt", inputs=link("image")
            ),
            run=node(
                "SkyportHaiyiRunApp",
                workflow_id="1001",
                version_id="",
                cluster="auto",
                seed=0,
                inputs=link("text"),
            ),
            seen=node("ProbeSink", value=link("run")),
        )
    )
    assert run.status == "success", run.error
    assert run.probe("seen")["type"] == "IMAGE"
    (sent,) = sandbox.log.of("POST", "workflow/apps/run")
    assert sent.fields["cluster_name"] == "GPU-4090"  # a single card, and most head-room
    assert sent.fields["prompt"] == "in winter"
    assert sent.fields["input_image"]["content_type"] == "image/png"


def workflow(prompt: dict[str, Any] | None = None) -> str:
    return json.dumps(
        prompt
        or {
            "73": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
            "8": {"class_type": "ImageInvert", "inputs": {"image": ["73", 0]}},
            "9": {
                "class_type": "SaveImage",
                "inputs": {"images": ["8", 0], "filename_prefix": "out"},
            },
        }
    )


def remote(cluster: str = "GPU-A800", target: str = "73.image", text: str | None = None) -> dict:
    return graph(
        picture=node("ProbeImage", seed=4, width=32, height=24),
        image=node("SkyportRemoteInput", value=link("picture"), target=target),
        run=node(
            "SkyportHaiyiRunWorkflow",
            workflow=workflow() if text is None else text,
            cluster=cluster,
            seed=0,
            inputs=link("image"),
        ),
        seen=node("ProbeSink", value=link("run")),
    )


def test_a_remote_workflow_gets_the_picture_it_was_given(cloud: Host, sandbox: Sandbox) -> None:
    run = cloud.run(remote())
    assert run.status == "success", run.error
    assert run.probe("seen")["shape"][:3] == [1, 24, 32]
    (sent,) = sandbox.log.of("POST", "workflow/task/submit")
    assert sent.fields["cluster_name"] == "GPU-A800"
    assert sent.fields["parameters"]["prompt"]["73"]["inputs"]["image"] != "example.png"


def test_a_cluster_of_another_name_is_passed_on_as_it_is(cloud: Host, sandbox: Sandbox) -> None:
    run = cloud.run(remote("GPU-H20"))
    assert run.status == "error"
    assert "GPU-H20" in run.error.message  # the sandbox's words, so it got there
    assert sandbox.log.of("POST", "workflow/task/submit")[0].fields["cluster_name"] == "GPU-H20"


def test_clusters_names_the_smallest_one_with_room_and_reports_all(cloud: Host) -> None:
    run = cloud.run(
        graph(
            ask=node("SkyportHaiyiClusters"),
            best=node("ProbeSink", value=link("ask")),
            report=node("ProbeSink", value=link("ask", 1)),
        )
    )
    assert run.probe("best")["value"] == "GPU-4090"
    assert "GPU-A800x8: 0 running, unknown at most" in run.probe("report")["value"]


# -- what arrives is what was sent --------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
def test_image_bytes_arrive_as_sent(cloud: Host, channels: int) -> None:
    run = cloud.run(
        graph(
            picture=node("ProbeImage", seed=7, width=31, height=17, batch=2, channels=channels),
            up=node("SkyportHaiyiUpload", media=link("picture")),
            mine=node("ProbeSink", value=link("picture")),
            urls=node("ProbeSink", value=link("up")),
        )
    )
    urls = [seen["value"] for seen in run.probe("urls")]
    pictures = [Image.open(io.BytesIO(requests.get(url, timeout=PATIENCE).content)) for url in urls]
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    assert pixels.shape == (2, 17, 31, channels)
    assert sha256(pixels) == run.probe("mine")["sha256"]


def sha256(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


@pytest.mark.parametrize("source", ["ProbeMask", "ProbeAudio", "ProbeVideo"])
def test_every_medium_can_be_uploaded(cloud: Host, source: str) -> None:
    run = cloud.run(
        graph(
            medium=node(source),
            up=node("SkyportHaiyiUpload", media=link("medium")),
            url=node("ProbeSink", value=link("up")),
        )
    )
    assert run.status == "success", run.error
    assert requests.get(run.probe("url")["value"], timeout=PATIENCE).status_code == 200


def test_results_are_kept_byte_for_byte_in_the_output_folder(cloud: Host) -> None:
    run = cloud.run(graph(picture=node("ProbeImage", seed=8), make=edit("keep it")))
    (shown,) = run.ui["make"]["images"]
    assert shown["type"] == "output"
    assert shown["subfolder"].startswith("skyport/haiyi/")
    stored = cloud.output_dir / shown["subfolder"] / shown["filename"]
    with Image.open(stored) as picture:
        assert picture.format == "PNG"


def test_a_batch_of_four_makes_four_tasks_side_by_side_in_order(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    before = len(sandbox.tasks)
    handle = cloud.start(
        graph(
            picture=node("ProbeImage", seed=9, batch=4),
            make=ink(LONG),
            seen=node("ProbeSink", value=link("make")),
            urls=node("ProbeSink", value=link("make", 2)),
        )
    )
    until(lambda: len(sandbox.tasks) == before + 4)  # while none of them has ended
    clock.forward()
    run = handle.result()
    assert run.status == "success", run.error
    assert run.probe("seen")["shape"][0] == 4
    sent = [fields["parameters"]["image"] for fields in submits(sandbox)]
    assert len(sent) == 4


def test_a_picture_without_its_batch_is_one_task(cloud: Host, sandbox: Sandbox) -> None:
    unbatched = node("ProbeImage", seed=19, width=24, height=32, batched=False)
    run = cloud.run(graph(picture=unbatched, make=ink("one")))
    assert run.status == "success", run.error
    assert len(submits(sandbox)) == 1


def test_four_equal_pictures_are_four_tasks(cloud: Host, sandbox: Sandbox) -> None:
    before = sandbox.charges["haiyi"]
    run = cloud.run(
        graph(
            picture=node("ProbeImage", seed=10),
            four=node("ProbeRepeat", image=link("picture"), amount=4),
            make=ink("equal", ("four", 0)),
            seen=node("ProbeSink", value=link("make")),
        )
    )
    assert run.status == "success", (run.error, run.node_errors)
    assert sandbox.charges["haiyi"] - before == 4


# -- waiting ------------------------------------------------------------------------------------


def test_two_video_nodes_of_one_graph_overlap(cloud: Host, sandbox: Sandbox, clock: Clock) -> None:
    before = len(sandbox.tasks)
    handle = cloud.start(
        graph(
            picture=node("ProbeImage", seed=11),
            a=film(f"{LONG} a"),
            b=film(f"{LONG} b", seed=2),
        )
    )
    until(lambda: len(sandbox.tasks) == before + 2)  # while neither has ended
    clock.forward()
    run = handle.result()
    assert run.status == "success", run.error


@pytest.mark.parametrize("polls", [3, pytest.param(14, marks=pytest.mark.soak)])
def test_polls_go_on_while_a_sync_node_blocks(
    cloud: Host, sandbox: Sandbox, clock: Clock, polls: int
) -> None:
    gate = f"{polls} polls"
    handle = cloud.start(
        graph(
            picture=node("ProbeImage", seed=12),
            make=edit(f"{LONG} beside {gate}"),
            other=node("ProbeImage", seed=13),
            block=node("ProbeSleepSync", gate=gate, value=link("other")),
            seen=node("ProbeSink", value=link("block")),
        )
    )
    until(lambda: cloud.at_gate(gate))
    before = polled(sandbox)
    until(lambda: polled(sandbox) >= before + polls)
    cloud.open_gate(gate)
    clock.forward()
    run = handle.result()
    assert run.status == "success", run.error


def polled(sandbox: Sandbox) -> int:
    return sum("generate/result" in seen.path for seen in sandbox.log)


def test_a_task_begins_although_the_next_node_blocks_at_once(cloud: Host, sandbox: Sandbox) -> None:
    handle = cloud.start(
        graph(
            make=generate(
                "SkyportHaiyiTextToImage",
                "google/gemini-3.1-flash-image-preview",
                "no time to lose",
                aspect_ratio="1:1",
                n=1,
            ),
            block=node("ProbeSleepSync", seconds=0.0, gate="it has begun"),
            seen=node("ProbeSink", value=link("block")),
        )
    )
    until(lambda: submits(sandbox))  # nothing else lets the block end
    cloud.open_gate("it has begun")
    run = handle.result()
    assert run.status == "success", run.error
    assert len(submits(sandbox)) == 1


def test_the_node_tells_what_is_going_on(cloud: Host, clock: Clock) -> None:
    handle = cloud.start(graph(picture=node("ProbeImage", seed=14), make=edit(f"{LONG} told")))
    handle.wait_for_text("make", "running")
    clock.forward()
    texts = handle.result().texts["make"]
    assert any("HaiYi gemini-3-pro-image-preview" in text and "running" in text for text in texts)
    assert all("<" not in text for text in texts)


def test_interrupt_ends_the_prompt_while_the_task_runs_on_and_the_next_one_attaches(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    prompt = graph(picture=node("ProbeImage", seed=15), make=edit(f"{LONG} interrupted"))
    before = sandbox.charges["haiyi"]
    handle = cloud.start(prompt)
    handle.wait_for_text("make", "running")
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    handle = cloud.start(prompt)
    handle.wait_for_text("make", "running")
    clock.forward()
    again = handle.result()
    assert again.status == "success", again.error
    assert sandbox.charges["haiyi"] - before == 1


def test_frames_are_decoded_only_when_they_are_linked(cloud: Host, sandbox: Sandbox) -> None:
    unlinked = graph(
        picture=node("ProbeImage", seed=16),
        make=film("frames or not"),
        video=node("ProbeSink", value=link("make", 0)),
    )
    linked = {**unlinked, "frames": node("ProbeSink", value=link("make", 1))}
    before = sandbox.charges["haiyi"]
    first = cloud.run(unlinked)
    assert first.status == "success", first.error
    second = cloud.run(linked)
    assert second.probe("frames")["shape"][0] == first.probe("video")["frames"]
    assert sandbox.charges["haiyi"] - before == 1  # the node ran again, the task did not
    assert any("no charge" in text for text in second.texts["make"])


# -- what model/info does not say, and types of no document -------------------------------------

PROMPT_RULE = {"name": "prompt", "type": "text", "label": "", "required": True}


@pytest.fixture
def more_models(cloud: Host, sandbox: Sandbox) -> Any:
    """Lists a further model with these rules, if any, and makes the host refresh."""
    platform = sandbox.platforms["haiyi"]
    before = platform.models

    def add(model: str, kind: str, rules: Any) -> None:
        row = {"provider": "acme", "provider_label": "Acme", "model": model, "type": kind}
        more = {**row, "label": model, "parameter_rules": rules, "description": ""}
        platform.models = [*platform.models, more]
        assert refresh(cloud).status_code == 200
        sandbox.log.clear()

    yield add
    platform.models = before
    refresh(cloud)


def test_a_model_whose_details_say_nothing_is_refused_before_anything_is_sent(
    cloud: Host, sandbox: Sandbox, more_models: Any
) -> None:
    more_models("silent", "text2image", None)
    prompt = graph(make=generate("SkyportHaiyiTextToImage", "acme/silent"))
    failed(cloud, prompt, "InvalidInput", "acme/silent", "Refresh the models", "Nothing was sent")
    assert not submits(sandbox)


def test_a_model_that_takes_nothing_does_not_swallow_the_prompt(
    cloud: Host, sandbox: Sandbox, more_models: Any
) -> None:
    more_models("empty", "text2image", [])
    prompt = graph(make=generate("SkyportHaiyiTextToImage", "acme/empty"))
    failed(cloud, prompt, "InvalidInput", "takes no parameters", "custom", "Nothing was sent")
    assert not submits(sandbox)
    prompt["make"]["inputs"]["prompt"] = " "
    assert cloud.run(prompt).status == "success"
    assert submits(sandbox)[-1]["parameters"] == {}


def test_a_prompt_that_the_model_does_not_take_is_said_to_be_left_out(cloud: Host) -> None:
    run = cloud.run(graph(picture=node("ProbeImage", seed=31), make=ink("left out")))
    assert run.status == "success", run.error
    assert "takes no prompt" in " ".join(run.texts["make"])


@pytest.mark.parametrize("class_type", ["SkyportHaiyiTextToImage", "SkyportHaiyiStyleTransfer"])
def test_a_model_of_a_new_type_runs_from_any_node_by_its_own_type(
    cloud: Host, sandbox: Sandbox, more_models: Any, class_type: str
) -> None:
    more_models("statue", "text2threed", [PROMPT_RULE])
    run = cloud.run(graph(make=generate(class_type, "acme/statue (text2threed)", class_type)))
    assert run.status == "success", (run.error, run.node_errors)
    assert submits(sandbox)[-1]["model"] == {
        "provider": "acme",
        "model": "statue",
        "type": "text2threed",
    }


def test_types_of_no_document_are_sent_as_json_and_left_out_until_set(
    cloud: Host, sandbox: Sandbox, more_models: Any
) -> None:
    rules: list[dict[str, Any]] = [
        {"name": "tint", "type": "color", "default": "#fff"},
        {"name": "shape", "type": "object"},
        {"name": "frames", "type": "dict[image]"},
        {"name": "tags", "type": "array[string]", "default": ["a", "b"]},
        {"name": "mode", "type": "string", "default": "x", "options": [{"value": "y"}]},
        {"name": "weight", "type": "float", "default": 0.5, "min": 0.001, "max": 0.999},
    ]
    more_models("odd", "text2image", [PROMPT_RULE, *({"required": False, **r} for r in rules)])
    options = cloud.object_info("SkyportHaiyiTextToImage")["input"]["required"]["model"][1]
    form = next(one for one in options["options"] if one["key"] == "acme/odd")["inputs"]
    fields = {name: about[1]["default"] for name, about in form["required"].items()}
    urls = {"mid": "https://host.example/a.png"}
    fields |= {"shape": '{"sides": 4}', "frames": json.dumps(urls), "mode": "y", "weight": 0.999}
    run = cloud.run(graph(make=generate("SkyportHaiyiTextToImage", "acme/odd", "odd", **fields)))
    assert run.status == "success", (run.error, run.node_errors)
    assert submits(sandbox)[-1]["parameters"] == {
        "prompt": "odd",
        "shape": {"sides": 4},
        "frames": urls,
        "tags": ["a", "b"],
        "mode": "y",
        "weight": 0.999,
    }


def test_a_seed_of_minus_one_is_not_sent(cloud: Host, sandbox: Sandbox) -> None:
    made = generate(
        "SkyportHaiyiTextToImage",
        "google/gemini-3.1-flash-image-preview",
        "no seed",
        aspect_ratio="1:1",
        n=1,
    )
    made["inputs"]["seed"] = -1
    run = cloud.run(graph(make=made))
    assert run.status == "success", (run.error, run.node_errors)
    assert "seed" not in submits(sandbox)[-1]["parameters"]


def test_more_results_than_the_setting_allows_are_refused_in_a_custom_model(
    cloud: Host, sandbox: Sandbox
) -> None:
    made = generate(
        "SkyportHaiyiTextToImage", "custom", provider="acme", model_id="x", parameters='{"n": 99}'
    )
    failed(cloud, graph(make=made), "InvalidInput", "99", "most_per_task", "Nothing was sent")
    assert not submits(sandbox)


# -- bad input ----------------------------------------------------------------------------------


def test_an_unknown_model_is_refused_at_queue_time_by_its_name(
    cloud: Host, sandbox: Sandbox
) -> None:
    prompt = graph(picture=node("ProbeImage"), make=edit("x"))
    prompt["make"]["inputs"]["model"] = "kwai/kling-v99"
    run = cloud.run(prompt)
    assert run.status == "refused"
    assert "kwai/kling-v99" in json.dumps(run.node_errors)
    assert not submits(sandbox)


def test_a_parameter_out_of_range_is_refused_at_queue_time(cloud: Host, sandbox: Sandbox) -> None:
    prompt = graph(picture=node("ProbeImage"), make=film("x"))
    prompt["make"]["inputs"]["model.duration"] = 300
    run = cloud.run(prompt)
    assert run.status == "refused"
    assert "model.duration" in json.dumps(run.node_errors)
    assert not sandbox.log.of("POST", "upload")


def test_missing_required_media_is_refused_at_queue_time(cloud: Host) -> None:
    prompt = graph(make=film("x"))
    del prompt["make"]["inputs"]["model.key_frames_start"]
    run = cloud.run(prompt)
    assert run.status == "refused"
    assert "key_frames_start" in json.dumps(run.node_errors)


def test_a_required_prompt_that_is_empty_is_refused_before_any_upload(
    cloud: Host, sandbox: Sandbox
) -> None:
    failed(
        cloud,
        graph(picture=node("ProbeImage", seed=20), make=edit("")),
        "InvalidInput",
        "prompt",
        "required",
    )
    assert not sandbox.log.of("POST", "file/upload")


def test_a_picture_smaller_than_the_model_takes_is_refused_with_the_limit(
    cloud: Host, sandbox: Sandbox
) -> None:
    prompt = graph(picture=node("ProbeImage", seed=21, width=8, height=8), make=edit("tiny"))
    failed(cloud, prompt, "InvalidInput", "16", "8")
    assert not sandbox.log.of("POST", "file/upload")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", ("JSON", "Export (API)")),
        (json.dumps({"nodes": [], "links": []}), ("editor", "Export (API)")),
        ("{}", ("API format", "Export (API)")),
    ],
)
def test_a_workflow_of_another_format_is_refused_with_the_way_to_export_it(
    cloud: Host, sandbox: Sandbox, text: str, words: tuple[str, ...]
) -> None:
    failed(cloud, remote(text=text), "InvalidInput", *words)
    assert not sandbox.log.of("POST", "upload/file")


def test_a_target_that_is_not_there_is_refused_with_those_that_are(cloud: Host) -> None:
    failed(cloud, remote(target="74.image"), "InvalidInput", "74.image", "73.image (LoadImage)")


@pytest.mark.parametrize(
    ("marker", "kind", "word"),
    [
        ("[[fail:no harbour found]]", "TaskFailed", "no harbour found"),
        ("[[truncated]]", "BadResult", ""),
        ("[[html]]", "BadResult", "at no further charge"),
        ("[[private]]", "BadResult", "10.20.30.40"),
        ("[[redirect]]", "BadResult", "localhost"),
        ("[[balance]]", "OutOfCredit", "Insufficient balance"),
        ("[[cut_after]]", "OutcomeUnknown", "charged"),
        ("[[status:500]]", "OutcomeUnknown", "500"),
    ],
)
def test_what_the_platform_does_wrong_is_told_by_its_class(
    cloud: Host, sandbox: Sandbox, marker: str, kind: str, word: str
) -> None:
    prompt = graph(picture=node("ProbeImage", seed=22), make=edit(f"{marker} {kind}"))
    run = failed(cloud, prompt, kind, word, "HaiYi")
    assert len(submits(sandbox)) == 1
    assert run.error.message.count("\n") < 5


def test_a_picture_that_comes_cut_off_again_is_used_as_far_as_it_goes(
    cloud: Host, sandbox: Sandbox
) -> None:
    prompt = graph(
        picture=node("ProbeImage", seed=22),
        make=edit("[[truncated]] twice"),
        seen=node("ProbeSink", value=link("make")),
    )
    before = sandbox.charges["haiyi"]
    failed(cloud, prompt, "BadResult", "cannot be read", "at no charge")
    again = cloud.run(prompt)
    assert again.status == "success", again.error
    assert "is cut off: about" in " ".join(again.texts["make"])
    assert len(submits(sandbox)) == 1
    assert sandbox.charges["haiyi"] - before == 1


def test_a_wrong_key_is_told_before_anything_is_charged(
    sandbox: Sandbox, tmp_path: Path, opened: Host, monkeypatch: Any
) -> None:
    if opened.kind != "standin":
        pytest.skip("the key of a running ComfyUI cannot be changed from here")
    monkeypatch.setenv("HAIYI_BASE_URL", sandbox.base_url("haiyi"))
    prompt = graph(
        picture=node("ProbeImage", seed=23),
        make=generate(
            "SkyportHaiyiImageToVideo",
            KLING,
            key_frames_start=link("picture"),
            mode="std",
            duration=3,
            sound=False,
        ),
    )
    before = sandbox.charges["haiyi"]
    failed(opened, prompt, "MissingKey", "HAIYI_API_KEY", "skyport keys set haiyi")
    monkeypatch.setenv("HAIYI_API_KEY", "AI-wrong-key-wrong-key")
    failed(opened, prompt, "AuthRejected", "HAIYI_API_KEY")
    assert sandbox.charges["haiyi"] == before


def test_a_failed_item_loses_none_of_the_others(cloud: Host, sandbox: Sandbox) -> None:
    sandbox.faults.add(f"POST {GENERATE}", "status", status=500, body="no luck", skip=1)
    prompt = graph(
        picture=node("ProbeImage", seed=24, batch=3),
        make=ink("three"),
        seen=node("ProbeSink", value=link("make")),
    )
    before = sandbox.charges["haiyi"]
    run = failed(cloud, prompt, "OutcomeUnknown", "Of 3 items, these failed", "no luck")
    assert sandbox.charges["haiyi"] - before == 2, run
    again = cloud.run(prompt)
    assert again.status == "success", again.error
    assert again.probe("seen")["shape"][0] == 3
    assert sandbox.charges["haiyi"] - before == 3


# -- nothing kills the host ---------------------------------------------------------------------


def alive(host: Host) -> bool:
    run = host.run(
        graph(picture=node("ProbeImage", seed=30), seen=node("ProbeSink", value=link("picture")))
    )
    return run.status == "success"


def test_the_next_prompt_runs_after_a_sibling_failed(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    prompt = graph(
        picture=node("ProbeImage", seed=31),
        make=edit(f"{LONG} survivor"),
        bad=node("ProbeFailAsync", value=link("picture"), gate="a sibling"),
        seen=node("ProbeSink", value=link("bad")),
    )
    before = sandbox.charges["haiyi"]
    handle = cloud.start(prompt)
    handle.wait_for_text("make", "running")
    cloud.open_gate("a sibling")
    assert handle.result().status == "error"
    assert alive(cloud)
    mended = {key: value for key, value in prompt.items() if key in ("picture", "make")}
    handle = cloud.start(mended)
    handle.wait_for_text("make", "running")
    clock.forward()
    again = handle.result()
    assert again.status == "success", again.error
    assert sandbox.charges["haiyi"] - before == 1


def test_the_next_prompt_runs_after_errors_and_interrupts(cloud: Host, clock: Clock) -> None:
    assert cloud.run(graph(picture=node("ProbeImage"), make=edit("[[fail]]"))).status == "error"
    assert alive(cloud)
    handle = cloud.start(graph(picture=node("ProbeImage"), make=edit(f"{LONG} stop me")))
    handle.wait_for_text("make")
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    clock.forward()
    assert alive(cloud)


def test_the_next_prompt_runs_after_an_inner_call_was_cancelled(cloud: Host) -> None:
    run = cloud.run(graph(bad=node("ProbeCancelInside")))
    assert run.status == "error"
    assert run.error.type == "RuntimeError"
    assert "cancelled inside Skyport" in run.error.message
    assert alive(cloud)


def test_no_key_leaves_the_machine_of_the_graph(cloud: Host) -> None:
    run = cloud.run(
        graph(
            picture=node("ProbeImage", seed=33),
            make=edit("secret"),
            bad=edit("[[status:401]]", seed=3),
        )
    )
    assert run.status == "error"
    history = cloud.client.call("GET", "/history").text
    info = cloud.client.call("GET", "/object_info").text
    stored = [p.read_bytes() for p in cloud.output_dir.rglob("*") if p.is_file()]
    assert stored
    assert KEY not in history + info + cloud.log_text() + json.dumps(run.events, default=str)
    assert not any(KEY.encode() in one for one in stored)


def test_forms_of_two_models_differ(cloud: Host) -> None:
    options = cloud.object_info("SkyportHaiyiImageToVideo")["input"]["required"]["model"][1][
        "options"
    ]
    forms = {option["key"]: option["inputs"] for option in options}
    assert "duration" in forms[KLING]["required"]
    assert "Duration" in forms["tencent/Kling-3.0"]["required"]
    assert "custom" in forms


def test_the_refresh_route_refuses_what_a_foreign_page_could_send(cloud: Host) -> None:
    plain = cloud.route("POST", "/skyport/models/haiyi/refresh", json={})
    foreign = cloud.route(
        "POST",
        "/skyport/models/haiyi/refresh",
        json={},
        headers={"X-Skyport": "1", "Origin": "http://evil.example"},
    )
    assert plain.status_code == 403
    assert foreign.status_code == 403
