"""A VIDEO that is a file on disk, made ready for upload: it must not be decoded."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import _scenes
from ._figures import Entry, Figure, Goal
from ._hosts import comfy_api
from ._measure import alone, timed

_CLIP = (1080, 1920, 120)
_NO_DECODE = Goal(0.05)


def figures(small: bool = False) -> Iterator[Entry]:
    (height, width, frames), rounds = ((48, 64, 5), 1) if small else (_CLIP, 3)
    with tempfile.TemporaryDirectory() as folder:
        clip = _scenes.clip(Path(folder, "clip.mp4"), height, width, frames)
        runs = [alone(_run, clip) for _ in range(rounds)]
    ours, theirs = (statistics.median(run[part] for run in runs) * 1000 for part in (0, 1))
    what = f"VIDEO {width} x {height}, {frames} frames, to an upload"
    yield Figure(what, ours, theirs, "ms", "decode, encode", _NO_DECODE)


def _run(clip: Path) -> tuple[float, float]:
    """Seconds to a file ready for upload: ours, and by decoding and encoding."""
    api = comfy_api()
    from skyport.nodes._media.encode import encode_video

    def again() -> None:
        parts = api.InputImpl.VideoFromFile(str(clip)).get_components()
        api.InputImpl.VideoFromComponents(parts).save_to(str(clip.with_name("again.mp4")))

    video = api.InputImpl.VideoFromFile(str(clip))
    return timed(lambda: encode_video(video, clip.parent)), timed(again)
