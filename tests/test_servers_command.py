"""Pins `skyport servers`, and what the other commands say of ComfyUI servers of one's own: a key is
read and never an argument, and a name leads to the server that has it.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, Scripted, answer_json, closed_port
from skyport.engine.settings import keys
from skyport.providers.comfyui import _servers
from skyport.providers.comfyui._servers import Server

SECRET = "sk-a-secret-that-nobody-may-see-7Q4z"
STATS = {
    "system": {"comfyui_version": "0.33.0"},
    "devices": [{"name": "cuda:0", "vram_total": 24 * 1024**3, "vram_free": 20 * 1024**3}],
}
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


@pytest.fixture
def studio() -> Iterator[Scripted]:
    """A ComfyUI with an empty queue, which makes a picture at once."""
    with Scripted() as server:
        server.on("/api/v2/jobs", Answer(404, b"not found"))
        server.on("/api/system_stats", answer_json(STATS))
        server.on("/api/queue", answer_json({"queue_running": [], "queue_pending": []}))
        server.on("/api/object_info", answer_json({}))
        server.on("/api/prompt", lambda seen: submitted(server, seen.json()["prompt_id"]))
        server.on("/api/view", Answer(body=b"\x89PNG\r\n\x1a\n" + bytes(64)))
        yield server


def submitted(server: Scripted, id: str) -> Answer:
    made = {"filename": "a.png", "subfolder": "", "type": "output"}
    job = {"id": id, "status": "completed", "outputs": {"9": {"images": [made]}}}
    server.on(f"/api/jobs/{id}", answer_json(job))
    return answer_json({"prompt_id": id, "number": 1, "node_errors": {}})


@pytest.fixture
def typed(monkeypatch: Any) -> Callable[[str], None]:
    """What comes in on a standard input that is no terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# -- servers --------------------------------------------------------------------------------------


def test_a_server_is_added_listed_and_removed_with_a_key_that_is_read_and_not_shown(skyport, typed):
    typed(f"{SECRET}\n")
    added = skyport("servers", "add", "pod", "pod.example.com", "--header", "bearer")
    assert (added.code, keys.find("comfyui:pod").value) == (0, SECRET)
    listed = skyport("servers", "list")
    for words in ("pod", "https://pod.example.com", "bearer ...7Q4z"):
        assert words in listed.lines[2]
    assert skyport("servers").lines == listed.lines
    view = json.loads(skyport("servers", "list", "--json").out)[0]
    assert (view["name"], view["key"]) == ("pod", {"set": True, "last4": "7Q4z"})
    removed = skyport("servers", "remove", "pod")
    assert (removed.code, keys.find("comfyui:pod"), _servers.names()) == (0, None, [])
    assert SECRET not in added.all + listed.all + removed.all + json.dumps(view)


def test_without_a_server_the_list_says_how_to_add_one(skyport):
    listed = skyport("servers")
    assert (listed.code, listed.out) == (0, "")
    assert "skyport servers add NAME ADDRESS" in listed.err
    assert skyport("servers", "list", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("add", "pod"), 2, "address"),
        (("add", "pod", "nowhere"), 1, "pod.address must be an address"),
        (("add", "auto", "10.0.0.7"), 1, "neither auto nor default"),
        (("add", "pc", "10.0.0.8"), 1, 'There is a server "pc" already'),
        (("add", "pod", "10.0.0.8", "--max-parallel", 0), 1, "whole number"),
        (("remove", "PC2"), 1, 'Did you mean "pc"?'),
        (("test", "pc."), 1, 'Did you mean "pc"?'),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(skyport, typed, argv, code, words):
    _servers.add(Server("pc", "http://10.0.0.7"))
    typed("")
    result = skyport("servers", *argv)
    assert (result.code, words in result.err) == (code, True), result.err
    assert _servers.names() == ["pc"]


@pytest.mark.parametrize(
    "argv",
    [
        ("pod", "10.0.0.7", SECRET),
        ("pod", "10.0.0.7", f"--key={SECRET}"),
        ("pod", "10.0.0.7", "--header", f"Bearer {SECRET}"),
        ("pod", f"https://me:{SECRET}@10.0.0.7"),
    ],
)
def test_a_key_given_as_an_argument_is_refused_and_not_repeated(skyport, typed, argv):
    typed("")
    result = skyport("servers", "add", *argv)
    assert result.code in (1, 2)
    assert SECRET not in result.all
    assert _servers.names() == []


