"""How much main memory is free, and the refusal of what does not fit in it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from ....engine.base.errors import SkyportError
from ....engine.base.words import tr
from ....engine.media.files import size_text


class NotDecoded(SkyportError):
    """A whole file that cannot be decoded on this machine: it is not worth fetching again."""


class FramesTooLarge(NotDecoded):
    """The pictures do not fit in free memory. `needed` and `free` are in bytes."""

    def __init__(self, what: str, *, needed: int, free: int, do: str = "") -> None:
        super().__init__(what, do=do)
        self.needed = needed
        self.free = free


def free_memory() -> int | None:
    """Bytes of available main memory; None if unknown."""
    host = sys.modules.get("comfy.model_management")  # always loaded in ComfyUI
    ask = getattr(host, "get_free_memory", None)
    if ask is not None:
        return int(ask(torch.device("cpu")))
    try:
        import psutil
    except ImportError:
        return _free_by_kernel()
    return int(psutil.virtual_memory().available)


def _free_by_kernel() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines if line.startswith("MemAvailable:"))
    return next((int(kilobytes) * 1024 for _, kilobytes, _ in found), None)


def refuse_too_large(count: int, size: tuple[int, int], free: int | None) -> None:
    """Raises FramesTooLarge where `count` RGB frames of (width, height) exceed `free` bytes."""
    width, height = size
    needed = count * width * height * 3 * 4
    free = free_memory() if free is None else free
    if free is None or needed <= free:
        return
    raise FramesTooLarge(
        tr(
            "{count} frames of {width} x {height} need {needed} of memory; {free} is free.",
            count=count,
            width=width,
            height=height,
            needed=size_text(needed),
            free=size_text(free),
        ),
        needed=needed,
        free=free,
        do=tr(
            "Use `video` instead of `frames`, take fewer frames from it with a node that trims "
            "videos, or ask for a shorter or smaller video."
        ),
    )
