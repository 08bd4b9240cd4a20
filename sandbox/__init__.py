"""The platforms imitated on this machine, over real HTTP on loopback: `start()` gives a Sandbox."""

from __future__ import annotations

import ipaddress
import os
import pkgutil
import shutil
import ssl
import tempfile
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from ..engine.base.words import tr
from ._faults import Faults
from ._log import Log
from ._platform import Platform, World
from ._server import Server
from ._spellings import SPELLINGS
from ._tasks import Tasks

__all__ = ["SPELLINGS", "Sandbox", "platform_names", "start"]

_FAST_LOG = 1000  # requests


def start(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    pace: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
    fast: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Sandbox:
    """Serve every platform on `host`:`port` (0 = any free port) from daemon threads.

    pace scales how long tasks take (0.01 for tests); clock gives the seconds tasks are timed by.
    fast is for thousands of tasks: results of a kind are one small file, the log is short.
    tls is a server's context: with one, the addresses are https.
    Raises ValueError for a host that is not loopback.
    """
    if pace <= 0:
        raise ValueError(tr("The sandbox pace must be greater than 0, not {pace}.", pace=pace))
    return Sandbox((_loopback(host), port), pace, clock, fast, tls)


def platform_names() -> tuple[str, ...]:
    """The platforms there are: every module here whose name has no leading underscore."""
    found = (m.name for m in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


class Sandbox:
    """A running server. Use it as a context manager, or call `stop()`.

    log        every request received, oldest first (`Seen`), never with a key
    faults     the faults to come: see sandbox/README.md
    tasks      every task accepted
    platforms  name -> that platform's imitation, with its own knobs
    """

    def __init__(
        self,
        address: tuple[str, int],
        pace: float,
        clock: Callable[[], float],
        fast: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        root = Path(tempfile.mkdtemp(prefix="skyport-sandbox-"))
        self._clean = weakref.finalize(self, _remove, root, os.getpid())
        self._host, self._scheme = address[0], "https" if tls else "http"
        self.faults = Faults()
        self.log = Log(_FAST_LOG if fast else None)
        self.tasks = Tasks(clock, pace, fast)
        world = self._world = World(root, self.faults, self.log, self.tasks, is_fast=fast)
        self.platforms: dict[str, Platform] = {n: _platform(n)(world) for n in platform_names()}
        self._server = Server(address, world, self.platforms, tls)
        world.origin = self.origin
        world.platforms = self.platforms
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="skyport-sandbox", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}"

    def base_url(self, platform: str) -> str:
        """The base URL of the platform for a client."""
        return f"{self.origin}/{self.platforms[platform].name}"

    def key(self, platform: str) -> str:
        """The one key the platform accepts."""
        return self.platforms[platform].key

    @property
    def charges(self) -> Counter[str]:
        """Submits accepted, and so charged, per platform."""
        return self.tasks.charges

    @property
    def orders(self) -> Counter[str]:
        """How often each request was accepted, and so charged, by a SHA-256 of its JSON."""
        return self.tasks.orders

    def clear_uploads(self) -> None:
        """Every uploaded file is gone: its address answers 404, and a submit may not name it."""
        self._world.media.clear()

    def stop(self) -> None:
        """Close the port and every connection; safe to call twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close()
        self.tasks.close()
        self._clean()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _remove(folder: Path, process: int) -> None:
    """Remove `folder`, unless this is a fork of the `process` whose it is."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        safe = ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        safe = False
    if not safe:
        raise ValueError(
            tr(
                "The sandbox serves this machine only: {host} is not a loopback address. "
                "Use 127.0.0.1.",
                host=host,
            )
        )
    return address


def _platform(name: str) -> type[Platform]:
    module = import_module(f".{name}", __name__)
    return next(
        thing
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, Platform)
        and thing.__module__ == module.__name__
    )
