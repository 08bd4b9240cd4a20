"""Pins that a node, and the command, deliver the good results of a task and name the others."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from host import Host, Run, graph, link, node
from sandboxes import environment, failed, set_environment
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

CLOUDS = ("haiyi", "happyhorse", "gpugeek", "opencomputing")
FILES = 6  # the output of that name
serial = itertools.count(1)

pytestmark = pytest.mark.usefixtures("models_are_known", "quick_polls")


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, *CLOUDS)


@pytest.fixture
def clouds(sandbox: Sandbox, monkeypatch: Any) -> Sandbox:
    """The sandbox, with this process led to it by the environment."""
    set_environment(monkeypatch, environment(sandbox, *CLOUDS))
    sandbox.log.clear()
    sandbox.faults.clear()
    return sandbox


def workflow(words: str, count: int = 3) -> str:
    """Saves `count` pictures, each by a node of its own."""
    nodes: dict[str, Any] = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 255},
        }
    }
    for n in range(count):
        save = {"images": ["1", 0], "filename_prefix": f"out {words}" if n == 0 else f"out {n}"}
        nodes[f"{10 + n}"] = {"class_type": "SaveImage", "inputs": save}
    return json.dumps(nodes)


def haiyi(words: str) -> dict[str, Any]:
    values = {"model.aspect_ratio": "1:1", "model.n": 3}
    inputs = {
        "prompt": words,
        "seed": next(serial),
        "model": "google/gemini-3.1-flash-image-preview",
    }
    return node("SkyportHaiyiTextToImage", {**inputs, **values})


def happyhorse(words: str) -> dict[str, Any]:
    values = {
        "model.n": 3,
        "model.size": "1:1",
        "model.response_format": "url",
        "model.resolution": "1k",
    }
    inputs = {"prompt": words, "seed": next(serial), "model": "gpt-image-2-pro"}
    return node("SkyportHappyHorseTextToImage", {**inputs, **values})


def haiyi_workflow(words: str) -> dict[str, Any]:
    inputs = {"workflow": workflow(words), "cluster": "auto", "seed": next(serial)}
    return node("SkyportHaiyiRunWorkflow", inputs)


def gpugeek_workflow(words: str) -> dict[str, Any]:
    inputs = {"workflow": workflow(words), "workflow_id": str(WORKFLOW_ID), "seed": next(serial)}
    return node("SkyportGpugeekRunWorkflow", inputs)


MAKERS: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "haiyi": (haiyi, "/oss/"),
    "haiyi workflow": (haiyi_workflow, "/api/view"),
    "happyhorse": (happyhorse, "/results/"),
    "gpugeek": (gpugeek_workflow, "/comfy/output/"),
}
EACH = pytest.mark.parametrize(("make", "path"), MAKERS.values(), ids=MAKERS)


def prompt_of(make: dict[str, Any], output: int = 0) -> dict[str, Any]:
    return graph(make=make, seen=node("ProbeSink", value=link("make", output)))


def ran(host: Host, prompt: dict[str, Any]) -> Run:
    run = host.run(prompt)
    assert run.status == "success", (run.error, run.node_errors)
    return run


def count_of(run: Run) -> int:
    """How many pictures came, in one batch."""
    return int(run.probe("seen")["shape"][0])


def downloads(sandbox: Sandbox, path: str) -> int:
    return sum(seen.method == "GET" and path in seen.path for seen in sandbox.log)


# -- some of several -------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("[[gone]]", "404"),
        ("[[html]]", "SANDBOX"),
        ("[[noise]]", "cannot be read"),
        ("[[redirect]]", "localhost"),
        ("[[file:csv]] [[type:text/html]]", "not an image"),
    ],
)
def test_a_result_that_is_wrong_is_named_and_the_others_are_delivered(
    cloud: Host, sandbox: Sandbox, make: Any, path: str, marker: str, words: str
) -> None:
    run = ran(cloud, prompt_of(make(f"{marker} [[only:2]]")))
    assert count_of(run) == 2
    assert len(run.ui["make"]["images"]) == 2
    text = run.texts["make"][-1]
    assert "Result 2 of 3" in text
    assert words in text
    assert "at no charge" in text


@EACH
@pytest.mark.parametrize("fault", [("html", {}), ("short_body", {"after": 30})])
def test_queued_again_the_node_fetches_only_what_was_missing(
    cloud: Host, sandbox: Sandbox, make: Any, path: str, fault: tuple[str, dict[str, Any]]
) -> None:
    kind, settings = fault
    prompt = prompt_of(make("a fox"))
    charges = sum(sandbox.charges.values())
    sandbox.faults.add(f"GET *{path}*", kind, skip=1, **settings)
    assert count_of(ran(cloud, prompt)) == 2
    sandbox.log.clear()
    whole = ran(cloud, prompt)
    assert count_of(whole) == 3
    assert downloads(sandbox, path) == 1
    assert "missing" not in whole.texts["make"][-1]
    assert sum(sandbox.charges.values()) - charges == 1
    sandbox.log.clear()
    again = ran(cloud, prompt)
    assert "make" not in again.ran()  # ComfyUI has all of it
    shown = {one["filename"] for one in whole.ui["make"]["images"]}
    folders = {cloud.output_dir / one["subfolder"] for one in whole.ui["make"]["images"]}
    task = min(shown).partition("_1")[0]
    on_disk = {each.name for folder in folders for each in folder.glob(f"{task}*")}
    assert on_disk == shown


@EACH
def test_an_address_that_ended_is_asked_for_again_at_once(
    cloud: Host, sandbox: Sandbox, make: Any, path: str
) -> None:
    run = ran(cloud, prompt_of(make("[[gone:1]] [[only:3]]")))
    assert count_of(run) == 3
    assert "missing" not in run.texts["make"][-1]
    assert downloads(sandbox, path) == 4


def test_a_result_inside_the_answer_that_cannot_be_decoded_is_named(cloud: Host) -> None:
    words = "[[spelling:url_data_url]] [[bad_data]] [[only:1]]"
    for make in (haiyi, happyhorse, haiyi_workflow, gpugeek_workflow):
        run = ran(cloud, prompt_of(make(words)))
        assert count_of(run) == 2
        assert "Result 1 of 3" in run.texts["make"][-1]


def test_load_result_fetches_what_was_missing(cloud: Host, sandbox: Sandbox) -> None:
    sandbox.faults.add("GET *oss*", "html", skip=2)
    assert count_of(ran(cloud, prompt_of(haiyi("to be loaded")))) == 2
    sandbox.log.clear()
    load = node("SkyportLoadResult", job="latest")
    assert count_of(ran(cloud, prompt_of(load))) == 3
    assert downloads(sandbox, "oss") == 1


# -- no media --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [haiyi_workflow, gpugeek_workflow])
@pytest.mark.parametrize("ending", ["glb", "zip", "json", "csv", "exe"])
def test_a_result_that_is_no_medium_is_kept_and_named_beside_the_pictures(
    cloud: Host, sandbox: Sandbox, make: Any, ending: str
) -> None:
    prompt = prompt_of(make(f"[[file:{ending}]] [[only:2]]"))
    prompt |= {f"out{n}": node("ProbeSink", value=link("make", n)) for n in (FILES - 1, FILES)}
    run = ran(cloud, prompt)
    assert count_of(run) == 2
    path = Path(run.probe(f"out{FILES}")["value"])
    assert path.suffix == (".bin" if ending == "exe" else f".{ending}")
    sent = list(sandbox.tasks)[-1].made[1].file
    assert path.read_bytes() == sent.path.read_bytes()
    assert len(run.probe(f"out{FILES - 1}")) == 3  # the addresses of all
    assert path.name in run.texts["make"][-1]
    assert "missing" not in run.texts["make"][-1]


def test_files_is_blocked_with_a_reason_where_there_are_none(cloud: Host) -> None:
    run = cloud.run(prompt_of(gpugeek_workflow("only pictures"), FILES))
    assert [one.message for one in run.blocked if "GPUGeek sent no file" in one.message]


def test_a_node_for_pictures_names_the_file_that_came_instead(cloud: Host) -> None:
    values = {"prompt": "[[file:zip]]", "seed": next(serial), "model": "wan2.2-t2i-plus"}
    make = node("SkyportOpenComputingTextToImage", {**values, "model.negative_prompt": ""})
    run = cloud.run(prompt_of(make, 1))
    assert run.probe("seen")["value"].startswith("http://127.0.0.1")
    assert ".zip" in run.texts["make"][-1]
    blocked = cloud.run(prompt_of(make, 0)).blocked
    assert ["OpenComputing sent no image" in one.message for one in blocked] == [True]


@pytest.mark.parametrize(
    ("marker", "kind"), [("[[gone]]", "TaskUnresolved"), ("[[html]]", "BadResult")]
)
def test_a_task_of_which_nothing_comes_fails_as_ever(cloud: Host, marker: str, kind: str) -> None:
    values = {"prompt": marker, "seed": next(serial), "model": "wan2.2-t2i-plus"}
    make = node("SkyportOpenComputingTextToImage", {**values, "model.negative_prompt": ""})
    failed(cloud, prompt_of(make), kind)


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("process")
def test_the_command_prints_what_came_and_names_the_rest(
    clouds: Sandbox, skyport: Any, tmp_path: Path
) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(workflow("[[file:glb]] [[only:2]]"), encoding="utf-8")
    clouds.faults.add("GET *view*", "html", skip=2)
    run = ("run", file, "--platform", "haiyi", "--output", tmp_path / "out")
    first = skyport(*run)
    assert first.code == 0, first.err
    assert len(first.lines) == 2
    assert "is missing" in first.err
    listed = json.loads(skyport("jobs", "--json").out)
    assert len(listed[0]["missing"]) == 1
    assert "2/3" in skyport("jobs").out
    assert "is missing" in skyport("jobs", "show", "latest").out
    clouds.log.clear()
    fetched = skyport("jobs", "fetch", "latest")
    assert (fetched.code, len(fetched.lines)) == (0, 3)
    assert downloads(clouds, "view") == 1
    assert "is missing" not in fetched.err
    assert clouds.charges["haiyi"] == len([one for one in clouds.tasks if one.platform == "haiyi"])
    assert len([each for each in (tmp_path / "out").rglob("*") if each.is_file()]) == 2
