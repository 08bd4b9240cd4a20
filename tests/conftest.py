"""What every test gets: a data folder of its own, none of the developer's keys, loopback only."""

from __future__ import annotations

import gc
import ipaddress
import itertools
import os
import socket
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from skyport.engine.base import words
from skyport.engine.settings import folders

pytest_plugins = [
    "scripted",
    "virtual",
    "host",
    "sandboxes",
    "commands",
    "_host_ledger",
    "_postgres",
]

# Hosts and commands load the pack some hundred times, most in processes of their own: its modules
# are compiled once, also where the environment asks Python to keep no bytecode.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Nothing that a busy machine decides: an example may take as long as it takes.
hypothesis.settings.register_profile(
    "skyport",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("skyport")

_PRIVATE = ("SKYPORT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Collects without looks for garbage: ten thousand items are none, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# A worker takes a file at a time: long ones first, or one of them is left alone at the end.
_LONG = (
    "kill",
    "outcomes_nodes",
    "notices_routes",
    "bench",
    "any_nodes",
    "demo",
    "gpugeek_nodes",
    "sequences",
    "batch_comfyui",
    "batch_kill",
    "team_ledger",
    "head_start_limits",
    "haiyi_nodes",
    "encoders",
    "hostile_answers",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = [f"test_{name}.py" for name in _LONG]
    rank = {name: number for number, name in enumerate(names)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="module", autouse=True)
def no_engine_goes_on() -> Iterator[None]:
    """What a file began ends with it: polls and threads, also those of packs that it loaded."""
    yield
    for name in [name for name in list(sys.modules) if name.endswith(".engine.base.forks")]:
        for watched in [ref() for ref in list(sys.modules[name]._known)]:
            if type(watched).__name__ == "Engine":
                watched.close()
    for name in [name for name in list(sys.modules) if name.endswith(".providers")]:
        if runner := getattr(sys.modules[name], "runner", None):
            runner.cache_clear()  # its locks are of the engine's loop


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths of folders that are not there yet: pytest's own numbers cost a look at all of them."""
    base = tmp_path_factory.mktemp("homes")
    return (base / f"home{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def home(new_home: Iterator[Path], monkeypatch: Any) -> Iterator[Path]:
    """A new data folder, named in SKYPORT_HOME; the environment tells nothing else of us."""
    for variable in list(os.environ):
        name = variable.upper()
        if name.startswith(_PRIVATE) or name.endswith(("_API_KEY", "_BASE_URL")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")  # texts are English whoever runs the tests
    folder = next(new_home)
    folder.mkdir(0o700)
    monkeypatch.setenv("SKYPORT_HOME", str(folder))
    words.use_language(None)
    yield folder
    folders.use_home(None)
    folders.use_results(None)


class RootIsNoTestPackage:
    """Keeps pytest from importing the package's own __init__.py again under the folder's name."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> Any:
        at_root = path == parent.config.rootpath
        return pytest.Dir.from_parent(parent, path=path) if at_root else None


def pytest_configure(config: pytest.Config) -> None:
    # A hook in this file would be asked only about the folders below it.
    config.pluginmanager.register(RootIsNoTestPackage())
    config.option.loadscopereorder = False  # xdist would begin with the files of many short tests


class LeftLoopback(AssertionError):
    """A test tried to reach another machine."""


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Refuse every connection and name look-up beyond this machine, and fail the test that tried.

    It fails even if the code under test swallowed the refusal or tried on another thread.
    """
    tried: list[str] = []

    def guarded(original: Any, host_of: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            host = host_of(*args, **kwargs)
            if not _is_here(host):
                tried.append(str(host))
                raise LeftLoopback(f"a test tried to reach {host}")
            return original(*args, **kwargs)

        return call

    for name in ("connect", "connect_ex"):
        original = getattr(socket.socket, name)
        monkeypatch.setattr(socket.socket, name, guarded(original, lambda _, to: _host_in(to)))
    lookup = guarded(socket.getaddrinfo, lambda host, *_, **__: host)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield tried
    if tried:
        pytest.fail(f"reached beyond loopback: {', '.join(tried)}")


def _host_in(address: Any) -> Any:
    """The host of a socket address; None for what is no internet address (a path)."""
    return address[0] if isinstance(address, tuple) else None


def _is_here(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
