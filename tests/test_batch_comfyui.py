"""Pins batches on a running ComfyUI: a graph for each row, queued once however it is stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _waiting import until
from batches import Batch, ended, fast_sandbox
from gate import behind_a_gate
from host import Host, link, node
from PIL import Image
from sandboxes import environment, set_environment
from skyport.sandbox import Sandbox

QUEUE = "/api/prompt"
MAPS = ("--map", "prompt=3.filename_prefix", "--map", "photo=1.image")
NANO = "google/gemini-3.1-flash-image-preview"


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "haiyi")


@pytest.fixture
def graph_file(tmp_path: Path) -> Path:
    nodes = {
        "1": node("LoadImage", image="example.png"),
        "2": node("ImageInvert", image=link("1")),
        "3": node("SaveImage", images=link("2"), filename_prefix="x"),
    }
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "photo.png")
    path = tmp_path / "w.json"
    path.write_text(json.dumps(nodes), encoding="utf-8")
    return path


@pytest.fixture
def batch(skyport: Any, process: Any, graph_file: Path, tmp_path: Path) -> Callable[..., Any]:
    """Runs the command on a table of this text; its lines of results are in `rows`."""

    def run(text: str, url: str, *more: object) -> Any:
        (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
        given = ("--comfyui", url, "--workflow", graph_file, "--output", tmp_path / "out")
        found = skyport("batch", tmp_path / "rows.csv", *given, *more)
        listed = tmp_path / "out" / "results.jsonl"
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
        found.rows = [json.loads(line) for line in lines]
        return found

    return run


def test_each_row_is_a_graph_in_the_queue_and_its_files_are_fetched(
    batch: Any, tmp_path: Path, monkeypatch: Any
):
    with fast_sandbox() as box:
        set_environment(monkeypatch, environment(box, "comfyui"))  # its key
        url = box.base_url("comfyui")
        text = "prompt,photo\na,photo.png\nb,photo.png\nc,gone.png\n[[fail:no memory]],photo.png\n"
        done = batch(text, url, *MAPS)
        assert done.code == 1
        assert [row["state"] for row in done.rows] == ["done", "done", "refused", "failed"]
        assert [row["files"] for row in done.rows[:2]] == [["000001.png"], ["000002.png"]]
        assert "gone.png" in done.rows[2]["error"]
        assert "no memory" in done.rows[3]["error"]
        with Image.open(tmp_path / "out" / "000001.png") as image:
            assert image.size == (64, 48)
        sent = [one.fields["prompt"] for one in box.log.of("POST", QUEUE)]
        assert sorted(one["3"]["inputs"]["filename_prefix"] for one in sent)[1:] == ["a", "b"]
        assert len(box.log.of("POST", "/api/upload/image")) == 1

        again = batch(text, url, *MAPS)
        assert [row["state"] for row in again.rows] == [row["state"] for row in done.rows]
        assert box.charges["comfyui"] == 3


def test_killed_the_same_command_follows_what_is_queued_there(tmp_path: Path, graph_file: Path):
    with fast_sandbox() as box:
        orders = ("--comfyui", box.base_url("comfyui"), "--workflow", str(graph_file))
        orders = (*orders, *MAPS[:2], "--set", "1.image=photo.png")
        batch = Batch(tmp_path, box, orders=orders, platform="comfyui")
        batch.write(24)
        for moment in (3, 11):
            batch.run_and_signal(moment)
        last = batch.run()
        assert (last.code, batch.states()) == (0, {"done": 24}), last.err
        assert box.charges["comfyui"] == 24
        ids = [one.fields["prompt_id"] for one in box.log.of("POST", QUEUE)]
        assert len(set(ids)) == 24


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--server", "pc"], "--server does not apply here"),
        (["--limit-cost", "5CNY"], "--limit-cost does not apply here"),
    ],
)
def test_options_that_would_not_hold_there_are_refused(batch: Any, options: Any, words: str):
    done = batch("prompt\na\n", "http://127.0.0.1:9", *MAPS[:2], *options)
    assert done.code == 1
    assert words in done.err


def test_comfy_cloud_is_no_server_without_settings(batch: Any):
    done = batch("prompt\na\n", "https://cloud.comfy.org", *MAPS[:2])
    assert done.code == 1
    assert "skyport servers add" in done.err


def test_the_cloud_nodes_of_all_rows_in_the_queue_begin_at_once_and_a_killed_batch_follows_them(
    cloud: Host, sandbox: Sandbox, tmp_path: Path, graph_file: Path
):
    model = {"model": NANO, "model.aspect_ratio": "1:1", "model.n": 1}
    make = node("SkyportHaiyiTextToImage", model, prompt="x", seed=1)
    nodes = {"1": make, "2": node("ProbeSink", value=link("1"))}
    graph_file.write_text(json.dumps(nodes), encoding="utf-8")
    orders = ("--comfyui", cloud.client.url, "--workflow", str(graph_file))
    orders = (*orders, "--map", "prompt=1.prompt")
    batch = Batch(tmp_path, sandbox, orders=orders, platform="comfyui")
    batch.write(3)
    with behind_a_gate(cloud):
        process = batch.start()
        until(lambda: len(sandbox.log.of("POST", "generate/image")) == 3 or process.poll())
        process.kill()
        stopped = ended(process)
    assert stopped.code == -signal.SIGKILL, stopped.err
    last = batch.run()
    assert (last.code, batch.states()) == (0, {"done": 3}), last.err
    assert len(sandbox.log.of("POST", "generate/image")) == 3
    names = {path.name for path in batch.output.glob("*.png")}
    assert names == {"000001.png", "000002.png", "000003.png"}


def test_a_dry_run_says_what_the_cloud_nodes_of_all_rows_order(
    batch: Any, graph_file: Path, monkeypatch: Any
):
    make = node("SkyportHaiyiTextToImage", {"model": NANO, "model.n": 1}, prompt="x", seed=1)
    nodes = {"1": make, "2": node("SaveImage", images=link("1"), filename_prefix="x")}
    graph_file.write_text(json.dumps(nodes), encoding="utf-8")
    with fast_sandbox() as box:
        set_environment(monkeypatch, environment(box, "haiyi", "comfyui"))
        options = ("--map", "prompt=1.prompt", "--dry-run")
        done = batch("prompt\na\nb\nc\n", box.base_url("comfyui"), *options)
        assert done.code == 0, done.err
        assert "tasks: 3" in done.out
        assert not box.charges
