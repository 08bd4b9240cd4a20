"""A sandbox with this process led to it, and nothing of the user's within reach."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from ..engine.settings import keys
from ..sandbox import Sandbox, start

_HERE = "127.0.0.1,localhost"


@contextmanager
def sandboxed(pace: float) -> Iterator[Sandbox]:
    """A running sandbox; keys, settings and model lists are those of a folder that lives as long.

    It is told through the environment, so that processes started meanwhile are led there too.
    """
    with (
        TemporaryDirectory(prefix="skyport-demo-", ignore_cleanup_errors=True) as home,
        start(pace=pace) as sandbox,
        _environment(_variables(sandbox, home)),
    ):
        yield sandbox


def _variables(sandbox: Sandbox, home: str) -> dict[str, str]:
    variables = {
        "SKYPORT_HOME": home,
        "SKYPORT_SANDBOX": "0",
    }  # 1 would start another, at its own pace
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
