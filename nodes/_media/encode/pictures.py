"""Encodes IMAGE and MASK as PNGs; blocking."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from ....engine.base.errors import InvalidInput
from ....engine.base.types import MediaFile
from ....engine.base.words import tr
from . import stored, tensors

# FFmpeg's encoder: as small as Pillow's default, from photos to drawings, in half the time.
_LEVEL = "5"
_FLAT = 0.9  # of the pixels of a drawing equal the one to their left
_PNG_END = b"IEND\xaeB`\x82"
_PIXELS = {1: "gray", 3: "rgb24", 4: "rgba"}
_STRIP = 32768  # values that are floats at a time: torch starts threads of its own for more
_THREADS = min(4, os.cpu_count() or 1)


def encode_images(images: Any, folder: Path) -> list[MediaFile]:
    """Lossless PNGs of IMAGE [B,H,W,C], floats 0..1, C = 1 (grey), 3 (RGB) or 4 (RGBA).

    Values are rounded to the nearest of 256 steps and clamped, so an 8-bit picture comes back
    exactly; uint8 is taken as 0..255, bool as 0 and 1. Raises InvalidInput for another shape, an
    empty batch, other integers and NaN.
    """
    batch = tensors.checked_images(tensors.plain(images))
    with ThreadPoolExecutor(min(_THREADS, len(batch))) as pool:
        return list(pool.map(lambda image: _encode_image(image, folder), batch))


def encode_masks(masks: Any, folder: Path) -> list[MediaFile]:
    """8-bit grey PNGs of MASK [B,H,W], [H,W], [B,1,H,W] or [B,H,W,1]; as `encode_images`."""
    return encode_images(tensors.as_masks(masks)[..., None], folder)


def encode_cutouts(masks: Any, folder: Path) -> list[MediaFile]:
    """RGBA PNGs of MASK: transparent where it is 0.5 or more, opaque elsewhere.

    Platforms expect the region to repaint in this form. Shapes and errors as `encode_masks`.
    """
    batch = tensors.as_masks(masks)
    if batch.dtype == torch.uint8 and batch.max() <= 1:
        batch = batch > 0  # of 0 and 1 only: taken as levels, it would change nothing
    floats = tensors.to_unit(batch)
    opaque = (batch if batch.is_floating_point() else floats) < 0.5
    clear = torch.zeros_like(opaque)
    return encode_images(torch.stack([clear, clear, clear, opaque], dim=-1), folder)


def write_levels(image: torch.Tensor, top: int, target: np.ndarray) -> None:
    """`image` [H,W,C] as the nearest whole numbers 0..top, to the integers `target` [H,W * C]."""
    step = max(1, _STRIP // target.shape[1])
    strip = np.empty((step, target.shape[1]), dtype=np.float32)
    for first in range(0, len(target), step):
        rows = target[first : first + step]
        levels = strip[: len(rows)]
        floats = tensors.to_unit(image[first : first + step]).numpy()
        np.multiply(floats.reshape(levels.shape), np.float32(top), out=levels)
        np.rint(levels, out=levels)
        np.clip(levels, 0, top, out=levels)
        rows[...] = levels


def _encode_image(image: torch.Tensor, folder: Path) -> MediaFile:
    """The PNG of one [H,W,C], named by its pixels, so that an equal image is encoded once."""
    frame, rows = _blank(image.shape)
    write_levels(image, 255, rows)
    digest = hashlib.sha256(f"{frame.format.name} {frame.width} {frame.height} ".encode())
    digest.update(np.ascontiguousarray(rows).data)
    final = folder / f"{digest.hexdigest()[:16]}.png"
    if not _is_whole(final):
        with stored.draft(folder, ".png") as draft:
            _write_png(frame, draft, _prediction(rows, image.shape[2]))
            stored.rename(draft, final)
    size = final.stat().st_size
    described = (digest.hexdigest(), size, frame.width, frame.height)
    return MediaFile(final, final.name, "image/png", *described)


def _is_whole(png: Path) -> bool:
    """True if the file is complete: a power cut may leave a name without its bytes."""
    try:
        with png.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - len(_PNG_END)))
            return stream.read() == _PNG_END
    except FileNotFoundError:
        return False


def _blank(shape: torch.Size) -> tuple[av.VideoFrame, np.ndarray]:
    """A frame for a picture [H,W,C], and its bytes as [H,W * C]. Raises InvalidInput."""
    height, width, channels = shape
    try:
        frame = av.VideoFrame(width, height, _PIXELS[channels])
    except (av.error.FFmpegError, OverflowError) as error:
        raise InvalidInput(
            tr("The image is too large to encode: {width} x {height}.", width=width, height=height),
            do=tr("Scale it down first."),
        ) from error
    frame.pts = 0
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8, height * plane.line_size)
    return frame, rows.reshape(height, plane.line_size)[:, : width * channels]


def _prediction(rows: np.ndarray, channels: int) -> str:
    """How FFmpeg shall predict a row: where most of it is flat, trying every way gains nothing."""
    some = rows[::16]
    equal = some[:, channels:] == some[:, :-channels]
    return "up" if np.count_nonzero(equal) > _FLAT * equal.size else "mixed"


def _write_png(frame: av.VideoFrame, path: Path, prediction: str) -> None:
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = frame.format.name, Fraction(1)
    encoder.options = {"compression_level": _LEVEL, "pred": prediction}
    encoder.thread_count = 1
    with path.open("wb") as stream:
        for packet in (*encoder.encode(frame), *encoder.encode(None)):
            stream.write(packet)
