"""Decodes videos to VIDEO and IMAGE; previews of results. Blocking; raises BadResult."""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from PIL import Image

from ...engine.base.words import tr
from ...engine.media.container import (
    first_frame,
    iter_frames,
    open_container,
    unreadable,
    video_stream,
)
from ...engine.media.files import sniff_file
from .memory import free_memory, refuse_too_large
from .pictures import first_pixels

_FULL = np.float32(255)
_THREADS = min(4, os.cpu_count() or 1)


def open_video(path: str | Path) -> Any:
    """A VIDEO backed by the file at `path`; nothing is decoded. Raises BadResult."""
    check_video(path)
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(path))


def check_video(path: str | Path) -> None:
    """Raises BadResult if the file has no video track or is evidently truncated."""
    path = Path(path)
    with open_container(path) as container:
        video_stream(container, path)
    if _is_truncated(path):
        raise unreadable(path, tr("its end is missing"))


def frame_count(path: str | Path) -> int:
    """Frames as the header declares them, else packets counted without decoding. Raises BadResult.

    May differ from what a decoder gives: headers err, and a packet can hold an invisible frame.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        return stream.frames or sum(1 for packet in container.demux(stream) if packet.size)


def decode_frames(path: str | Path, *, free_bytes: int | None = None) -> torch.Tensor:
    """All frames of a video, upright, as one IMAGE [N,H,W,3] float32 0..1 filled in place.

    free_bytes  memory that may be used; None for what the machine has free
    Raises BadResult, and FramesTooLarge before the tensor is allocated.
    """
    path = Path(path)
    capacity = frame_count(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        frames, upright = iter_frames(container, stream), _Upright()
        first = first_frame(frames, path)
        shape = upright(first).shape
        with _Filling(max(capacity, 1), shape, free_bytes) as filling:
            for frame in chain([first], frames):
                filling.add(frame, upright)
            return filling.tensor()


class _Filling:
    """One float32 batch that several threads fill: FFmpeg and numpy release the GIL."""

    def __init__(self, capacity: int, shape: tuple[int, ...], free: int | None) -> None:
        self._free = free_memory() if free is None else free
        self._shape = shape
        self._refuse_too_large(capacity)
        # numpy's, not torch's: it can be resized in place, without a second copy.
        self._batch = np.empty((capacity, *shape), dtype=np.float32)
        self._count = 0
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="skyport-frames")
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> _Filling:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, frame: Any, upright: _Upright) -> None:
        """Appends `frame`. Waits while too many are being converted: they take memory."""
        if self._count == len(self._batch):
            self._grow()
        target = self._batch[self._count]
        self._under_way.append(self._pool.submit(self._fill, target, frame, upright))
        self._count += 1
        if len(self._under_way) > 2 * _THREADS:
            self._under_way.popleft().result()

    def tensor(self) -> torch.Tensor:
        self._drain()
        self._batch.resize((self._count, *self._shape), refcheck=False)
        return torch.from_numpy(self._batch)

    @staticmethod
    def _fill(target: np.ndarray, frame: Any, upright: _Upright) -> None:
        np.divide(upright(frame), _FULL, out=target)

    def _grow(self) -> None:
        more = self._count + self._count // 4 + 1
        self._refuse_too_large(more)
        self._drain()  # the batch may move
        self._batch.resize((more, *self._shape), refcheck=False)

    def _drain(self) -> None:
        while self._under_way:
            self._under_way.popleft().result()

    def _refuse_too_large(self, count: int) -> None:
        refuse_too_large(count, (self._shape[1], self._shape[0]), self._free)


class _Upright:
    """A frame as uint8 [H,W,3], rotated upright and scaled to the size of the first one.

    The first frame must be converted before other threads start.
    """

    def __init__(self) -> None:
        self._size: dict[str, int] = {}
        self._of_thread = threading.local()

    def __call__(self, frame: Any) -> np.ndarray:
        self._size = self._size or {"width": frame.width, "height": frame.height}
        pixels = self._converter().reformat(frame, format="rgb24", **self._size).to_ndarray()
        turns = round(frame.rotation / 90) % 4
        return np.rot90(pixels, turns) if turns else pixels

    def _converter(self) -> VideoReformatter:
        converter: VideoReformatter | None = getattr(self._of_thread, "converter", None)
        if converter is None:
            converter = self._of_thread.converter = VideoReformatter()
        return converter


def _is_truncated(path: Path) -> bool:
    """True if an mp4 or mov declares media data beyond the end of the file."""
    size, position = path.stat().st_size, 0
    with open(path, "rb") as stream:
        if stream.read(8)[4:] != b"ftyp":
            return False
        while position + 8 <= size:
            stream.seek(position)
            length, name, long = struct.unpack(">I4sQ", stream.read(16).ljust(16, b"\0"))
            length = long if length == 1 else length
            if name in (b"moov", b"moof", b"mdat") and position + length > size:
                return True
            if length < 8:  # 0: up to the end of the file
                return False
            position += length
    return False


# -- previews ---------------------------------------------------------------------------------


def thumbnail(path: str | Path, side: int = 512) -> Image.Image:
    """An RGB preview of at most `side` pixels a side: of the image, or a video's first frame."""
    path = Path(path)
    small = Image.fromarray(_first_pixels(path))
    small.thumbnail((side, side))
    return small


def _first_pixels(path: Path) -> np.ndarray:
    if not _is_video(path):
        return first_pixels(path)
    with open_container(path) as container:
        return _Upright()(first_frame(iter_frames(container, video_stream(container, path)), path))


def _is_video(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return not sniff_file(path, stream.read(8192)).startswith("image/")
    except OSError as error:
        raise unreadable(path, error) from error
