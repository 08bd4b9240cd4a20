"""Both hosts behind one interface: the stand-in, and a ComfyUI where COMFYUI_PATH names a checkout.

    def test_...(host):
        run = host.run(graph(a=node("ProbeImage", seed=3), seen=node("ProbeSink", value=link("a"))))
        assert run.probe("seen")["shape"] == [1, 16, 16, 3]

COMFYUI_PATH            a ComfyUI checkout
SKYPORT_COMFYUI_PYTHON  a Python that has its requirements, where this one has not
COMFYUI_FRONTEND        static folder of a frontend, where the installed one is not the checkout's
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from _sockets import Sockets
from _waiting import PATIENCE
from skyport.demo._host import Client, ComfyUI, Refused

if TYPE_CHECKING:
    from standin.process import Standin

TESTS = Path(__file__).resolve().parent
PROBES = TESTS / "probes"
PACK = TESTS.parent
KINDS = ("standin", "comfyui")
_ENDS = ("execution_success", "execution_error", "execution_interrupted")


# -- prompts ------------------------------------------------------------------------------------


def graph(**nodes: dict[str, Any]) -> dict[str, Any]:
    """A prompt in API format; the keywords are the node ids."""
    return nodes


def node(
    class_type: str, values: Mapping[str, Any] | None = None, /, **inputs: Any
) -> dict[str, Any]:
    """One node. Inputs whose names are no Python names ("model.seconds") go into `values`."""
    return {"class_type": class_type, "inputs": {**(values or {}), **inputs}}


def link(node_id: str, output: int = 0) -> list[Any]:
    """The value of an input that takes an output of another node."""
    return [node_id, output]


# -- what a prompt did --------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """type is the exception's class name without its module, or the kind of a refusal."""

    node_id: str
    class_type: str
    type: str
    message: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """How a prompt ended.

    status       success, error, interrupted, or refused (it never ran)
    error        of an error or refusal
    blocked      messages of ExecutionBlockers, told while the prompt went on
    ui           what nodes showed, by node id
    events       (name, data) in the order they came
    texts        progress texts by node id
    node_errors  why nodes were refused, by node id, as the server told it
    seconds      from the queueing to the end
    """

    status: str
    prompt_id: str = ""
    error: Failure | None = None
    blocked: tuple[Failure, ...] = ()
    ui: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: Sequence[tuple[str, Any]] = ()
    texts: Mapping[str, list[str]] = field(default_factory=dict)
    node_errors: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def probe(self, node_id: str) -> Any:
        """What a probe saw: one value, or a list of them where it was called once an item."""
        assert node_id in self.ui, (
            f"{node_id} saw nothing: {self.status}, {self.error}, {self.node_errors}"
        )
        seen = [json.loads(one) for one in self.ui[node_id]["probe"]]
        return seen[0] if len(seen) == 1 else seen

    def refusals(self, node_id: str) -> list[tuple[str, str]]:
        """(kind of error, input name) of each error of a node that was refused."""
        errors = self.node_errors.get(node_id, {}).get("errors", [])
        return sorted((one["type"], one["extra_info"].get("input_name", "")) for one in errors)

    def named(self, event: str) -> list[Any]:
        """The data of every event of that name."""
        return [data for name, data in self.events if name == event]

    def ran(self) -> list[str]:
        """Ids of the nodes that were really executed, in order."""
        return [data["node"] for data in self.named("executing") if data["node"] is not None]


