"""Twenty queued prompts of one task of 6 s each, which ComfyUI runs one after another."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from skyport import sandbox

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import alone
from .parallel import sink, task

_PROMPTS, _SECONDS = 20, 6.0
_PACE = 0.1  # of the sandbox, which is told whole seconds only
_serial = itertools.count()


def figures(small: bool = False) -> Iterator[Entry]:
    prompts, seconds = (3, 0.6) if small else (_PROMPTS, _SECONDS)
    with sandbox.start(pace=_PACE) as cloud, tempfile.TemporaryDirectory() as folder:
        env = {
            "HAIYI_BASE_URL": cloud.base_url("haiyi"),
            "HAIYI_API_KEY": cloud.key("haiyi"),
            "SKYPORT_MAX_PARALLEL": str(prompts),
        }
        one, all_of_them = alone(run, env, Path(folder), prompts, seconds)
    what = f"{prompts} queued prompts of one task of {seconds:g} s each, in {NAME}"
    yield Figure(what, all_of_them, one, "s", "one prompt", Goal(1.5))


def run(env: dict[str, str], base: Path, prompts: int, seconds: float) -> tuple[float, float]:
    """Seconds from the queueing of one prompt, and of all of them, to the end of the last.

    To be called in a process of its own.
    """
    stand_in()
    from host import Host, open_host

    def taken(host: Host, count: int, seconds: float) -> float:
        began = time.monotonic()
        slow = f"[[slow:{seconds / _PACE:.0f}]]"
        of_each = [task(f"{slow} {next(_serial)}") for _ in range(count)]
        handles = [host.start({"task": one, "seen": sink("task")}) for one in of_each]
        for handle in handles:
            done = handle.result(timeout=600)
            assert done.status == "success", done.error
        return time.monotonic() - began

    os.environ.update(env)
    with open_host(KIND, base, env=env) as host:
        taken(host, 1, _PACE)  # what is loaded at the first use
        return taken(host, 1, seconds), taken(host, prompts, seconds)
