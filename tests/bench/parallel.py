"""Sixteen tasks of 3 s in one graph, beside a sync node that blocks ComfyUI's loop for 4 s."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skyport import sandbox

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import alone

_TASKS, _SECONDS, _BLOCKS = 16, 3.0, 4.0
_PACE = 0.1  # of the sandbox, which is told whole seconds only
_MODEL = "google/gemini-3.1-flash-image-preview"


def figures(small: bool = False) -> Iterator[Entry]:
    tasks, seconds, blocks = (2, 0.6, 0.2) if small else (_TASKS, _SECONDS, _BLOCKS)
    with sandbox.start(pace=_PACE) as cloud, tempfile.TemporaryDirectory() as folder:
        env = {
            "HAIYI_BASE_URL": cloud.base_url("haiyi"),
            "HAIYI_API_KEY": cloud.key("haiyi"),
            "SKYPORT_MAX_PARALLEL": str(tasks),
        }
        taken = alone(run, env, Path(folder), _graph(tasks, seconds, blocks))
    what = f"{tasks} tasks of {seconds:g} s beside a node that blocks {blocks:g} s, in {NAME}"
    limit = Goal(1.15 * max(seconds, blocks) + 1, "s")
    yield Figure(what, taken, tasks * seconds + blocks, "s", "the sum", limit)
    yield f"{what}: at most {tasks} at once (max_parallel; its default is 8)"


def run(env: dict[str, str], base: Path, graph: dict[str, Any]) -> float:
    """Seconds from the queueing of `graph` to its end; to be called in a process of its own."""
    stand_in()
    from host import open_host

    os.environ.update(env)
    with open_host(KIND, base, env=env) as host:
        done = host.run(graph, timeout=120)
        assert done.status == "success", done.error
        return done.seconds


def _graph(tasks: int, seconds: float, blocks: float) -> dict[str, Any]:
    graph = {}
    for number in range(tasks):
        graph[f"task{number}"] = task(f"[[slow:{seconds / _PACE:.0f}]] {number}")
        graph[f"seen{number}"] = sink(f"task{number}")
    # Last, as ComfyUI takes it: nodes that wait come first there, and the stand-in keeps the order.
    return {**graph, "busy": node("ProbeSleepSync", seconds=blocks), "end": sink("busy")}


def task(prompt: str) -> dict[str, Any]:
    of_model = {"model.aspect_ratio": "1:1", "model.n": 1}
    made = node("SkyportHaiyiTextToImage", prompt=prompt, seed=1, model=_MODEL)
    return {**made, "inputs": {**made["inputs"], **of_model}}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def sink(of: str) -> dict[str, Any]:
    return node("ProbeSink", value=[of, 0])
