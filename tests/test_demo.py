"""Pins the demo: with no account the main job runs, tells what it made, and owns up to failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _clock import Clock
from _waiting import PATIENCE, until
from host import Host, open_host
from PIL import Image
from skyport.cli import main
from skyport.demo._examples import Examples
from skyport.demo._inspect import kind_of, size_of
from skyport.demo._main_job import PICTURE, MainJob
from skyport.demo._sandboxed import sandboxed
from skyport.demo._sheet import draw
from skyport.demo._steps import Step, StepResult
from skyport.engine.base.errors import InvalidInput, SkyportError
from skyport.engine.base.types import Kind
from skyport.providers import runner
from skyport.sandbox import Sandbox, platform_names

ROOT = Path(__file__).parent.parent
PACE = 0.05
MADE = ["image", "video", "image", "image", "audio"]


@dataclass(frozen=True)
class Demo:
    """What the command did in a data folder of its own, `home`."""

    done: subprocess.CompletedProcess[str]
    output: Path
    home: Path


def whole_demo(factory: pytest.TempPathFactory) -> Demo:
    output, home = factory.mktemp("demo") / "out", factory.mktemp("demo_home")
    keys = {"HAIYI_API_KEY": "AI-my-own-real-key", "SKYPORT_HOME": str(home)}
    argv = [sys.executable, "-m", "skyport", "demo", "--output", str(output), "--pace", str(PACE)]
    env = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", **keys}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=ROOT, timeout=PATIENCE)
    return Demo(done, output, home)


@pytest.fixture(scope="module")
def kept() -> list[Demo]:
    """The one demo of this file, once there is one."""
    return []


@pytest.fixture
def demo(kept: list[Demo], tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run by the first test that asks, as the environment is clean only inside a test."""
    if not kept:
        kept.append(whole_demo(tmp_path_factory))
    [demo] = kept
    assert demo.done.returncode == 0, demo.done.stderr
    return demo


def test_the_whole_demo_runs_as_a_process_without_account_or_terminal(demo):
    text = demo.done.stdout + demo.done.stderr
    assert "AI-" not in text
    assert all(char.isprintable() for line in text.splitlines() for char in line)
    results = sorted((demo.output / "haiyi").glob("*/*.*"))
    assert sorted(kind_of(path).value for path in results) == sorted(MADE)
    with Image.open(demo.output / "contact_sheet.png") as sheet:
        assert sheet.width > 1000


def test_the_table_names_step_model_task_and_result(demo):
    rows = demo.done.stdout.splitlines()
    film = next(row for row in rows if row.startswith("image to video"))
    assert "kwai/kling-v3" in film
    assert "3.0 s" in film
    [path] = demo.output.glob("haiyi/*/kling-v3_*.mp4")
    assert path.relative_to(demo.output).as_posix() in film
    assert path.stem.split("_")[1] in film.split()
    frames = next(row for row in rows if row.startswith("frames"))
    assert "72 frames decoded, 5 kept" in frames
    assert len(list(demo.output.glob("haiyi/*/*_frames/*.png"))) == 5


def test_the_demo_leaves_the_users_keys_and_models_alone(demo):
    assert list(demo.home.iterdir()) == []


def test_a_failing_step_makes_the_demo_fail_and_says_why(tmp_path, capsys):
    argv = ["demo", "--output", str(tmp_path), "--pace", str(PACE), "--prompt", "[[fail:fog]]"]
    assert main(argv) == 1
    rows = capsys.readouterr().out.splitlines()
    assert "fog" in next(row for row in rows if row.startswith("edited image"))
    assert "not done" in next(row for row in rows if row.startswith("image to video"))
    assert ".png" in next(row for row in rows if row.startswith("remote workflow"))
    assert (tmp_path / "contact_sheet.png").is_file()


def test_the_environment_is_as_before_when_the_demo_has_ended():
    before = dict(os.environ)
    with sandboxed(PACE) as sandbox:
        assert os.environ["HAIYI_BASE_URL"] == sandbox.base_url("haiyi")
    assert dict(os.environ) == before


def test_the_branches_run_side_by_side(tmp_path):
    clock = Clock()
    with sandboxed(PACE, clock) as sandbox:
        with clock.still():  # nothing ends
            trip = runner().engine.start(MainJob(tmp_path, "a harbour").go())
            until(lambda: len(sandbox.tasks) == 7)
            first = list(sandbox.tasks)
        trip.result(PATIENCE)
    assert {task.platform for task in first} == set(platform_names()) - {
        "comfyui"
    }  # a person's own server


