"""A sandbox that this process uses, with the user's own data out of reach."""

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
    """A running sandbox, with keys, settings and model lists in a folder of the same lifetime.

    Environment variables point there, so that child processes use it too.
    """
    with (
        TemporaryDirectory(prefix="skyport-demo-", ignore_cleanup_errors=True) as home,
        start(pace=pace, clock=clock) as sandbox,
        _environment(_variables(sandbox, home)),
    ):
        yield sandbox


def _variables(sandbox: Sandbox, home: str) -> dict[str, str]:
    # SKYPORT_SANDBOX=1 would start another one, at its own pace.
    variables = {"SKYPORT_HOME": home, "SKYPORT_SANDBOX": "0"}
    for name in sandbox.platforms:
        variables[keys.url_variable(name)] = sandbox.base_url(name)
        variables[keys.key_variable(name)] = sandbox.key(name)
    for variable in ("no_proxy", "NO_PROXY"):
        variables[variable] = ",".join(filter(None, [os.environ.get(variable), _HERE]))
    return variables


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
