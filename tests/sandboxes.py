"""The sandbox as fixtures, hosts that are pointed at it, and what a client of it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from _clock import Clock, StoppedClock
from _waiting import PATIENCE, until
from host import KINDS, Host, Run, open_host
from skyport.sandbox import Sandbox, start

# At the pace of the sandbox here a task is over in a fraction of a second.
_POLLING = {
    "_INTERVAL": 0.15,
    "_LONGER_INTERVAL": 0.155,
    "_MIN_GAIN": 0.02,
    "POLLS_A_MINUTE": 400,
}


def environment(sandbox: Sandbox, *platforms: str) -> dict[str, str]:
    """The variables that point a process at these platforms of the sandbox."""
    urls = {f"{name.upper()}_BASE_URL": sandbox.base_url(name) for name in platforms}
    return urls | {f"{name.upper()}_API_KEY": sandbox.key(name) for name in platforms}


def set_environment(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    """One sandbox for all tests of a file."""
    with start(pace=0.05, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=KINDS)
def opened(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    host_env: Mapping[str, str],
) -> Iterator[Host]:
    """One host of each kind for all tests of a file, which says its `host_env`."""
    base = tmp_path_factory.mktemp(request.param)
    with open_host(request.param, base, env=host_env) as host:
        yield host


@pytest.fixture(scope="module")
def models_are_known(opened: Host) -> None:
    """HaiYi's, for which the file's host asks when it starts, and which it writes down last."""
    until(lambda: list((opened.home / "catalogue").glob("haiyi*.json")))


@pytest.fixture(scope="module")
def quick_polls(opened: Host) -> None:
    """The file's host polls as fast as tasks of its sandbox end."""
    opened.set_constants("engine.tasks.polling", **_POLLING)


@pytest.fixture
def own_host(opened: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The file's host, in the environment it was started with."""
    opened.share_env(monkeypatch)
    return opened


@pytest.fixture
def cloud(own_host: Host, sandbox: Sandbox) -> Host:
    """The file's host, with a sandbox that nobody has asked for anything yet."""
    sandbox.log.clear()
    sandbox.faults.clear()
    return own_host


def failed(host: Host, prompt: Mapping[str, Any], kind: str, *words: str) -> Run:
    """A run of `prompt` that fails with an error of this kind and these words, and no key."""
    run = host.run(prompt)
    assert run.status == "error", (run.status, run.node_errors)
    assert run.error is not None
    assert run.error.type == kind, run.error
    assert [word for word in words if word not in run.error.message] == [], run.error.message
    keys = [value for name, value in host.process.env.items() if name.endswith("_API_KEY")]
    assert [key for key in keys if key in run.error.message] == []
    return run


class SandboxClient:
    """What a user of a platform's document would write, with the answers kept whole."""

    platform = ""

    def __init__(self, box: Sandbox, clock: StoppedClock) -> None:
        self.box = box
        self.clock = clock
        self.base = box.base_url(self.platform)
        self.imitation: Any = box.platforms[self.platform]

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Any]:
        """A client of a new sandbox, whose time only the test moves."""
        clock = StoppedClock()
        with start(clock=clock) as box:
            yield cls(box, clock)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        key = self.box.key(self.platform)
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        url = path if path.startswith("http") else self.base + path
        return requests.request(method, url, headers=headers, timeout=PATIENCE, **more)


def fetch(url: str) -> bytes:
    answer = requests.get(url, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return answer.content
