"""What the pack adds to ComfyUI's start, and to the list of nodes that every page asks for."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
from skyport.demo._host import PACK, ComfyUI

from ._figures import Entry, Figure, Goal
from ._hosts import COMFYUI, NONE
from ._measure import in_turns

_PACKS = Path(__file__).resolve().parent / "_packs"
_STARTS, _ASKED, _AT_ONCE = 3, 7, 10
_IMPORT, _CPU, _SIZE = Goal(0.1, "s"), Goal(8, "ms"), Goal(400, "KB")


def figures(small: bool = False) -> Iterator[Entry]:
    if not COMFYUI or small:
        yield f"start-up: {NONE}" if not COMFYUI else "start-up: has no small form"
        return
    with tempfile.TemporaryDirectory() as folder:
        with _loaded(PACK, Path(folder)):
            pass  # Python caches what it has compiled
        ours, empty = [], []
        for _ in range(_STARTS):
            for times, pack in ((ours, PACK), (empty, _PACKS / "empty")):
                with _loaded(pack, Path(folder)) as (_, seconds):
                    times.append(seconds)
        mine, nothing = statistics.median(ours), statistics.median(empty)
        yield Figure("import and registration", mine, nothing, "s", "an empty pack", _IMPORT)
        yield from _listed(Path(folder))


def _listed(folder: Path) -> Iterator[Figure]:
    """/object_info with the pack and without, from two ComfyUIs in turns."""
    with _loaded(PACK, folder) as (with_us, _), _loaded(_PACKS / "empty", folder) as (without, _):
        sizes = [len(host.get("/object_info").content) / 1024 for host in (with_us, without)]
        asked = (partial(_cpu_of_a_list, host) for host in (with_us, without))
        seconds = in_turns(_ASKED, *asked)
    against = "ComfyUI alone"
    more = (seconds[0] - seconds[1]) * 1000
    yield Figure("/object_info, more CPU", more, seconds[1] * 1000, "ms", against, _CPU)
    yield Figure("/object_info, more bytes", sizes[0] - sizes[1], sizes[1], "KB", against, _SIZE)


def _cpu_of_a_list(host: ComfyUI) -> float:
    """Seconds of CPU that the host takes for one /object_info: its clock has ticks of 10 ms."""
    process = psutil.Process(host.pid)
    began = _cpu(process)
    for _ in range(_AT_ONCE):
        host.get("/object_info")
    return (_cpu(process) - began) / _AT_ONCE


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def _loaded(pack: Path, folder: Path) -> Iterator[tuple[ComfyUI, float]]:
    """A ComfyUI that has loaded `pack`, and the seconds that took."""
    base = Path(tempfile.mkdtemp(dir=folder))
    env = {
        "BENCH_PACK": str(pack),
        "BENCH_SECONDS": str(base / "seconds"),
        "SKYPORT_HOME": str(folder / "home"),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    timer = [_PACKS / "timer"]
    with ComfyUI(Path(COMFYUI), base=base, pack=None, extra_packs=timer, env=env) as host:
        yield host, float((base / "seconds").read_text(encoding="ascii"))
