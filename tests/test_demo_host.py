"""Pins how the demo starts a ComfyUI and speaks to it. Most checkouts here are programs of ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import requests
from _waiting import PATIENCE
from host import PROBES, Host, graph, link, node
from skyport.demo._host import ComfyUI, Refused
from skyport.engine.base.errors import SkyportError

SERVES = """
import http.server, os, sys
print("serving", os.environ["GREETING"], *sys.argv[1:], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
DIES = "import sys\nprint('no such model folder')\nsys.exit(3)\n"
HANGS = "import time\nprint('thinking', flush=True)\ntime.sleep(60)\n"


def checkout(folder: Path, program: str) -> Path:
    path = folder / "checkout"
    path.mkdir()
    (path / "main.py").write_text(program)
    return path


def comfyui(tmp_path: Path, program: str, **options: object) -> ComfyUI:
    path = checkout(tmp_path, program)
    return ComfyUI(path, base=tmp_path / "base", env={"GREETING": "hello"}, **options)  # type: ignore[arg-type]


def test_it_runs_while_inside_with_and_not_after(tmp_path: Path) -> None:
    with comfyui(tmp_path, SERVES) as host:
        assert host.get("/anything").ok
    with pytest.raises(requests.ConnectionError):
        host.get("/anything")


def test_its_output_and_environment_are_its_own(tmp_path: Path) -> None:
    with comfyui(tmp_path, SERVES, args=["--cache-classic"]) as host:
        printed = host.log_text()
    assert printed.startswith("serving hello ")
    for argument in ("--cpu", "--listen 127.0.0.1", f"--port {host.port}", "--cache-classic"):
        assert argument in printed
    assert f"--base-directory {tmp_path / 'base'}" in printed


def test_its_port_is_none_that_an_outgoing_connection_takes_before_it(tmp_path: Path) -> None:
    ports = [ComfyUI(tmp_path, base=tmp_path).port for _ in range(20)]
    assert all(1024 <= port < 32_768 for port in ports), ports
    assert len(set(ports)) > 1


def test_packs_are_linked_below_the_base_and_the_checkout_stays_as_it_was(tmp_path: Path) -> None:
    with comfyui(tmp_path, SERVES, extra_packs=[PROBES]) as host:
        packs = host.base / "custom_nodes"
        assert (packs / "skyport" / "providers").is_dir()
        assert (packs / "probes").resolve() == PROBES
    assert [one.name for one in host.path.iterdir()] == ["main.py"]


def test_a_folder_in_the_place_of_the_link_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "base" / "custom_nodes" / "skyport"
    path.mkdir(parents=True)
    with pytest.raises(SkyportError, match="exists and is something else"):
        comfyui(tmp_path, SERVES).__enter__()
    assert path.is_dir()
    assert not path.is_symlink()


def test_the_same_base_can_be_used_again(tmp_path: Path) -> None:
    path = checkout(tmp_path, SERVES)
    for _ in range(2):
        with ComfyUI(path, base=tmp_path / "base", env={"GREETING": "again"}) as host:
            assert host.get("/").ok


def test_dying_while_starting_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(SkyportError, match="no such model folder"):
        comfyui(tmp_path, DIES).__enter__()


def test_one_that_does_not_answer_is_ended_and_told(tmp_path: Path) -> None:
    host = comfyui(tmp_path, HANGS, start_seconds=1.0)
    with pytest.raises(SkyportError, match="did not answer within 1 s"):
        host.__enter__()
    assert host._process.poll() is not None


def test_another_python_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = comfyui(tmp_path, SERVES)
    assert host.command()[:2] == [sys.executable, "main.py"]
    monkeypatch.setenv("SKYPORT_COMFYUI_PYTHON", "/opt/python")
    assert host.command()[:2] == ["/opt/python", "main.py"]


# -- the client, on a host that runs prompts ----------------------------------------------------


def test_run_gives_the_history_entry(probes_host: Host) -> None:
    prompt = graph(a=node("ProbeText", value="x"), seen=node("ProbeSink", value=link("a")))
    entry = probes_host.client.run(prompt, timeout=PATIENCE)
    assert list(entry["outputs"]) == ["seen"]


def test_run_raises_what_the_failing_node_said(probes_host: Host) -> None:
    with pytest.raises(SkyportError, match=r"ProbeFail bad: .*ProbeFailure: not today"):
        probes_host.client.run(graph(bad=node("ProbeFail", message="not today")), timeout=PATIENCE)


def test_a_refused_prompt_names_its_node_and_input(probes_host: Host) -> None:
    prompt = graph(it=node("ProbeMulti", number=5))
    with pytest.raises(Refused, match=r"ProbeMulti it: .*number") as caught:
        probes_host.client.run(prompt, timeout=PATIENCE)
    assert list(caught.value.answer["node_errors"]) == ["it"]


def test_an_unknown_node_class_is_refused_by_its_name(probes_host: Host) -> None:
    with pytest.raises(Refused, match="NoSuchNode"):
        probes_host.client.run(graph(a=node("NoSuchNode")), timeout=PATIENCE)


def test_a_prompt_that_takes_longer_than_allowed_is_told_and_goes_on(probes_host: Host) -> None:
    handle = probes_host.start(graph(a=node("ProbeWaitForInterrupt")))
    handle.wait_for("executing", node="a")
    with pytest.raises(SkyportError, match=r"did not end within 0\.1 s"):
        probes_host.client.wait(handle.prompt_id, timeout=0.1)
    probes_host.interrupt()
    assert handle.result().status == "interrupted"
