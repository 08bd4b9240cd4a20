"""Inspects results with PyAV and Pillow: kind, size, frames, sound as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from ..engine.base.types import Kind
from ..engine.base.words import tr
from ..engine.media.container import (
    audio_stream,
    iter_frames,
    open_container,
    open_raw,
    unreadable,
    video_stream,
)
from ..engine.media.files import sniff_file

_UNREADABLE = (av.error.FFmpegError, OSError, ValueError, SyntaxError)
_SKY, _SOUND = (32, 28, 64), (255, 200, 120)


def kind_of(path: Path) -> Kind:
    """The kind of the file, by its bytes. Raises BadResult where it is no media file."""
    with path.open("rb") as file:
        mime = sniff_file(path, file.read(8192))
    try:
        return Kind(mime.partition("/")[0])
    except ValueError:
        raise unreadable(path, tr("it is no image, video or audio file")) from None


def size_of(path: Path) -> str:
    """`768 x 512`, `640 x 426, 3.0 s` or `2.5 s`. Raises BadResult for an unreadable file."""
    try:
        if kind_of(path) is Kind.IMAGE:
            with Image.open(path) as image:
                image.load()
                return f"{image.width} x {image.height}"
        with open_raw(path) as file:
            sides = [f"{stream.width} x {stream.height}" for stream in file.streams.video[:1]]
            seconds = [f"{file.duration / av.time_base:.1f} s"] if file.duration else []
            return ", ".join(sides + seconds)
    except _UNREADABLE as error:
        raise unreadable(path, error) from None


def frames(path: Path) -> Iterator[Image.Image]:
    """Every frame of a video, decoded as the nodes decode it. Raises BadResult."""
    with open_container(path) as file:
        for frame in iter_frames(file, video_stream(file, path)):
            yield frame.to_image()


def spread(path: Path, count: int) -> tuple[int, list[Image.Image]]:
    """(the number of frames of a video, `count` of them evenly spread). Raises BadResult."""
    total = sum(1 for _ in frames(path))
    if not total:
        raise unreadable(path, tr("no frame could be decoded"))
    wanted = {round(number * (total - 1) / max(1, count - 1)) for number in range(count)}
    return total, [frame for number, frame in enumerate(frames(path)) if number in wanted]


def sound(path: Path, size: tuple[int, int]) -> Image.Image:
    """The loudness of an audio file over time, as a picture. Raises BadResult."""
    width, height = size
    image = Image.new("RGB", size, _SKY)
    pen = ImageDraw.Draw(image)
    for x, loud in enumerate(_loudness(path, width // 4)):
        half = max(1, round(loud * height * 0.45))
        box = (x * 4, height // 2 - half, x * 4 + 2, height // 2 + half)
        pen.rectangle(box, _SOUND)
    return image


def _loudness(path: Path, columns: int) -> list[float]:
    """The peaks of `columns` equal pieces, relative to the loudest."""
    with open_container(path) as file:
        track = audio_stream(file)
        if track is None:
            raise unreadable(path, tr("it has no sound track"))
        to_floats = av.AudioResampler(format="fltp", layout="mono")
        parts = [p for f in iter_frames(file, track) for p in to_floats.resample(f)]
    if not parts:
        raise unreadable(path, tr("no sound could be decoded"))
    wave = np.abs(np.concatenate([part.to_ndarray()[0] for part in parts]))
    peaks = [float(piece.max(initial=0)) for piece in np.array_split(wave, columns)]
    return [peak / (max(peaks) or 1.0) for peak in peaks]
