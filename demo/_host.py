"""A headless ComfyUI started from a checkout, and a client for any ComfyUI that answers on HTTP."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import requests

from ..engine.base.errors import SkyportError
from ..engine.base.words import tr

PACK = Path(__file__).resolve().parent.parent
_ANSWER_SECONDS = 30.0  # for one request to a host on this machine
_POLL_SECONDS = 0.2
_STOP_SECONDS = 10.0
_TAIL_LINES = 30


class Refused(SkyportError):
    """ComfyUI rejected the prompt. `answer` is its whole answer, with the errors by node."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        super().__init__(tr("ComfyUI refused the workflow: {reason}", reason=refusal(answer)))


class Client:
    """A client of the ComfyUI at `url`, for example http://127.0.0.1:8188."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = requests.Session()
        self._http.trust_env = False  # the host is on this machine: never through a proxy

    def run(self, prompt: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
        """Queue `prompt` (API format), wait for its end, return its history entry.

        Raises Refused when it is not accepted, and SkyportError with ComfyUI's own words when a
        node fails.
        """
        prompt_id = self.submit(prompt)
        entry = self.wait(prompt_id, timeout=timeout)
        if entry["status"]["status_str"] != "success":
            raise SkyportError(
                tr("ComfyUI could not run the workflow: {reason}", reason=failure(entry))
            )
        return entry

    def submit(self, prompt: Mapping[str, Any], *, client_id: str = "", **extra: Any) -> str:
        """Queue `prompt` and return the id ComfyUI gave it."""
        body = {"prompt": prompt, "client_id": client_id or uuid.uuid4().hex, **extra}
        response = self.post("/prompt", body)
        if response.status_code != 200:
            raise Refused(_json_object(response))
        return str(response.json()["prompt_id"])

    def wait(self, prompt_id: str, *, timeout: float) -> dict[str, Any]:
        """The history entry of `prompt_id`, as soon as it has ended."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            entry = self.history(prompt_id)
            if entry is not None:
                return entry
            time.sleep(_POLL_SECONDS)
        raise SkyportError(
            tr("The workflow did not end within {seconds} s.", seconds=f"{timeout:g}")
        )

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """ComfyUI's history entry of a prompt that has ended, None while it waits or runs."""
        entry: dict[str, Any] | None = self.get(f"/history/{prompt_id}").json().get(prompt_id)
        return entry

    def interrupt(self) -> None:
        """Ask the prompt that is running now to stop."""
        self.post("/interrupt", {}).raise_for_status()

    def object_info(self, node: str) -> dict[str, Any]:
        """ComfyUI's description of the node class `node`; empty for an unknown one."""
        info: dict[str, Any] = self.get(f"/object_info/{node}").json().get(node, {})
        return info

    def upload(self, name: str, data: bytes, *, mime: str = "application/octet-stream") -> str:
        """Put a file into the input folder; returns the name by which loader nodes take it."""
        files = {"image": (name, data, mime)}
        response = self._http.post(f"{self.url}/upload/image", files=files, timeout=_ANSWER_SECONDS)
        response.raise_for_status()
        return str(response.json()["name"])

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.call("POST", path, json=json, **options)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request; `path` starts with a slash, `options` are those of `requests`."""
        options.setdefault("timeout", _ANSWER_SECONDS)
        return self._http.request(method, self.url + path, **options)


@dataclass(eq=False)
class ComfyUI(Client):
    """A ComfyUI process of our own, alive while inside `with`; a Client of itself.

    path    the checkout; nothing is written to it
    base    folder for its user, input, output, temp and custom_nodes folders and its log
    pack    linked in as custom_nodes/skyport; None for none
    env     added to this process's environment
    port    0 picks a free port
    args    further command line arguments of ComfyUI

    Its Python is SKYPORT_COMFYUI_PYTHON, else the one running now.
    """

    path: Path
    base: Path
    pack: Path | None = PACK
    extra_packs: Sequence[Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    args: Sequence[str] = ()
    start_seconds: float = 180.0

    def __post_init__(self) -> None:
        self.port = self.port or _free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")

    def __enter__(self) -> ComfyUI:
        self._link_packs()
        self._log: IO[bytes] = self.log_file.open("wb")
        try:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.path,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
            )
        except BaseException:
            self._log.close()
            raise
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def command(self) -> list[str]:
        """The command line of the process."""
        python = os.environ.get("SKYPORT_COMFYUI_PYTHON") or sys.executable
        where = ["--listen", "127.0.0.1", "--port", str(self.port)]
        data = ["--base-directory", str(self.base), "--database-url", "sqlite:///:memory:"]
        quiet = ["--cpu", "--disable-auto-launch"]
        return [python, "main.py", *where, *data, *quiet, *self.args]

    def stop(self) -> None:
        """Terminate the process, and kill it where that is not enough."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self.base / "comfyui.log"

    def log_text(self) -> str:
        """Everything it has printed so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def _link_packs(self) -> None:
        folder = self.base / "custom_nodes"  # ComfyUI does not create it and fails without it
        folder.mkdir(parents=True, exist_ok=True)
        if self.pack is not None:
            _link(folder / "skyport", self.pack)
        for pack in self.extra_packs:
            _link(folder / pack.name, pack)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SkyportError(tr("ComfyUI ended while starting:\n{log}", log=self._tail()))
            if self._answers():
                return
            time.sleep(_POLL_SECONDS)
        seconds = f"{self.start_seconds:g}"
        raise SkyportError(
            tr(
                "ComfyUI did not answer within {seconds} s:\n{log}",
                seconds=seconds,
                log=self._tail(),
            )
        )

    def _answers(self) -> bool:
        try:
            return self.get("/system_stats").ok
        except requests.ConnectionError:
            return False

    def _tail(self) -> str:
        return "\n".join(self.log_text().splitlines()[-_TAIL_LINES:])


def refusal(answer: Mapping[str, Any]) -> str:
    """Why a prompt was rejected, in ComfyUI's own words: the general error, then each node's."""
    general = answer.get("error") or {}
    lines = [_reason(general)]
    for node_id, errors in (answer.get("node_errors") or {}).items():
        lines += [
            f"{errors['class_type']} {node_id}: {_reason(error)}" for error in errors["errors"]
        ]
    return "\n".join(line for line in lines if line)


def failure(entry: Mapping[str, Any]) -> str:
    """Why a prompt that ran did not succeed, in ComfyUI's own words."""
    for name, data in entry["status"]["messages"]:
        if name == "execution_error":
            where = f"{data['node_type']} {data['node_id']}"
            return f"{where}: {data['exception_type']}: {data['exception_message'].strip()}"
        if name == "execution_interrupted":
            return tr("it was interrupted")
    return str(entry["status"]["status_str"])


def _reason(error: Mapping[str, Any]) -> str:
    return ": ".join(str(error[key]) for key in ("message", "details") if error.get(key))


def _json_object(response: requests.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    return {"error": {"message": f"HTTP {response.status_code}", "details": response.text[:500]}}


def _free_port() -> int:
    """One that no system gives to outgoing connections: ComfyUI takes it only a minute later."""
    with socket.socket() as probe:
        for port in random.sample(range(20_000, 32_000), 100):
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() or link.exists():
        if link.resolve() == target.resolve():
            return
        raise SkyportError(tr("{path} exists and is something else: remove it.", path=link))
    try:
        link.symlink_to(target.resolve(), target_is_directory=True)
    except OSError:
        if os.name != "nt":
            raise
        # Windows lets everybody make junctions, symbolic links only some.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target.resolve())], check=True)
