"""The second run of a graph, after a restart: everything is here already."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from skyport import sandbox

from ._figures import Entry, Figure, Goal
from ._hosts import KIND, NAME, stand_in
from ._measure import alone
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
        rounds = range(1 if small else _RESTARTS)
        second = median(alone(run, env, Path(folder), graph) for _ in rounds)
        again, sent = _asked(cloud)
        without = {"picture": graph["picture"], "seen": sink("picture")}
        host = median(alone(run, env, Path(folder), without) for _ in rounds)
    what = f"second run after a restart, in {NAME}"
    yield Figure(f"{what}, time", second, first, "s", "first run", Goal(0.3, "s"))
    yield Figure(f"{what}, without our node", host, second, "s", "with it")
    yield Figure(f"{what}, submits", again, submits, "submits", "first run", Goal(0, "submits"))
    yield Figure(f"{what}, uploads", sent, uploads, "uploads", "first run", Goal(0, "uploads"))


def _read_models(env: dict[str, str], base: Path) -> None:
    stand_in()
    from host import open_host

    os.environ.update(env)
    with open_host(KIND, base, env=env) as host:
        path, headers = "/skyport/models/haiyi/refresh", {"X-Skyport": "1"}
        assert host.route("POST", path, json={}, headers=headers).status_code == 200


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
