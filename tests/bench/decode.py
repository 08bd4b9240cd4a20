"""A 1080p clip to float32 frames: time and peak memory, each run in a process of its own."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from . import _scenes
from ._figures import Entry, Figure, Goal
from ._hosts import COMFYUI, NONE, comfy_api, stand_in
from ._measure import MB, alone, peak_above_idle, timed

_CLIP = (1080, 1920, 120)  # 5 s at 24 frames a second
_MEMORY = Goal(1.05)
_THAN_COMFYUI, _THAN_CV2 = Goal(0.5), Goal(0.8)
_THAN_LIMIT = Goal(1.4)
_LIMIT = "the machine's limit"
_ALL = "its parts one after another, each on all cores"


def figures(small: bool = False) -> Iterator[Entry]:
    (height, width, frames), rounds = ((48, 64, 5), 1) if small else (_CLIP, 3)
    with tempfile.TemporaryDirectory() as folder:
        clip = _scenes.clip(Path(folder, "clip.mp4"), height, width, frames)
        _scenes.clip(Path(folder, "little.mp4"), 48, 64, 5)
        known = {name: call for name, call in _WAYS.items() if _is_there(name)}
        yield from (
            f"decode: no baseline {name}: {_WHY[name]}" for name in _WAYS if name not in known
        )
        seconds, peaks = _measured(known, clip, rounds)
    size = frames * height * width * 3 * 4 / MB
    what = f"decode {width} x {height}, {frames} frames"
    yield Figure(f"{what}, peak memory", peaks["ours"], size, "MB", "the tensor", _MEMORY)
    yield Figure(f"{what}, time", seconds["ours"], seconds[_LIMIT], "s", _LIMIT, _THAN_LIMIT)
    yield Figure(f"{what}, time", seconds["ours"], seconds[_ALL], "s", _ALL)
    for name, goal in (("ComfyUI", _THAN_COMFYUI), ("cv2", _THAN_CV2)):
        if name in known:
            yield Figure(f"{what}, time", seconds["ours"], seconds[name], "s", name, goal)
            yield Figure(f"{what}, peak memory", peaks["ours"], peaks[name], "MB", name)


def _measured(ways: dict[str, Any], clip: Path, rounds: int) -> tuple[dict[str, float], ...]:
    """Median seconds and MB above idle by the way's name; the ways take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*ways, _LIMIT, _ALL)}
    for _ in range(rounds):
        for name in ways:
            times[name].append(alone(_run, name, clip))
        for name, limit in zip((_LIMIT, _ALL), alone(_limits, clip), strict=True):
            times[name].append((limit, 0.0))
    medians = (
        {n: statistics.median(t[part] for t in all_) for n, all_ in times.items()}
        for part in (0, 1)
    )
    return tuple(medians)


def _run(name: str, clip: Path) -> tuple[float, float]:
    decode = _WAYS[name]()
    decode(clip.with_name("little.mp4"))
    seconds: list[float] = []
    peak = peak_above_idle(lambda: seconds.append(timed(partial(decode, clip))))
    return seconds[0], peak / MB


def _limits(clip: Path) -> tuple[float, float]:
    """Seconds: the longer of decoding to RGB of 16 bits and the first touch, and a pass of writing;
    the sum of the three, as each of them has threads for all cores."""
    import torch

    shapes: list[tuple[int, ...]] = []
    decoding = timed(lambda: shapes.extend(_to_rgb(clip)))
    tensor = torch.empty((len(shapes), *shapes[0]))
    touch = timed(lambda: tensor.view(-1)[::1024].zero_())
    writing = timed(lambda: tensor.fill_(0.5))
    return max(decoding, touch) + writing, decoding + touch + writing


def _to_rgb(clip: Path) -> Iterator[tuple[int, ...]]:
    import av
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            reformatter.reformat(frame, format="gbrp16le")
            yield frame.height, frame.width, 3


def _ours() -> Callable[[Path], Any]:
    stand_in()
    from skyport.nodes._media.decode import decode_frames

    return decode_frames


def _comfyui() -> Callable[[Path], Any]:
    files = comfy_api().InputImpl.VideoFromFile
    return lambda path: files(str(path)).get_components().images


def _cv2() -> Callable[[Path], Any]:
    """The loop most packs have: read, to RGB, collect, stack."""
    import cv2
    import torch

    def decode(path: Path) -> Any:
        capture, frames = cv2.VideoCapture(str(path)), []
        while (read := capture.read())[0]:
            colours = cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
            frames.append(torch.from_numpy(colours).float().div_(255))
        return torch.stack(frames)

    return decode


_WAYS = {"ours": _ours, "ComfyUI": _comfyui, "cv2": _cv2}
_WHY = {"ComfyUI": NONE, "cv2": "opencv-python-headless is not installed"}


def _is_there(name: str) -> bool:
    missing = {"ComfyUI": not COMFYUI, "cv2": importlib.util.find_spec("cv2") is None}
    return not missing.get(name, False)
