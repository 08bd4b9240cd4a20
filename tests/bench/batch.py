"""A batch of 64 pictures: each is encoded, uploaded, and sent as a task of its own."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from skyport import sandbox

from . import _scenes
from ._figures import Entry, Figure, Goal
from ._hosts import stand_in
from ._measure import MB, alone, peak_above_idle

_COUNT, _FEW, _SIDE = 64, 8, 1024
_SLOTS = 8  # max_parallel: the baseline is what so many would make of it
_SPREAD = 1.5  # times what the slots alone would make of it


def figures(small: bool = False) -> Iterator[Entry]:
    count, few, side = (4, 2, 64) if small else (_COUNT, _FEW, _SIDE)
    with sandbox.start(pace=0.05 if small else 1.0) as cloud:
        address = cloud.base_url("haiyi"), cloud.key("haiyi")
        seconds, taken, encoded = alone(_run, *address, count, side, _SLOTS)
        single, _, _ = alone(_run, *address, few, side, 1)
    what, goal = f"{count} pictures of {side} x {side} as tasks", Goal(_SPREAD / _SLOTS)
    yield Figure(f"{what}, time", seconds, single * count / few, "s", "one after another", goal)
    memory = Goal(12, "MB")
    yield Figure(f"{what}, memory", taken / MB, encoded / MB, "MB", "an encoded one", memory)


def _run(url: str, key: str, count: int, side: int, slots: int) -> tuple[float, int, float]:
    """Seconds, bytes above idle, bytes of an encoded picture; in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "HAIYI_BASE_URL": url,
            "HAIYI_API_KEY": key,
            "SKYPORT_HOME": folder,
            "SKYPORT_MAX_PARALLEL": str(slots),
        }
        stand_in()
        import torch

        pictures = torch.stack([_scenes.photo(side, side, seed) for seed in range(count)])
        _tasks(torch.rand(slots, 32, 32, 3), Path(folder))  # threads and imports
        began = time.perf_counter()
        taken = peak_above_idle(partial(_tasks, pictures, Path(folder)))
        seconds = time.perf_counter() - began
        sizes = [file.stat().st_size for file in Path(folder, "in").glob("*.png")]
        return seconds, taken, max(sizes)


def _tasks(pictures: object, folder: Path) -> None:
    from skyport import providers
    from skyport.nodes._media.encode import encode_images
    from skyport.providers import haiyi

    model = next(m for m in providers.catalogue("haiyi").models() if "gemini-3-pro" in m.id)
    provider, runner = providers.connect("haiyi"), providers.runner()
    jobs = [
        runner.start(
            provider,
            haiyi.generation(model, {"prompt": "[[slow:1]]", "images": [file]}, seed=number),
            folder / "out",
        )
        for number, file in enumerate(encode_images(pictures, folder / "in"))
    ]
    for job in jobs:
        job.future.result()
