"""The second run of a graph, after a restart: everything is here already."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from skyport import sandbox

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import alone, in_turns
from .parallel import node, run, sink

_RESTARTS = 3
_MODEL = "google/gemini-3-pro-image-preview"


def figures(small: bool = False) -> Iterator[Entry]:
    with (
        sandbox.start(pace=0.05 if small else 0.5) as cloud,
        tempfile.TemporaryDirectory() as folder,
    ):
        env = {"HAIYI_BASE_URL": cloud.base_url("haiyi"), "HAIYI_API_KEY": cloud.key("haiyi")}
        graph = _graph(64 if small else 1024)
        # What a graph orders depends on its model's rules: they must not come in between two runs.
        alone(_read_models, env, Path(folder))
        first = alone(run, env, Path(folder), graph)
        submits, uploads = _asked(cloud)
        cloud.log.clear()
        without = {"picture": graph["picture"], "seen": sink("picture")}
        ours, comfyui = in_turns(
            1 if small else _RESTARTS,
            *(partial(alone, _after_a_page, env, Path(folder), each) for each in (graph, without)),
        )
        again, sent = _asked(cloud)
    what = f"second run after a restart, in {NAME}"
    yield Figure(f"{what}, time", ours, first, "s", "first run")
    yield Figure(
        f"{what}, more time", ours - comfyui, comfyui, "s", "without our node", Goal(0.1, "s")
    )
    yield Figure(f"{what}, submits", again, submits, "submits", "first run", Goal(0, "submits"))
    yield Figure(f"{what}, uploads", sent, uploads, "uploads", "first run", Goal(0, "uploads"))


def _read_models(env: dict[str, str], base: Path) -> None:
    stand_in()
    from host import open_host

    os.environ.update(env)
    with open_host(KIND, base, env=env) as host:
        path, headers = "/skyport/models/haiyi/refresh", {"X-Skyport": "1"}
        assert host.route("POST", path, json={}, headers=headers).status_code == 200


def _after_a_page(env: dict[str, str], base: Path, graph: dict[str, Any]) -> float:
    """Seconds of `graph` once a page has asked for the list of nodes, as each does first.

    Python cleans up all that ComfyUI has loaded about then, 0.4 s, and would do it in some graph.
    """
    stand_in()
    from host import open_host

    os.environ.update(env)
    with open_host(KIND, base, env=env) as host:
        host.client.get("/object_info").raise_for_status()
        queued = time.time()
        done = host.run(graph, timeout=120)
        assert done.status == "success", done.error
        # ComfyUI cleans up as long again after the first prompt, and holds back its last messages.
        ended = done.named("execution_success")[-1].get("timestamp")
        return ended / 1000 - queued if ended else done.seconds


def _asked(cloud: sandbox.Sandbox) -> tuple[int, int]:
    """Submits and other requests with a body that the sandbox has seen."""
    posts = [seen.path for seen in cloud.log.all() if seen.method in ("POST", "PUT")]
    submits = sum(path.endswith("generate/image") for path in posts)
    return submits, len(posts) - submits


def _graph(side: int) -> dict[str, Any]:
    picture = node("ProbeImage", seed=1, width=side, height=side)
    edit = node("SkyportHaiyiImageToImage", prompt="a boat", seed=1, model=_MODEL)
    edit["inputs"] |= {
        "model.images.image0": ["picture", 0],
        "model.aspect_ratio": "(default)",
        "model.resolution": "1K",
    }
    return {"picture": picture, "edit": edit, "seen": sink("edit")}
