"""Pins the routes of the list of ComfyUI servers: a key goes in once, never comes out and follows
no address; a server is tested by what it says about itself; no foreign page may act.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _waiting import until
from host import Host
from sandboxes import environment
from scripted import Answer, Scripted, answer_json, closed_port
from skyport.sandbox import Sandbox

OURS = {"X-Skyport": "1"}
SECRET = "sk-a-secret-that-nobody-may-see-7Q4z"
ACTS = ("add", "change", "test", "remove")
POD = {"name": "pod", "address": "https://pod.example.com", "header": "bearer", "key": SECRET}
STATS = {
    "system": {"comfyui_version": "0.33.0"},
    "devices": [{"name": "cuda:0", "vram_total": 24 * 1024**3, "vram_free": 20 * 1024**3}],
}


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, "comfyui")


@pytest.fixture
def host(own_host: Host) -> Host:
    for name in ("keys.json", "settings.json", "servers.json"):
        (own_host.home / name).unlink(missing_ok=True)
    return own_host


@pytest.fixture
def studio() -> Iterator[Scripted]:
    """A ComfyUI with one prompt in its queue."""
    with Scripted() as server:
        server.on("/api/v2/jobs", Answer(404, b"not found"))
        server.on("/api/system_stats", answer_json(STATS))
        queue = {"queue_running": [[1, "a", {}, {}, []]], "queue_pending": []}
        server.on("/api/queue", answer_json(queue))
        yield server


def act(host: Host, path: str, **fields: Any) -> Any:
    return host.route("POST", f"/skyport/servers/{path}", json=fields, headers=OURS)


def listed(host: Host) -> dict[str, dict[str, Any]]:
    answer = host.route("GET", "/skyport/servers")
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["servers"]}


def added(host: Host, **fields: Any) -> dict[str, Any]:
    answer = act(host, "add", **fields)
    assert answer.status_code == 200, answer.text
    one: dict[str, Any] = {one["name"]: one for one in answer.json()["servers"]}[fields["name"]]
    return one


def message(answer: Any) -> str:
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput"), answer.text
    text: str = answer.json()["message"]
    return text


# -- the list -----------------------------------------------------------------------------------


def test_the_server_of_the_environment_is_shown_as_such_and_cannot_be_changed(host, sandbox):
    default = listed(host)["default"]
    assert (default["address"], default["source"]) == (sandbox.base_url("comfyui"), "environment")
    assert "COMFYUI_BASE_URL" in default["whence"]
    assert default["key"] == {"set": True, "last4": sandbox.key("comfyui")[-4:]}
    assert "COMFYUI_BASE_URL" in message(act(host, "remove", name="default"))
    assert act(host, "change", **{**POD, "before": "default"}).status_code == 400
    assert listed(host) == {"default": default}


def test_a_server_is_added_and_its_key_is_never_shown(host):
    one = added(host, **POD)
    assert (one["address"], one["header"]) == (POD["address"], "bearer")
    assert one["key"] == {"set": True, "last4": "7Q4z"}
    assert (one["source"], one["whence"], one["test"]) == ("file", "", None)
    assert one["warnings"] == []
    assert SECRET not in host.route("GET", "/skyport/servers").text
    assert json.loads((host.home / "keys.json").read_text()) == {"comfyui:pod": SECRET}


@pytest.mark.parametrize(
    ("entered", "address"),
    [
        ("pod.example.com", "https://pod.example.com"),
        ("192.168.1.20:8188", "http://192.168.1.20:8188"),
        ("10.0.0.7", "http://10.0.0.7"),
        ("localhost:8189", "http://localhost:8189"),
        ("studio:8188/", "http://studio:8188"),
        ("studio.local:8188", "http://studio.local:8188"),
        ("[fd00::7]:8188", "http://[fd00::7]:8188"),
        ("https://10.0.0.7:8443/comfy/", "https://10.0.0.7:8443/comfy"),
    ],
)
def test_an_address_is_completed_as_it_is_meant(host, entered, address):
    assert added(host, name="pc", address=entered)["address"] == address


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "auto"}, "The name of a server must be"),
        ({"name": ""}, "The name of a server must be"),
        ({"name": "default"}, "neither auto nor default"),
        ({"address": "nowhere"}, "pod.address must be an address"),
        ({"address": f"https://me:{SECRET}@pod.example.com"}, "pod.address must be"),
        ({"address": ["x"]}, "pod.address must be"),
        ({"header": "cookie"}, "must be one of"),
        ({"header": "none"}, "Choose how the key is sent"),
        ({"header": "basic"}, "user:password"),
        ({"key": f"{SECRET} {SECRET}"}, "this cannot be a key"),
        ({"key": [SECRET]}, "this cannot be a key"),
        ({"max_parallel": -1}, "must be a whole number"),
        ({"max_parallel": "many"}, "must be a whole number"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_of_it_is_kept(host, fields, words):
    answer = act(host, "add", **{**POD, **fields})
    assert words in message(answer)
    assert "servers.json" not in answer.text
    assert SECRET not in answer.text
    assert not (host.home / "servers.json").exists()
    assert not (host.home / "keys.json").exists()


def test_a_name_that_is_taken_is_refused(host):
    added(host, **POD)
    again = act(host, "add", name="pod", address="https://other.example.com")
    assert 'There is a server "pod" already' in message(again)
    assert listed(host)["pod"]["address"] == POD["address"]


def test_a_changed_server_keeps_its_key_its_old_name_and_its_place_until_its_address_changes(host):
    added(host, **POD)
    added(host, name="z", address="https://z.example.com")
    same = {"address": POD["address"], "header": "x-api-key"}
    body = act(host, "change", before="pod", name="gpu", **same, max_parallel=4).json()
    assert [one["name"] for one in body["servers"]] == ["default", "gpu", "z"]
    gpu = listed(host)["gpu"]
    assert (gpu["header"], gpu["max_parallel"]) == ("x-api-key", 4)
    assert gpu["key"] == {"set": True, "last4": "7Q4z"}
    assert json.loads((host.home / "servers.json").read_text())["gpu"]["formerly"] == ["pod"]
    act(host, "change", before="gpu", name="gpu", address="https://evil.example", header="bearer")
    assert listed(host)["gpu"]["key"] == {"set": False, "last4": ""}
    assert "No key is set" in listed(host)["gpu"]["warnings"][0]
    assert SECRET not in (host.home / "keys.json").read_text()
    assert json.loads((host.home / "servers.json").read_text())["gpu"]["formerly"] == ["pod"]


def test_a_change_that_is_refused_changes_nothing(host):
    added(host, **POD)
    added(host, name="z", address="https://z.example.com")
    before = listed(host)
    for fields in ({"name": "z"}, {"name": "auto"}, {"address": "nowhere"}, {"key": "two words"}):
        assert act(host, "change", **{**POD, "before": "pod", **fields}).status_code == 400
    assert 'no server "gone"' in message(act(host, "change", **{**POD, "before": "gone"}))
    assert listed(host) == before


def test_a_removed_server_takes_its_key_along(host):
    added(host, **POD)
    body = act(host, "remove", name="pod").json()
    assert [one["name"] for one in body["servers"]] == ["default"]
    assert SECRET not in (host.home / "keys.json").read_text()
    assert 'no server "pod"' in message(act(host, "remove", name="pod"))


@pytest.mark.parametrize(
    ("address", "header", "words"),
    [
        ("http://pod.example.com:8188", "bearer", "the key, the files and the results"),
        ("http://8.8.4.4:8188", "none", "whoever finds the address"),
        ("http://192.168.1.20:8188", "none", ""),
        ("http://100.101.102.103:8188", "none", ""),
        ("https://pod.example.com", "bearer", ""),
        ("https://cloud.comfy.org", "x-api-key", "your subscription there pays"),
    ],
)
def test_what_is_unsafe_or_charged_is_said_on_the_row(host, address, header, words):
    key = {} if header == "none" else {"key": SECRET}
    told = added(host, name="pod", address=address, header=header, **key)["warnings"]
    assert [words in one for one in told] == ([True] if words else [])


def test_a_server_that_is_this_very_comfyui_is_said_to_wait_for_itself(host):
    told = added(host, name="me", address=host.client.url)["warnings"]
    assert ["waits for itself" in one for one in told] == [True]


def test_a_broken_file_is_named(host):
    (host.home / "servers.json").write_text('{"pc": []}')
    answer = host.route("GET", "/skyport/servers")
    assert "servers.json" in message(answer)


# -- test ---------------------------------------------------------------------------------------


def test_a_test_tells_version_memory_queue_and_interface_until_the_server_is_changed(host, studio):
    added(host, name="pc", address=studio.url)
    body = act(host, "test", name="pc").json()
    assert body["state"] == "works"
    assert "ComfyUI 0.33.0, cuda:0 (20.0 of 24.0 GB free); 1 tasks" in body["message"]
    test = listed(host)["pc"]["test"]
    device = STATS["devices"][0]
    assert (test["dialect"], test["version"], test["queue"]) == ("native", "0.33.0", 1)
    assert test["devices"] == [device]
    act(host, "change", before="pc", name="pc", address=studio.url, header="bearer", key=SECRET)
    assert listed(host)["pc"]["test"] is None


def test_a_server_that_passes_its_test_names_the_values_of_its_classes(host, studio):
    declared = {"Faraway": {"input": {"required": {"n": ["INT", {}]}}, "output": ["IMAGE"]}}
    studio.on("/api/object_info", answer_json(declared))
    added(host, name="pc", address=studio.url)
    assert act(host, "test", name="pc").json()["state"] == "works"
    names = host.home / "widget_names.json"
    until(lambda: names.exists() and "Faraway" in names.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("status", "state"), [(401, "refused"), (503, "unreachable")])
def test_a_test_that_fails_says_how(host, studio, status, state):
    for path in ("/api/v2/jobs", "/api/system_stats", "/api/queue"):
        studio.on(path, Answer(status, b"no"))
    added(host, name="pc", address=studio.url, header="bearer", key=SECRET)
    body = act(host, "test", name="pc").json()
    assert body["state"] == state
    assert "ComfyUI (pc)" in body["message"]
    assert SECRET not in json.dumps(body)
    assert listed(host)["pc"]["test"]["state"] == state


def test_a_server_that_does_not_answer_is_told_with_what_to_check(host):
    added(host, name="pc", address=f"http://127.0.0.1:{closed_port()}")
    body = act(host, "test", name="pc").json()
    assert body["state"] == "unreachable"
    assert "--listen" in body["message"]


def test_practice_mode_asks_no_server(host, studio):
    added(host, name="pc", address=studio.url)
    host.route("POST", "/skyport/setup/settings", json={"sandbox": True}, headers=OURS)
    body = act(host, "test", name="pc").json()
    assert (body["state"], body["sandbox"]) == ("", True)
    assert "Practice mode" in body["message"]
    assert sum(studio.counts.values()) == 0


def test_a_server_that_is_gone_is_told_with_the_nearest_name(host):
    added(host, name="studio", address="https://studio.example.com")
    assert 'Did you mean "studio"?' in message(act(host, "test", name="Stuido"))


# -- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ACTS)
def test_a_get_does_nothing(host, path):
    assert host.route("GET", f"/skyport/servers/{path}").status_code in (404, 405)


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("head", [{}, {**OURS, "Origin": "https://evil.example"}])
def test_a_foreign_page_is_refused(host, path, head):
    fields = {**POD, "before": "default"}
    answer = host.route("POST", f"/skyport/servers/{path}", json=fields, headers=head)
    assert answer.status_code == 403
    assert not Path(host.home / "servers.json").exists()
