"""Decodes pictures and animations to IMAGE; blocking. Broken files raise BadResult."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence

from ...engine.media.container import unreadable
from .memory import refuse_too_large

# Formats whose further pictures are frames. Not TIFF (pages), not MPO (a phone's depth map).
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_FULL = np.float32(255)
_NOT_A_PICTURE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


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
        refuse_too_large(count, image.size, None)
        return _tensor_of([_array(each) for each in ImageSequence.Iterator(image)])


def batch_images(paths: Sequence[str | Path]) -> list[torch.Tensor]:
    """The pictures in order: one batch for each run of equal size and channel count."""
    pictures = [decode_image(path) for path in paths]
    runs = (list(run) for _, run in groupby(pictures, key=lambda picture: picture.shape[1:]))
    return [run[0] if len(run) == 1 else torch.cat(run) for run in runs]


def first_pixels(path: Path) -> np.ndarray:
    """The picture, or an animation's first frame, as uint8 [H,W,3]. Raises BadResult."""
    with _picture(path) as image:
        return np.ascontiguousarray(_array(image)[..., :3]).astype(np.uint8)


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
