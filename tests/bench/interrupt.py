"""From Interrupt to the end of the prompt, while the task runs on at its platform."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skyport import sandbox

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import alone, in_turns
from .parallel import node, sink

if TYPE_CHECKING:
    from host import Handle, Host

_TIMES = 9
_PROMISED = Goal(0.5, "s")
_MODEL = "google/gemini-3.1-flash-image-preview"


def figures(small: bool = False) -> Iterator[Entry]:
    with sandbox.start() as cloud, tempfile.TemporaryDirectory() as folder:
        env = {"HAIYI_BASE_URL": cloud.base_url("haiyi"), "HAIYI_API_KEY": cloud.key("haiyi")}
        ours, theirs = alone(both, env, Path(folder), 1 if small else _TIMES)
    what = f"interrupt to the end of the prompt, in {NAME}"
    yield Figure(what, ours, theirs, "s", "a node that looks every 20 ms", _PROMISED)


def both(env: dict[str, str], base: Path, times: int) -> list[float]:
    """Seconds for a task of ours, and for a node that looks all the time."""
    stand_in()
    from host import open_host

    os.environ.update(env)
    ours, theirs = {"a": _task(), "seen": sink("a")}, {"a": node("ProbeWaitForInterrupt")}
    with open_host(KIND, base, env=env) as host:
        return in_turns(
            times,
            partial(_ended, host, ours, lambda handle: handle.wait_for_text("a", "running")),
            partial(_ended, host, theirs, lambda handle: handle.wait_for("executing", node="a")),
        )


def _ended(host: Host, prompt: dict[str, Any], under_way: Callable[[Handle], object]) -> float:
    handle = host.start(prompt)
    under_way(handle)
    began = time.perf_counter()
    host.interrupt()
    handle.wait_for("executing", node=None)
    seconds = time.perf_counter() - began
    assert handle.result().status == "interrupted"
    return seconds


def _task() -> dict[str, Any]:
    of_model = {"model.aspect_ratio": "1:1", "model.n": 1}
    made = node("SkyportHaiyiTextToImage", prompt="[[slow:3600]]", seed=1, model=_MODEL)
    return {**made, "inputs": {**made["inputs"], **of_model}}
