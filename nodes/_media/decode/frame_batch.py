"""The frames of a video as one tensor, filled in place by several threads."""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from .colours import FrameConverter
from .memory import free_memory, refuse_too_large
from .pages import FrameMemory, HugePages

_THREADS = min(4, os.cpu_count() or 1)


class FrameBatch:
    """One float32 [N,H,W,3] that several threads fill: FFmpeg and numpy release the GIL.

    Raises FramesTooLarge where it does not fit in `free` bytes (None: what the machine has free).
    """

    def __init__(self, capacity: int, converter: FrameConverter, free: int | None) -> None:
        self._free = free_memory() if free is None else free
        self._converter = converter
        self._memory = self._allocated(capacity)
        self._pages = HugePages()
        self._count = 0
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="skyport-frames")
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> FrameBatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, frame: Any) -> None:
        """Appends `frame`. Waits while too many are being converted: they take memory."""
        if self._count == len(self._memory.tensor):
            self._grow()
        self._under_way.append(self._pool.submit(self._write, frame, self._count))
        self._count += 1
        if len(self._under_way) > 2 * _THREADS:
            self._under_way.popleft().result()

    def tensor(self) -> torch.Tensor:
        """The frames that were added."""
        self._drain()
        return self._memory.tensor[: self._count]

    def _write(self, frame: Any, index: int) -> None:
        in_huge = self._pages.are_wanted() and self._memory.ask_for_huge_pages(index)
        began = time.thread_time()
        self._converter.write(frame, self._memory.tensor[index].numpy())
        self._pages.record(time.thread_time() - began, in_huge=in_huge)

    def _grow(self) -> None:
        """Room for more than a header declared."""
        larger = self._allocated(self._count + self._count // 4 + 1)
        self._drain()
        larger.tensor[: self._count] = self._memory.tensor
        self._memory = larger

    def _allocated(self, count: int) -> FrameMemory:
        height, width, channels = self._converter.shape
        refuse_too_large(count, (width, height), self._free)
        return FrameMemory((count, height, width, channels))

    def _drain(self) -> None:
        while self._under_way:
            self._under_way.popleft().result()
