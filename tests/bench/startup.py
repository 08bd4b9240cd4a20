"""What the pack adds to ComfyUI's start, and to the list of nodes that every page asks for."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from skyport.demo._host import PACK, ComfyUI

from ._figures import Entry, Figure, Goal
from ._hosts import COMFYUI, NONE
from ._measure import in_turns, timed

_PACKS = Path(__file__).resolve().parent / "_packs"
_STARTS, _ASKED = 3, 15
_IMPORT, _TIME, _SIZE = Goal(0.15, "s"), Goal(15, "ms"), Goal(400, "KB")


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
        asked = (partial(timed, partial(host.get, "/object_info")) for host in (with_us, without))
        seconds = in_turns(_ASKED, *asked)
    against = "ComfyUI alone"
    more = (seconds[0] - seconds[1]) * 1000
    yield Figure("/object_info, more time", more, seconds[1] * 1000, "ms", against, _TIME)
    yield Figure("/object_info, more bytes", sizes[0] - sizes[1], sizes[1], "KB", against, _SIZE)


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
