"""Decodes result files to IMAGE, VIDEO and AUDIO; blocking. Broken files raise BadResult."""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps, ImageSequence

from ...engine.base.errors import SkyportError
from ...engine.base.words import tr
from ...engine.media.container import (
    audio_stream,
    first_frame,
    iter_frames,
    open_container,
    unreadable,
    video_stream,
)
from ...engine.media.files import size_text, sniff

# Formats whose further pictures are frames. Not TIFF (pages), not MPO (a phone's depth map).
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_FULL = np.float32(255)
_THREADS = min(4, os.cpu_count() or 1)
_NOT_A_PICTURE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


class FramesTooLarge(SkyportError):
    """The frames do not fit in free memory. `needed` and `free` are in bytes."""

    def __init__(self, what: str, *, needed: int, free: int, do: str = "") -> None:
        super().__init__(what, do=do)
        self.needed = needed
        self.free = free


# -- pictures ---------------------------------------------------------------------------------


def decode_image(path: str | Path) -> torch.Tensor:
    """IMAGE [N,H,W,C] float32 0..1 of a picture; N is 1, or the number of frames of an animation.

    C is 4 where the file has transparency, else 3; an 8-bit value v arrives as exactly v / 255.
    Grey, palette and CMYK become RGB, EXIF orientation is applied, 16-bit grey keeps its steps
    and 16-bit colour is read at 8 bits.
    Raises BadResult, and FramesTooLarge for an animation beyond free memory.
    """
    with _picture(Path(path)) as image:
        count = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
        if count == 1:
            return _tensor_of([_array(image)])
        _refuse_too_large(count, image.size, None)
        return _tensor_of([_array(each) for each in ImageSequence.Iterator(image)])


def batch_images(paths: Sequence[str | Path]) -> list[torch.Tensor]:
    """The pictures in order: one batch for each run of equal size and channel count."""
    pictures = [decode_image(path) for path in paths]
    runs = (list(run) for _, run in groupby(pictures, key=lambda picture: picture.shape[1:]))
    return [run[0] if len(run) == 1 else torch.cat(run) for run in runs]


def thumbnail(path: str | Path, side: int = 512) -> Image.Image:
    """An RGB preview of at most `side` pixels a side: of the image, or a video's first frame."""
    path = Path(path)
    small = Image.fromarray(_first_pixels(path))
    small.thumbnail((side, side))
    return small


@contextmanager
def _picture(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except _NOT_A_PICTURE as error:
        raise unreadable(path, error) from error


def _array(image: Image.Image) -> np.ndarray:
    """[H,W,C] in 0..255, C 3 or 4: uint8, or float32 for pictures of more than 8 bits."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _wide_grey(image)
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _wide_grey(image: Image.Image) -> np.ndarray:
    # "F" holds 0..1 by custom, "I" holds a 16-bit PNG's values.
    scale = 255.0 if image.mode == "F" else 255.0 / 65535.0
    grey = np.clip(np.asarray(image).astype(np.float32) * np.float32(scale), 0, 255)
    return np.repeat(grey[..., None], 3, axis=2)


def _tensor_of(frames: Sequence[np.ndarray]) -> torch.Tensor:
    batch = np.empty((len(frames), *frames[0].shape), dtype=np.float32)
    for target, frame in zip(batch, frames, strict=True):
        np.divide(frame, _FULL, out=target)
    return torch.from_numpy(batch)


def _first_pixels(path: Path) -> np.ndarray:
    if _is_video(path):
        with open_container(path) as container:
            return _Upright()(
                first_frame(iter_frames(container, video_stream(container, path)), path)
            )
    with _picture(path) as image:
        return np.ascontiguousarray(_array(image)[..., :3]).astype(np.uint8)


def _is_video(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return not sniff(stream.read(8192)).startswith("image/")
    except OSError as error:
        raise unreadable(path, error) from error


# -- video ------------------------------------------------------------------------------------


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
        _refuse_too_large(count, (self._shape[1], self._shape[0]), self._free)


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


# -- memory -----------------------------------------------------------------------------------


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


def _refuse_too_large(count: int, size: tuple[int, int], free: int | None) -> None:
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


# -- sound ------------------------------------------------------------------------------------


def has_audio(path: str | Path) -> bool:
    """True if an audio or video file has a sound track that can be decoded. Raises BadResult."""
    with open_container(Path(path)) as container:
        return audio_stream(container) is not None


def decode_audio(path: str | Path) -> dict[str, Any]:
    """AUDIO {"waveform": float32 [1,C,T], "sample_rate"} of an audio file or a video's sound track.

    Rate and channels stay as they are. Raises BadResult, also where there is no sound.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise unreadable(path, tr("it has no sound track"))
        pieces, rate = _planar(iter_frames(container, stream))
    if not pieces:
        raise unreadable(path, tr("no sound could be decoded"))
    waveform = torch.from_numpy(np.concatenate(pieces, axis=1))[None]
    return {"waveform": waveform, "sample_rate": rate}


def _planar(frames: Iterator[Any]) -> tuple[list[np.ndarray], int]:
    """float32 [C,T] pieces of any sample format, and their rate: that of the first frame."""
    first = next(frames, None)
    if first is None:
        return [], 0
    target = {"format": "fltp", "layout": first.layout.name, "rate": first.sample_rate}
    resampler = av.AudioResampler(**target)
    shape, pieces = _shape_of(first), []
    for frame in chain([first], frames):
        if _shape_of(frame) != shape:  # changed mid-stream, which a resampler refuses
            pieces += _drain_resampler(resampler)
            resampler, shape = av.AudioResampler(**target), _shape_of(frame)
        pieces += [out.to_ndarray() for out in resampler.resample(frame)]
    return pieces + _drain_resampler(resampler), first.sample_rate


def _shape_of(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _drain_resampler(resampler: av.AudioResampler) -> list[np.ndarray]:
    return [out.to_ndarray() for out in resampler.resample(None)]