class Handle:
    """A prompt that was queued."""

    def __init__(self, host: Host, prompt: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
        self._host = host
        self._changed = threading.Condition()
        self._ended = False
        self.events: list[tuple[str, Any]] = []
        self.texts: dict[str, list[str]] = {}
        self.refused: Mapping[str, Any] | None = None
        self.prompt_id = ""
        client_id = uuid.uuid4().hex
        self._socket = host._sockets.follow(host.client.url, client_id, self._on_event)
        self._began = time.monotonic()
        try:
            self.prompt_id = host.client.submit(prompt, client_id=client_id, **extra)
        except Refused as refused:
            self.refused = refused.answer

    def result(self, timeout: float = PATIENCE) -> Run:
        """Waits for the end. TimeoutError with the host's log when there is none in time."""
        try:
            if self.refused is not None:
                return _refused(self.refused)
            self._wait(lambda: self._ended, timeout, "the prompt did not end")
            seconds = time.monotonic() - self._began
            entry = self._host.client.wait(self.prompt_id, timeout=PATIENCE)
            return _finished(self, entry, seconds)
        finally:
            self._socket.cancel()

    def wait_for(self, event: str, timeout: float = PATIENCE, **fields: Any) -> Any:
        """The data of the first `event` with these fields: wait_for("executing", node="a")."""

        def found() -> Any:
            with_fields = (data for name, data in self.events if name == event)
            return next((data for data in with_fields if _has(data, fields)), None)

        return self._wait(found, timeout, f"no {event} {fields}")

    def wait_for_text(self, node_id: str, part: str = "", timeout: float = PATIENCE) -> str:
        """The first progress text of a node that contains `part`."""

        def found() -> str | None:
            return next((one for one in self.texts.get(node_id, []) if part in one), None)

        return self._wait(found, timeout, f"no text {part!r} of {node_id}")

    def _wait(self, found: Callable[[], Any], timeout: float, otherwise: str) -> Any:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (value := found()):
                if not self._changed.wait(deadline - time.monotonic()):
                    log = "\n".join(self._host.log_text().splitlines()[-40:])
                    raise TimeoutError(
                        f"{otherwise} within {timeout} s\nevents: {self.events}\n{log}"
                    )
            return value

    def _on_event(self, name: str, data: Any) -> None:
        with self._changed:
            self.events.append((name, data))
            if name == "text":
                self.texts.setdefault(data["node"], []).append(data["text"])
            if name == "executing" and data.get("node") is None:
                self._ended = True
            self._changed.notify_all()


def _has(data: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(data.get(key) == value for key, value in fields.items())


def _refused(answer: Mapping[str, Any]) -> Run:
    error = answer.get("error") or {}
    words = f"{error.get('message', '')}: {error.get('details', '')}"
    failure = Failure("", "", str(error.get("type", "")), words)
    return Run("refused", error=failure, node_errors=answer.get("node_errors") or {})


def _finished(handle: Handle, entry: Mapping[str, Any], seconds: float) -> Run:
    errors = [data for name, data in handle.events if name == "execution_error"]
    failures = [_failure(data) for data in errors]
    ending = next((one for one in reversed(entry["status"]["messages"]) if one[0] in _ENDS), None)
    name = ending[0] if ending else "execution_error"
    return Run(
        status=name.replace("execution_", ""),
        prompt_id=handle.prompt_id,
        error=_failure(ending[1]) if ending and name == "execution_error" else None,
        blocked=tuple(one for one in failures if one.type == "ExecutionBlocked"),
        ui=entry["outputs"],
        events=tuple(handle.events),
        texts=handle.texts,
        seconds=seconds,
    )


def _failure(data: Mapping[str, Any]) -> Failure:
    return Failure(
        node_id=data["node_id"],
        class_type=data["node_type"],
        type=data["exception_type"].rpartition(".")[2],
        message=data["exception_message"].strip(),
        inputs=data["current_inputs"] or {},
    )


# -- hosts --------------------------------------------------------------------------------------


class Host:
    """A running host of either kind.

    kind        "standin" or "comfyui"
    base        its folder: input, output, temp, user below it
    home        the data folder of our pack (SKYPORT_HOME)
    """

    def __init__(self, kind: str, process: Standin | ComfyUI) -> None:
        self.kind = kind
        self.process = process
        self.client = Client(process.url)
        self.base = process.base
        self.home = Path(process.env["SKYPORT_HOME"])
        self.output_dir = self.base / "output"
        self._sockets = Sockets()

    def run(self, prompt: Mapping[str, Any], timeout: float = PATIENCE, **extra: Any) -> Run:
        """Queue a prompt and wait for its end. `extra` goes into the request's body beside it."""
        return self.start(prompt, **extra).result(timeout)

    def start(self, prompt: Mapping[str, Any], **extra: Any) -> Handle:
        """Queue a prompt; its messages are collected from now on."""
        return Handle(self, prompt, extra)

    def interrupt(self) -> None:
        self.client.interrupt()

    def open_gate(self, name: str) -> None:
        """Let the probes go on that wait at this gate."""
        self.client.post(f"/probes/gate/{name}", {}).raise_for_status()

    def at_gate(self, name: str) -> int:
        """How many probes have come to this gate."""
        return int(self.client.get(f"/probes/gate/{name}").json())

    def set_constants(self, module: str, **values: Any) -> None:
        """Change constants of a module of our pack in this host alone: `engine.tasks.waiting`."""
        self.client.post(f"/probes/constants/{module}", values).raise_for_status()

    def object_info(self, node_id: str) -> dict[str, Any]:
        return self.client.object_info(node_id)

    def route(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        """One exchange with a route, as the browser makes it: below /api."""
        options.setdefault("timeout", PATIENCE)
        return self.client.call(method, f"/api{path}", json=json, **options)

    def log_text(self) -> str:
        """All it has logged so far."""
        return self.process.log_text()

    def share_env(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the stand-in its environment back where other fixtures changed this process's."""
        if self.kind == "standin":
            for name, value in self.process.env.items():
                monkeypatch.setenv(name, value)

    def close(self) -> None:
        self._sockets.close()


@contextlib.contextmanager
def open_host(
    kind: str,
    base: Path,
    *,
    env: Mapping[str, str] | None = None,
    packs: Sequence[Path] = (PACK, PROBES),
) -> Iterator[Host]:
    """A host of one's own with these packs, and `env` for the life of the process.

    The stand-in shares this process, so its `env` is this process's while it lives; a test calls
    `share_env` where conftest.py changed it. Skips the test when the real one is asked for and
    COMFYUI_PATH is not set.
    """
    env = {"SKYPORT_HOME": str(base / "home"), **(env or {})}
    with _process(kind, base, env, packs) as process:
        host = Host(kind, process)
        try:
            yield host
        finally:
            host.close()


def _process(kind: str, base: Path, env: Mapping[str, str], packs: Sequence[Path]) -> Any:
    if kind == "standin":
        from standin.process import Standin  # brings torch: only where it is needed

        return Standin(base, {"skyport" if one == PACK else one.name: one for one in packs}, env)
    checkout = os.environ.get("COMFYUI_PATH")
    if not checkout:
        pytest.skip("COMFYUI_PATH is not set")
    frontend = os.environ.get("COMFYUI_FRONTEND")
    return ComfyUI(
        Path(checkout),
        base=base,
        pack=PACK if PACK in packs else None,
        extra_packs=[one for one in packs if one != PACK],
        env=env,
        args=["--cache-classic", *(["--front-end-root", frontend] if frontend else [])],
        start_seconds=2 * PATIENCE,  # nothing else waits so long for a machine where many work
    )


@pytest.fixture(scope="session")
def host_env() -> Mapping[str, str]:
    """Environment of the hosts. A file overrides it to point hosts of its own at a sandbox."""
    return {}


@pytest.fixture(scope="session", params=KINDS)
def session_host(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    host_env: Mapping[str, str],
) -> Iterator[Host]:
    """One host of each kind for the whole session."""
    base = tmp_path_factory.mktemp(request.param)
    with open_host(request.param, base, env=host_env) as host:
        yield host


@pytest.fixture(scope="session", params=KINDS)
def probes_host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """One host of each kind with the probes alone: what fails in it is not our pack."""
    base = tmp_path_factory.mktemp(request.param)
    with open_host(request.param, base, packs=[PROBES]) as host:
        yield host


@pytest.fixture
def host(session_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The session's host, in the environment it was started with."""
    session_host.share_env(monkeypatch)
    return session_host