def test_nothing_typed_adds_no_server(skyport, typed):
    typed("\n")
    assert skyport("servers", "add", "pod", "10.0.0.7", "--header", "bearer").code == 1
    assert _servers.names() == []


def test_a_warning_about_an_address_is_no_part_of_the_output(skyport, typed):
    typed(f"{SECRET}\n")
    result = skyport("servers", "add", "pod", "http://pod.example.com", "--header", "x-api-key")
    assert "http over the internet" in result.err
    assert "http over" not in result.out


def test_all_servers_are_tested_and_one_that_fails_fails_the_command(skyport, studio):
    _servers.add(Server("studio", studio.url))
    alone = skyport("servers", "test")
    assert alone.code == 0
    assert "studio: It answers: ComfyUI 0.33.0, cuda:0 (20.0 of 24.0 GB free)" in alone.out
    _servers.add(Server("off", f"http://127.0.0.1:{closed_port()}"))
    both = skyport("servers", "test", "--json")
    found = {one.pop("name"): one for one in json.loads(both.out)}
    assert (both.code, found["studio"]["ok"], found["off"]["ok"]) == (1, True, False)
    assert (found["studio"]["dialect"], found["studio"]["version"]) == ("native", "0.33.0")
    assert "--listen" in found["off"]["message"]
    assert skyport("servers", "test", "studio").code == 0


def test_a_test_without_a_server_says_how_to_set_one(skyport):
    result = skyport("servers", "test")
    assert (result.code, "no server is set" in result.err) == (1, True)


def test_the_server_of_the_environment_is_listed_as_such(skyport, monkeypatch):
    monkeypatch.setenv("COMFYUI_BASE_URL", "http://10.0.0.9:8188")
    listed = skyport("servers")
    assert "default" in listed.out
    assert "COMFYUI_BASE_URL" in listed.err
    assert "COMFYUI_BASE_URL" in skyport("servers", "remove", "default").err


# -- the other commands ---------------------------------------------------------------------------


def test_a_workflow_runs_on_the_server_named(skyport, process, studio, tmp_path):
    _servers.add(Server("off", f"http://127.0.0.1:{closed_port()}"))
    _servers.add(Server("studio", studio.url, "native"))
    path = workflow(tmp_path)
    argv = ("run", path, "--platform", "comfyui", "--output", tmp_path / "out")
    result = skyport(*argv, "--server", "studio")
    assert result.code == 0, result.all
    assert Path(result.lines[0]).name.startswith("workflow-on-studio")
    assert "workflow on studio" in skyport("jobs").out
    assert 'Did you mean "studio"?' in skyport(*argv, "--server", "studoi", "--seed", 1).err
    assert (
        "--server does not apply"
        in skyport("run", path, "--platform", "haiyi", "--server", "x").err
    )


def workflow(tmp_path: Path, prompt: Any = WORKFLOW) -> Path:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(prompt), encoding="utf-8")
    return path


def test_the_key_of_a_server_is_listed_changed_and_removed_as_any_other(skyport, typed):
    _servers.add(Server("pod", "https://pod.example.com", header="bearer"))
    assert "comfyui:pod" in skyport("keys", "list").out
    typed(f"{SECRET}\n")
    assert "ComfyUI (pod): the key ...7Q4z is stored" in skyport("keys", "set", "comfyui:pod").out
    assert keys.find("comfyui:pod").value == SECRET
    assert skyport("keys", "remove", "comfyui:pod").code == 0
    assert keys.find("comfyui:pod") is None
    assert skyport("keys", "set", "comfyui:gone").code == 2


def test_a_broken_list_of_servers_holds_up_no_other_key(skyport, typed, home):
    (home / "servers.json").write_text("{")
    typed(f"{SECRET}\n")
    assert skyport("keys", "set", "haiyi").code == 0
    assert "servers.json" in skyport("servers").err


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://10.0.0.7", "Free: your own server."),
        ("https://cloud.comfy.org", "Your subscription at Comfy Cloud pays"),
    ],
)
def test_an_estimate_says_that_a_server_of_ones_own_is_free(skyport, tmp_path, address, words):
    _servers.add(Server("pc", address))
    given = {"workflow": "{}", "server": "pc", "seed": 0}
    path = workflow(tmp_path, {"1": {"class_type": "SkyportComfyuiRunWorkflow", "inputs": given}})
    assert words in skyport("estimate", path).out
    found = json.loads(skyport("estimate", path, "--json").out)
    assert found["free"] + found["subscribed"] == 1
