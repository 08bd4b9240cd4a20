"""How far frames are from a lossless clip's true colours; time and memory beside it."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ._figures import Entry, Figure, Goal
from ._hosts import COMFYUI, comfy_api, stand_in
from ._measure import MB, alone, peak_above_idle, timed

_CLIP = (720, 1280, 24)
_AS_TRUE = Goal(1.0)
_FORMATS = ((8, "420"), (8, "444"), (10, "420"), (12, "422"))
_PLAIN = "colours: without COMFYUI_PATH the baseline is what its node does, without the node"


def figures(small: bool = False) -> Iterator[Entry]:
    height, width, count = (48, 64, 2) if small else _CLIP
    if not COMFYUI:
        yield _PLAIN
    for bits, sampling in _FORMATS[-1:] if small else _FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            clip = _clip(Path(folder, "clip.mkv"), height, width, count, bits, sampling)
            ours, theirs = (alone(_run, name, clip) for name in ("ours", "ComfyUI"))
        what = f"{bits} bits 4:{sampling[1]}:{sampling[2]}, bt709, {width} x {height}"
        yield Figure(f"{what}: mean error", ours[0], theirs[0], "/255", "ComfyUI", _AS_TRUE)
        yield Figure(f"{what}: time", ours[1], theirs[1], "s", "ComfyUI")
        yield Figure(f"{what}: peak memory", ours[2], theirs[2], "MB", "ComfyUI")


def _clip(path: Path, height: int, width: int, count: int, bits: int, sampling: str) -> Path:
    true = _true()
    levels = true.planes(true.scene(height, width), "bt709", False, bits, sampling)
    pix_fmt = true.pixel_format(sampling, bits)
    return true.write_planes(path, [levels] * count, pix_fmt, "bt709", False)


def _run(name: str, clip: Path) -> tuple[float, float, float]:
    """Mean error in 1/255, seconds, and MB at most."""
    decode = _WAYS[name]()
    frames: list[Any] = []
    seconds: list[float] = []
    work = partial(_keep, decode, clip, frames)
    peak = peak_above_idle(lambda: seconds.append(timed(work)))
    first = frames[0][0]
    error = _true().mean_error(first, _true().scene(*first.shape[:2]))
    return error, seconds[0], peak / MB


def _keep(decode: Any, clip: Path, frames: list[Any]) -> None:
    frames.append(decode(clip))


def _ours() -> Any:
    stand_in()
    from skyport.nodes._media.decode import decode_frames

    return lambda path: decode_frames(path).numpy()


def _comfyui() -> Any:
    if not COMFYUI:
        return _true().as_comfyui
    files = comfy_api().InputImpl.VideoFromFile
    return lambda path: files(str(path)).get_components().images.numpy()


def _true() -> Any:
    return importlib.import_module("_true_colours")


_WAYS = {"ours": _ours, "ComfyUI": _comfyui}
