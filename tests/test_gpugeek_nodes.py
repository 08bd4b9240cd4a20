"""Pins what a graph author gets from the GPUGeek nodes, on the stand-in and in ComfyUI."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from _clock import LONG, Clock
from _waiting import PATIENCE
from host import Host, Run, graph, link, node
from PIL import Image
from sandboxes import environment, failed
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

KEY = "sk-sandbox-gpugeek"
LINK = "file/upload/pre-signed-url"
FOREIGN = "https://pictures.example/fox.png"
CANCELLED = 5
IN_QUEUE = 54.0  # seconds that a LONG task waits there at this pace: 0.3 of its time
serial = itertools.count(1)

pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    assert sandbox.key("gpugeek") == KEY
    return environment(sandbox, "gpugeek")


@pytest.fixture
def cloud(cloud: Host, sandbox: Sandbox, monkeypatch: Any) -> Host:
    imitation: Any = sandbox.platforms["gpugeek"]
    for knob, value in {"dialect": "table", "ending": None}.items():
        monkeypatch.setattr(imitation, knob, value)
    return cloud


def workflow(words: str = "out", image: str = "replaced.png") -> dict[str, Any]:
    """Loads a picture, inverts it, saves it."""
    save = {"images": ["8", 0], "filename_prefix": words}
    return {
        "73": {"class_type": "LoadImage", "inputs": {"image": image}},
        "8": {"class_type": "ImageInvert", "inputs": {"image": ["73", 0]}},
        "9": {"class_type": "SaveImage", "inputs": save},
    }


def run_node(prompt: Any, **inputs: Any) -> dict[str, Any]:
    """The node with an order that equals none before it."""
    text = prompt if isinstance(prompt, str) else json.dumps(prompt)
    given = {"workflow_id": str(WORKFLOW_ID), "workflow": text, "seed": next(serial)}
    return node("SkyportGpugeekRunWorkflow", {**given, **inputs})


def remote(words: str = "out", picture: dict[str, Any] | None = None, **inputs: Any) -> Any:
    """A picture of this graph, inverted there."""
    return graph(
        picture=picture or node("ProbeImage", seed=4, width=32, height=24),
        image=node("SkyportRemoteInput", value=link("picture"), target="73.image"),
        run=run_node(workflow(words), inputs=link("image"), **inputs),
        mine=node("ProbeSink", value=link("picture")),
        seen=node("ProbeSink", value=link("run")),
    )


def submits(sandbox: Sandbox) -> list[Any]:
    return [seen.fields for seen in sandbox.log.of("POST", "/api/v1/prompt")]


def loaded(sandbox: Sandbox) -> list[str]:
    """What the loader of each submitted workflow names."""
    return [sent["prompt"]["73"]["inputs"]["image"] for sent in submits(sandbox)]


def fetched(url: str) -> Image.Image:
    answer = requests.get(url, timeout=PATIENCE)
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.content))


def result_of(host: Host, run: Run) -> Image.Image:
    """The picture on the node, from its file on this disk."""
    (shown,) = run.ui["run"]["images"]
    return Image.open(host.output_dir / shown["subfolder"] / shown["filename"])


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


# -- the nodes run ------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["table", "sample"])
def test_a_workflow_gets_the_picture_it_was_given_in_either_dialect_of_the_upload(
    cloud: Host, sandbox: Sandbox, monkeypatch: Any, dialect: str
) -> None:
    monkeypatch.setattr(sandbox.platforms["gpugeek"], "dialect", dialect)
    picture = node("ProbeImage", seed=dialect == "table", width=32, height=24)
    run = cloud.run(remote(picture=picture))
    assert run.status == "success", run.error
    (sent,) = submits(sandbox)
    assert (sent["workflow_id"], sent["task_type"]) == (WORKFLOW_ID, 1)
    assert set(sent) == {"workflow_id", "task_type", "prompt"}
    given = pixels(fetched(*loaded(sandbox)))
    turned = pixels(result_of(cloud, run)).astype(int)
    assert np.abs(turned - (255 - given.astype(int))).max() <= 1
    assert run.probe("seen")["shape"] == [1, 24, 32, 3]
    puts = [seen for seen in sandbox.log if seen.method == "PUT"]
    assert [seen.keyed for seen in puts] == [False]


def test_a_dialect_that_was_learnt_is_spoken_from_then_on(
    cloud: Host, sandbox: Sandbox, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sandbox.platforms["gpugeek"], "dialect", "sample")
    for seed in (40, 41):
        picture = node("ProbeImage", seed=seed, width=32, height=24)
        assert cloud.run(remote(picture=picture)).status == "success"
    methods = [seen.method for seen in sandbox.log if seen.path.endswith(LINK)]
    assert methods[-1] == "POST"
    assert methods.count("GET") <= 1
    stored = json.loads((cloud.home / "gpugeek.json").read_text())
    assert stored == {sandbox.base_url("gpugeek"): "sample"}


@pytest.mark.parametrize("channels", [3, 4])
def test_image_bytes_arrive_as_sent(cloud: Host, channels: int) -> None:
    run = cloud.run(
        graph(
            picture=node("ProbeImage", seed=7, width=31, height=17, batch=2, channels=channels),
            up=node("SkyportGpugeekUpload", media=link("picture")),
            mine=node("ProbeSink", value=link("picture")),
            urls=node("ProbeSink", value=link("up")),
        )
    )
    assert run.status == "success", run.error
    urls = [seen["value"] for seen in run.probe("urls")]
    there = np.stack([np.asarray(fetched(url)) for url in urls])
    assert there.shape == (2, 17, 31, channels)
    assert sha256(there) == run.probe("mine")["sha256"]


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize("source", ["ProbeMask", "ProbeAudio", "ProbeVideo"])
def test_every_medium_can_be_uploaded(cloud: Host, source: str) -> None:
    run = cloud.run(
        graph(
            medium=node(source),
            up=node("SkyportGpugeekUpload", media=link("medium")),
            url=node("ProbeSink", value=link("up")),
        )
    )
    assert run.status == "success", run.error
    assert requests.get(run.probe("url")["value"], timeout=PATIENCE).status_code == 200


def test_an_uploaded_address_goes_into_a_workflow_as_text(cloud: Host, sandbox: Sandbox) -> None:
    run = cloud.run(
        graph(
            picture=node("ProbeImage", seed=8, width=32, height=24),
            up=node("SkyportGpugeekUpload", media=link("picture")),
            image=node("SkyportRemoteInput", value=link("up"), target="73.image"),
            run=run_node(workflow(), inputs=link("image")),
            url=node("ProbeSink", value=link("up")),
        )
    )
    assert run.status == "success", run.error
    assert loaded(sandbox) == [run.probe("url")["value"]]
    assert len(sandbox.log.of("POST", "commit")) == 1


@pytest.mark.parametrize("ending", [None, "png"], ids=["honest", "all called png"])
def test_outputs_come_back_by_node_as_what_they_are(
    cloud: Host, sandbox: Sandbox, monkeypatch: Any, ending: str | None
) -> None:
    monkeypatch.setattr(sandbox.platforms["gpugeek"], "ending", ending)
    nodes = {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["2", 0]}},
        "2": {"class_type": "CLIPLoader", "inputs": {"clip_name": "clip.safetensors"}},
        "7": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "a"}},
        "8": {"class_type": "SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": "v"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "i"}},
    }
    names = ("images", "video", "frames", "audio", "text", "urls")
    sinks = {name: node("ProbeSink", value=link("run", n)) for n, name in enumerate(names)}
    run = cloud.run(graph(run=run_node(nodes), **sinks))
    assert run.status == "success", run.error
    assert run.probe("images")["type"] == "IMAGE"
    assert run.probe("video")["type"] == "VIDEO"
    assert run.probe("frames")["type"] == "IMAGE"
    assert run.probe("audio")["type"] == "AUDIO"
    assert len(run.probe("urls")) == 3
    assert "text" not in run.ui  # blocked, with the reason told
    assert any("GPUGeek sent no" in one.message for one in run.blocked)


def test_a_batch_is_a_task_for_each_picture_in_order(cloud: Host, sandbox: Sandbox) -> None:
    picture = node("ProbeImage", seed=9, width=32, height=24, batch=3)
    before = sandbox.charges["gpugeek"]
    run = cloud.run(remote(picture=picture))
    assert run.status == "success", run.error
    assert sandbox.charges["gpugeek"] - before == 3
    assert run.probe("seen")["shape"] == [3, 24, 32, 3]


def test_an_equal_order_is_not_paid_for_again(cloud: Host, sandbox: Sandbox) -> None:
    prompt = remote("reused")
    before = sandbox.charges["gpugeek"]
    assert cloud.run(prompt).status == "success"
    extended = {**prompt, "url": node("ProbeSink", value=link("run", 5))}
    extended["run"]["inputs"]["workflow_id"] = f" {WORKFLOW_ID}"  # ComfyUI's cache sees a change
    again = cloud.run(extended)
    assert again.status == "success", again.error
    assert any("no charge" in text for text in again.texts["run"])
    assert sandbox.charges["gpugeek"] - before == 1


# -- files of this machine, addresses elsewhere -------------------------------------------------


def save_input(host: Host, name: str, color: str) -> None:
    path = host.base / "input" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24), color).save(path)


def test_a_local_file_that_a_loader_names_goes_up_and_its_address_takes_its_place(
    cloud: Host, sandbox: Sandbox
) -> None:
    save_input(cloud, "harbour.png", "red")
    run = cloud.run(graph(run=run_node(workflow(image="harbour.png"))))
    assert run.status == "success", run.error
    assert loaded(sandbox)[0].startswith(sandbox.base_url("gpugeek"))
    assert pixels(result_of(cloud, run))[0, 0].tolist() == [0, 255, 255]


def test_a_local_file_that_changed_is_a_new_order(cloud: Host, sandbox: Sandbox) -> None:
    save_input(cloud, "changing.png", "red")
    prompt = graph(run=run_node(workflow(image="changing.png")))
    assert cloud.run(prompt).status == "success"
    save_input(cloud, "changing.png", "#00ff00")
    run = cloud.run(prompt)
    assert run.status == "success", run.error
    assert pixels(result_of(cloud, run))[0, 0].tolist() == [255, 0, 255]
    assert len(set(loaded(sandbox))) == 2


def test_a_text_that_names_a_local_file_is_one_too_beside_a_batch(
    cloud: Host, sandbox: Sandbox
) -> None:
    save_input(cloud, "beside.png", "blue")
    two = workflow()
    two["74"] = {"class_type": "LoadImage", "inputs": {"image": "replaced.png"}}
    two["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["74", 0]}}
    run = cloud.run(
        graph(
            batch=node("ProbeImage", seed=12, width=32, height=24, batch=2),
            words=node("ProbeText", value="beside.png"),
            image=node("SkyportRemoteInput", value=link("batch"), target="73.image"),
            other=node(
                "SkyportRemoteInput", value=link("words"), target="74.image", inputs=link("image")
            ),
            run=run_node(two, inputs=link("other")),
        )
    )
    assert run.status == "success", run.error
    beside = {sent["prompt"]["74"]["inputs"]["image"] for sent in submits(sandbox)}
    assert [pixels(fetched(url))[0, 0].tolist() for url in beside] == [[0, 0, 255]]
    assert len(set(loaded(sandbox))) == 2


def test_a_foreign_address_is_committed_once_and_the_platforms_own_is_named(
    cloud: Host, sandbox: Sandbox
) -> None:
    for _ in range(2):
        run = cloud.run(graph(run=run_node(workflow(image=FOREIGN))))
        assert run.status == "success", run.error
    (commit,) = sandbox.log.of("POST", "commit")
    assert commit.fields == {"oss_url": FOREIGN}
    assert len(set(loaded(sandbox))) == 1
    assert loaded(sandbox)[0].startswith(sandbox.base_url("gpugeek"))


# -- waiting ------------------------------------------------------------------------------------


def test_the_node_tells_its_place_in_the_queue_and_what_it_costs(cloud: Host, clock: Clock) -> None:
    with clock.still():
        handle = cloud.start(remote(f"{LONG} told"))
        handle.wait_for_text("run", "queue 3/3")
        clock.forward(IN_QUEUE / 2)
        handle.wait_for_text("run", "queue 2/3")
        clock.forward(IN_QUEUE)
        handle.wait_for_text("run", "running")
        clock.forward()
        run = handle.result()
    assert run.status == "success", run.error
    texts = run.texts["run"]
    title = f"GPUGeek workflow {WORKFLOW_ID}"
    queued = [text for text in texts if "queued" in text]
    assert any(f"{title} \u00b7 queued" in text for text in queued)
    assert any("running" in text and "queue" not in text for text in texts)
    assert any("0.11 CNY" in text for text in queued)
    assert texts[-1].startswith(f"{title} \u00b7 done \u00b7 0.11 CNY")


@pytest.mark.parametrize("stage", ["queued", "running"])
def test_interrupt_cancels_the_remote_task_and_the_node_says_so(
    cloud: Host, sandbox: Sandbox, clock: Clock, stage: str
) -> None:
    prompt = remote(f"{LONG} interrupted while {stage}")
    before = sandbox.charges["gpugeek"]
    with clock.still():
        handle = cloud.start(prompt)
        handle.wait_for_text("run", "queued")
        clock.forward(0.0 if stage == "queued" else 1.5 * IN_QUEUE)
        handle.wait_for_text("run", stage)
        task = list(sandbox.tasks)[-1]
        cloud.interrupt()
        text = handle.wait_for_text("run", "cancelled")
        run = handle.result()
    assert run.status == "interrupted"
    assert run.texts["run"][-1] == text
    assert text == f"GPUGeek task {task.id}: The task was cancelled on the platform."
    imitation: Any = sandbox.platforms["gpugeek"]
    assert imitation.status_of(task) == CANCELLED
    (cancel,) = sandbox.log.of("POST", "task/cancel")
    assert cancel.fields == {"task_id": task.id}
    assert sandbox.charges["gpugeek"] - before == 1


def test_after_an_interrupt_the_same_queue_is_a_new_task_that_runs(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    prompt = remote(f"{LONG} again")
    before = sandbox.charges["gpugeek"]
    handle = cloud.start(prompt)
    handle.wait_for_text("run", "queued")
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    again = queued_again(cloud, clock, prompt)
    assert again.status == "success", again.error
    assert sandbox.charges["gpugeek"] - before == 2  # the cancelled one, and this
    assert not any("cancelled" in text for text in again.texts["run"])


def queued_again(host: Host, clock: Clock, prompt: Any) -> Run:
    """What comes of the same prompt; its task ends once the node shows it."""
    handle = host.start(prompt)
    handle.wait_for_text("run", "queued")
    clock.forward()
    return handle.result()


def test_an_interrupt_that_comes_too_late_loses_nothing(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    sandbox.faults.add(
        "POST /api/v1/task/cancel",
        "status",
        status=200,
        body={"code": 30409, "message": "the task has ended", "traceid": "1", "data": None},
    )
    prompt = remote(f"{LONG} too late")
    before = sandbox.charges["gpugeek"]
    handle = cloud.start(prompt)
    handle.wait_for_text("run", "queued")
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    again = queued_again(cloud, clock, prompt)
    assert again.status == "success", again.error
    assert sandbox.charges["gpugeek"] - before == 1


def test_a_cancel_that_the_platform_cannot_do_is_told_with_what_comes_of_it(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    sandbox.faults.add("POST /api/v1/task/cancel", "status", status=401, body="who are you")
    prompt = remote(f"{LONG} not cancelled")
    before = sandbox.charges["gpugeek"]
    handle = cloud.start(prompt)
    handle.wait_for_text("run", "queued")
    cloud.interrupt()
    text = handle.wait_for_text("run", "who are you")
    assert handle.result().status == "interrupted"
    assert "not lost" in text
    again = queued_again(cloud, clock, prompt)
    assert again.status == "success", again.error
    assert sandbox.charges["gpugeek"] - before == 1


def test_who_only_loads_a_result_cancels_nothing_by_an_interrupt(
    cloud: Host, sandbox: Sandbox, clock: Clock
) -> None:
    prompt = remote(f"{LONG} looked at")
    prompt["bad"] = node("ProbeFailAsync", gate="who ran it is gone")
    load = graph(
        load=node("SkyportLoadResult", job="latest"), seen=node("ProbeSink", value=link("load"))
    )
    before = sandbox.charges["gpugeek"]
    handle = cloud.start(prompt)
    handle.wait_for_text("run", "queued")
    cloud.open_gate("who ran it is gone")
    assert handle.result().status == "error"
    handle = cloud.start(load)
    handle.wait_for_text("load", "queued")
    cloud.interrupt()
    assert handle.result().status == "interrupted"
    handle = cloud.start(load)
    handle.wait_for_text("load", "queued")
    clock.forward()
    run = handle.result()
    assert run.status == "success", run.error
    assert run.probe("seen")["type"] == "IMAGE"
    assert not sandbox.log.of("POST", "task/cancel")
    assert sandbox.charges["gpugeek"] - before == 1


# -- bad input, bad luck ------------------------------------------------------------------------


@pytest.mark.parametrize("workflow_id", ["", "my workflow"])
def test_a_workflow_id_that_is_no_number_is_refused_before_any_upload(
    cloud: Host, sandbox: Sandbox, workflow_id: str
) -> None:
    prompt = remote(workflow_id=workflow_id)
    failed(cloud, prompt, "InvalidInput", "GPUGeek", "workflow_id", f'"{workflow_id}"')
    assert not list(sandbox.log)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ("not json", ("JSON", "Export (API)")),
        ({"nodes": [], "links": []}, ("editor", "Export (API)")),
        (workflow(image="nowhere.png"), ("nowhere.png", "Node 73")),
    ],
)
def test_a_workflow_that_cannot_run_is_refused_before_anything_is_sent(
    cloud: Host, sandbox: Sandbox, nodes: Any, words: tuple[str, ...]
) -> None:
    if cloud.kind == "standin" and isinstance(nodes, dict) and "73" in nodes:
        pytest.skip("a loader that is not installed here may find its file there")
    failed(cloud, graph(run=run_node(nodes)), "InvalidInput", *words)
    assert not list(sandbox.log)


def test_a_target_that_is_not_there_is_refused_with_those_that_are(cloud: Host) -> None:
    prompt = remote()
    prompt["image"]["inputs"]["target"] = "74.image"
    failed(cloud, prompt, "InvalidInput", "74.image", "73.image (LoadImage)")


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        ("[[fail:no harbour found]]", "TaskFailed", "no harbour found"),
        ("[[balance]]", "OutOfCredit", "Insufficient balance"),
        ("[[cut_after]]", "OutcomeUnknown", "charged"),
        ("[[status:500]]", "OutcomeUnknown", "500"),
        ("[[private]]", "BadResult", "10.20.30.40"),
    ],
)
def test_what_the_platform_does_wrong_is_told_by_its_class(
    cloud: Host, sandbox: Sandbox, words: str, kind: str, expected: str
) -> None:
    failed(cloud, remote(words), kind, expected, "GPUGeek")
    assert len(submits(sandbox)) == 1


def test_a_workflow_the_platform_does_not_know_is_refused_with_its_code_and_trace(
    cloud: Host, sandbox: Sandbox
) -> None:
    prompt = remote(workflow_id="7")
    failed(cloud, prompt, "InputRejected", "workflow 7 does not exist", "20404", "traceid")
    assert len(submits(sandbox)) == 1


def test_no_key_leaves_the_machine_of_the_graph(cloud: Host) -> None:
    run = cloud.run(remote("secret"))
    assert run.status == "success", run.error
    history = cloud.client.call("GET", "/history").text
    stored = [path.read_bytes() for path in Path(cloud.output_dir).rglob("*") if path.is_file()]
    assert stored
    assert KEY not in history + cloud.log_text() + json.dumps(run.events, default=str)
    assert not any(KEY.encode() in one for one in stored)
