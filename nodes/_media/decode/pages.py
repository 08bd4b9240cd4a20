"""Memory for frames, in huge pages where the system has them at hand."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from statistics import median

import torch

_HUGE: int | None = getattr(mmap, "MADV_HUGEPAGE", None)  # only Linux has it
_SAMPLES = 4  # frames in small pages to compare with


class FrameMemory:
    """`tensor`, float32 of `shape`: uninitialized, and no page of it is taken before a write."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._mapped = _mapped(4 * math.prod(shape))
        if self._mapped is None:
            self.tensor = torch.empty(tuple(shape), dtype=torch.float32)
        else:
            self.tensor = torch.frombuffer(self._mapped, dtype=torch.float32).view(*shape)

    def ask_for_huge_pages(self, index: int) -> bool:
        """Ask for them for the frame at `index`; whether that is possible here."""
        if self._mapped is None or _HUGE is None:
            return False
        size = len(self._mapped) // len(self.tensor)
        begin = index * size // mmap.PAGESIZE * mmap.PAGESIZE
        try:
            self._mapped.madvise(_HUGE, begin, (index + 1) * size - begin)
        except OSError:  # a kernel without them
            return False
        return True


def _mapped(size: int) -> mmap.mmap | None:
    """Memory of which parts can have huge pages; None where there is none, or no such pages."""
    if _HUGE is not None:
        with suppress(OSError):
            return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return None


class HugePages:
    """Whether to ask for huge pages: for as long as frames are written faster in them.

    Where the system has them at hand, a frame takes half the time. Where it must make them, or a
    virtual machine's host must give their memory back, it takes three times as long. Nothing says
    beforehand which it will be, so the first slow one ends them.
    """

    def __init__(self) -> None:
        self._in_small: list[float] = []
        self._are_slow = False

    def are_wanted(self) -> bool:
        return len(self._in_small) >= _SAMPLES and not self._are_slow

    def record(self, seconds: float, *, in_huge: bool) -> None:
        """Note the CPU time of writing one frame."""
        if not in_huge:
            self._in_small.append(seconds)
        elif seconds > median(self._in_small):
            self._are_slow = True
