"""A sandbox with this process led to it, and nothing of the user's within reach."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from ..engine.settings import keys
from ..sandbox import Sandbox, start

_HERE = "127.0.0.1,localhost"


@contextmanager
def sandboxed(pace: float, clock: Callable[[], float] = time.monotonic) -> Iterator[Sandbox]:
    """A running sandbox; keys, settings and model lists are those of a folder that lives as long.

    It is told through the environment, so that processes started meanwhile are led there too.
    """
    with (
        TemporaryDirectory(prefix="skyport-demo-", ignore_cleanup_errors=True) as home,
        start(pace=pace, clock=clock) as sandbox,
        _environment(_told(sandbox, home)),
    ):
        yield sandbox


def _told(sandbox: Sandbox, home: str) -> dict[str, str]:
    told = {"SKYPORT_HOME": home, "SKYPORT_SANDBOX": "0"}  # 1 would start another, at its own pace
    for name in sandbox.platforms:
        told[keys.url_variable(name)] = sandbox.base_url(name)
        told[keys.key_variable(name)] = sandbox.key(name)
    for variable in ("no_proxy", "NO_PROXY"):
        told[variable] = ",".join(filter(None, [os.environ.get(variable), _HERE]))
    return told


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