def test_the_edited_image_is_what_the_video_begins_with(tmp_path):
    with sandboxed(PACE) as sandbox:
        trip = MainJob(tmp_path, "a harbour")
        runner().engine.run(trip.go())
        uploads = [seen for seen in sandbox.log if seen.path.endswith("/file/upload")]
    [edited] = trip.edit.results
    assert [seen.fields["file"]["size"] for seen in uploads] == [
        PICTURE.stat().st_size,
        edited.files[0].stat().st_size,
    ]


def test_a_bug_in_one_branch_is_not_hidden(tmp_path, monkeypatch):
    with sandboxed(PACE):
        trip = MainJob(tmp_path, "a harbour")
        monkeypatch.setattr(trip, "prompt", object())
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it comes out
            runner().engine.run(trip.go())
    assert not isinstance(caught.value, SkyportError)
    assert [step.state for step in trip.steps if step is trip.workflow] == ["done"]


# -- what is seen of results --------------------------------------------------------------------


def test_the_picture_is_small_enough_to_ship():
    assert PICTURE.stat().st_size < 150_000
    assert kind_of(PICTURE) is Kind.IMAGE


def test_a_truncated_result_is_told_by_name(tmp_path):
    path = tmp_path / "half.png"
    path.write_bytes(PICTURE.read_bytes()[:20_000])
    with pytest.raises(SkyportError, match=r"half\.png"):
        size_of(path)


def test_the_contact_sheet_has_a_card_for_a_failure(tmp_path):
    good = Step("upload", state="done", results=[StepResult("picture.png", "768 x 512", [PICTURE])])
    alone = draw([good], tmp_path / "one.png")
    bad = Step("edited image", state="failed", error="the sea was too rough " * 9)
    both = draw([good, bad], tmp_path / "two.png")
    assert both.read_bytes() != alone.read_bytes()


# -- inside ComfyUI -----------------------------------------------------------------------------


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A workflow of the pack's nodes alone, so that the stand-in can run it too."""
    nodes = {
        "1": {"class_type": "SkyportRemoteInput", "inputs": {"target": "prompt", "value": "dusk"}},
        "2": {
            "class_type": "SkyportHaiyiRunApp",
            "inputs": {
                "workflow_id": "1002",
                "version_id": "",
                "cluster": "auto",
                "seed": 0,
                "inputs": ["1", 0],
            },
        },
    }
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "Story.json").write_text(json.dumps(nodes), encoding="utf-8")
    return folder


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandboxed(PACE) as sandbox:
        yield sandbox


@pytest.fixture
def comfyui(sandbox: Sandbox, tmp_path: Path) -> Iterator[Host]:
    with open_host("standin", tmp_path / "host") as host:
        yield host


def test_examples_run_through_the_nodes_and_their_results_are_fetched(
    comfyui, sandbox, examples, tmp_path
):
    trip = Examples(tmp_path / "out", comfyui.client, sandbox, examples)
    runner().engine.run(trip.go())
    [step] = trip.steps
    assert (step.state, step.error) == ("done", "")
    assert [task.plan.kind for task in sandbox.tasks] == ["app"]
    assert step.task == str(next(iter(sandbox.tasks)).id)
    kinds = {kind_of(path) for result in step.results for path in result.files}
    assert Kind.VIDEO in kinds
    assert all(
        result.files[0].is_relative_to(tmp_path / "out" / "Story") for result in step.results
    )


def test_an_example_that_fails_says_so_and_the_next_one_runs(comfyui, sandbox, examples, tmp_path):
    text = (examples / "Story.json").read_text("utf-8")
    (examples / "A failing one.json").write_text(text.replace("dusk", "[[fail:no wind]]"), "utf-8")
    trip = Examples(tmp_path / "out", comfyui.client, sandbox, examples)
    runner().engine.run(trip.go())
    assert [step.state for step in trip.steps] == ["failed", "done"]
    assert "no wind" in trip.steps[0].error


def test_no_examples_is_an_error(comfyui, sandbox, tmp_path):
    with pytest.raises(InvalidInput):
        Examples(tmp_path, comfyui.client, sandbox, tmp_path)


def test_a_folder_without_comfyui_is_a_plain_error(tmp_path, capsys):
    argv = ["demo", "--output", str(tmp_path / "out"), "--comfyui", str(tmp_path)]
    assert main(argv) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.host
def test_the_example_workflows_run_in_a_real_comfyui(tmp_path: Path, capsys: Any) -> None:
    checkout = os.environ.get("COMFYUI_PATH")
    if not checkout:
        pytest.skip("COMFYUI_PATH is not set")
    argv = ["demo", "--output", str(tmp_path), "--comfyui", checkout, "--pace", str(PACE)]
    assert main(argv) == 0, capsys.readouterr().out
    assert (tmp_path / "contact_sheet.png").is_file()
