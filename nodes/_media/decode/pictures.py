"""Decodes pictures and animations to IMAGE; blocking. Broken files raise BadResult."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image
from PIL.ImageFile import ImageFile

from ....engine.base.words import tr
from ....engine.media.container import unreadable
from ....engine.media.files import size_text, sniff_file
from ....engine.media.formats import extension
from ....engine.media.notes import note
from ....engine.media.part_file import came_again
from ....engine.media.picture_file import (
    NOT_A_PICTURE,
    ORIENTATION,
    NoDecoder,
    decodable,
    open_picture,
)
from .cut_pictures import load
from .memory import FramesTooLarge, NotDecoded, free_memory

# Formats whose further pictures are frames. Not TIFF (pages), not MPO (a phone's depth map).
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_FULL = np.float32(255)
_STRIP = 1 << 20  # pixels that are converted at a time

# Bytes a pixel that Pillow keeps, by mode, and that decoders keep beside them, by format.
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}
_DECODER = {"WEBP": 8, "AVIF": 4, "JPEG2000": 4, "GIF": 4}

# A view of an upright array as its pixels are stored, by EXIF orientation.
_UNDO: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a, -1),
}


def decode_image(path: str | Path, *, free_bytes: int | None = None) -> torch.Tensor:
    """IMAGE [N,H,W,C] float32 0..1 of a picture; N is 1, or the number of frames of an animation.

    C is 4 where the file has transparency, else 3; an 8-bit value v arrives as exactly v / 255.
    Grey, palette and CMYK become RGB, EXIF orientation is applied, 16-bit grey keeps its steps
    and 16-bit colour is read at 8 bits.
    free_bytes  memory that may be used; None for what the machine has free
    Raises BadResult, FramesTooLarge before anything is decoded, and NotDecoded for a format that
    is not decoded here.
    """
    return batch_images([path], free_bytes=free_bytes)[0]


def batch_images(
    paths: Sequence[str | Path], *, free_bytes: int | None = None
) -> list[torch.Tensor]:
    """The pictures in order: one batch for each run of equal size and channel count.

    They count together against `free_bytes`. One that is not decoded here is left out, with a
    note, where others are. Raises as `decode_image`.
    """
    sizes = _sizes([Path(path) for path in paths])
    _refuse_too_large(sizes, free_bytes)
    batches: list[_Batch] = []
    for file, _ in sizes:
        with _picture(file) as image:
            for frame in _frames(image, file):
                if not batches or batches[-1].shape != frame.shape:
                    batches.append(_Batch(frame.shape))
                batches[-1].add(frame)
    return [batch.tensor() for batch in batches]


def first_pixels(path: Path) -> np.ndarray:
    """The picture, or an animation's first frame, as uint8 [H,W,3]. Raises BadResult."""
    try:
        _refuse_too_large(_sizes([path]), None)
        with _picture(path) as image:
            frame = next(_frames(image, path))
            pixels = np.empty(frame.shape, dtype=np.uint8)
            frame.write(pixels, 1)
    except NotDecoded as error:
        raise unreadable(path, error.what) from error
    return np.ascontiguousarray(pixels[..., :3])


@contextmanager
def _picture(path: Path) -> Iterator[ImageFile]:
    try:
        with open_picture(path) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise _not_decoded(path, tr("it has more pixels than its decoder takes")) from error
    except NOT_A_PICTURE as error:
        mime = _mime_of(path) if isinstance(error, NoDecoder) else ""
        if not mime.startswith("image/") or decodable(mime):
            raise unreadable(path, error) from error
        name = extension(mime).upper()
        reason = tr("{format} pictures are not decoded here", format=name)
        raise _not_decoded(path, reason) from error


def _mime_of(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return sniff_file(path, stream.read(8192))
    except OSError:
        return ""


def _not_decoded(path: Path, reason: str) -> NotDecoded:
    return NotDecoded(
        tr("{name} cannot be decoded: {reason}.", name=path.name, reason=reason),
        do=tr("The file is whole and kept at {path}. Convert it with another program.", path=path),
    )


# -- memory -----------------------------------------------------------------------------------


def _sizes(paths: Sequence[Path]) -> list[tuple[Path, _Size]]:
    """What each picture takes; raises NotDecoded where none is decoded here."""
    sizes, errors = [], []
    for path in paths:
        try:
            sizes.append((path, _Size.of(path)))
        except NotDecoded as error:
            errors.append(error)
    if errors and not sizes:
        raise errors[0]
    for each in errors:
        note(str(each))
    return sizes


def _refuse_too_large(pictures: Sequence[tuple[Path, _Size]], free_bytes: int | None) -> None:
    """Raises FramesTooLarge where all tensors, and one decoder's own memory, are not free."""
    paths, sizes = [path for path, _ in pictures], [size for _, size in pictures]
    needed = sum(size.tensor for size in sizes) + max((size.decoder for size in sizes), default=0)
    free = free_memory() if free_bytes is None else free_bytes
    if free is None or needed <= free:
        return
    largest = max(sizes, key=lambda size: size.tensor)
    count = sum(size.count for size in sizes)
    words: dict[str, object] = {"width": largest.width, "height": largest.height}
    words |= {"needed": size_text(needed), "free": size_text(free)}
    if count == 1:
        text = tr(
            "{name} is {width} x {height} pixels: decoding it needs {needed} of memory; "
            "{free} is free.",
            name=paths[0].name,
            **words,
        )
    else:
        text = tr(
            "{count} pictures of up to {width} x {height} pixels need {needed} of memory; "
            "{free} is free.",
            count=count,
            **words,
        )
    where = paths[0] if len(paths) == 1 else paths[0].parent
    do = tr(
        "Nothing is lost, it is kept at {path}. Close other programs and queue again, or ask for "
        "smaller or fewer pictures.",
        path=where,
    )
    raise FramesTooLarge(text, needed=needed, free=free, do=do)


class _Size:
    """What a picture takes, in bytes, by its header: its tensor, and beside it while decoding."""

    def __init__(self, image: ImageFile) -> None:
        self.width, self.height = image.size
        numbers = _numbers(image)
        self.count = len(numbers)
        pixels = self.width * self.height
        channels = 4 if image.has_transparency_data else 3
        self.tensor = self.count * pixels * channels * 4
        beside = _DECODER.get(image.format or "", 0)
        self.decoder = pixels * (_STORED.get(image.mode, 4) + beside)

    @classmethod
    def of(cls, path: Path) -> _Size:
        with _picture(path) as image:
            return cls(image)


class _Batch:
    """One float32 [N,H,W,C] that grows in place, without a second copy."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._array = np.empty((0, *shape), dtype=np.float32)

    def add(self, frame: _Frame) -> None:
        count = len(self._array)
        self._array.resize((count + 1, *self.shape), refcheck=False)
        frame.write(self._array[count], _FULL)

    def tensor(self) -> torch.Tensor:
        return torch.from_numpy(self._array)


# -- frames -----------------------------------------------------------------------------------


class _Frame:
    """A decoded picture, to be written into an array upright and strip by strip."""

    def __init__(self, image: ImageFile, alpha: np.ndarray | None, channels: int) -> None:
        self._image = image
        self._alpha = alpha  # uint8 [H,W], as stored, where it is not in the image
        self._turn: int = image.getexif().get(ORIENTATION, 1)
        height, width = image.height, image.width
        upright = (width, height) if self._turn in (5, 6, 7, 8) else (height, width)
        self.shape = (*upright, channels)

    def write(self, target: np.ndarray, divisor: Any) -> None:
        """The levels 0..255, divided by `divisor`, into `target` [H,W,C]."""
        undo = _UNDO.get(self._turn)
        stored = undo(target) if undo else target
        step = max(1, _STRIP // self._image.width)
        for top in range(0, self._image.height, step):
            rows = stored[top : top + step]
            levels = self._levels(top, top + len(rows))
            np.divide(levels, divisor, out=rows, dtype=np.float32, casting="unsafe")

    def _levels(self, top: int, bottom: int) -> np.ndarray:
        """[h,W,C] in 0..255: uint8, or float32 for pictures of more than 8 bits."""
        strip: Image.Image = self._image
        if bottom - top < strip.height:
            strip = strip.crop((0, top, strip.width, bottom))
        mode = "RGBA" if self.shape[2] == 4 else "RGB"
        if strip.mode.startswith("I") or strip.mode == "F":
            levels = _wide_grey(strip, self.shape[2])
        else:
            levels = np.asarray(strip if strip.mode == mode else strip.convert(mode))
        if self._alpha is not None:
            levels = levels.copy()
            levels[..., 3] = self._alpha[top:bottom]
        return levels


def _wide_grey(image: Image.Image, channels: int) -> np.ndarray:
    # "F" holds 0..1 by custom, "I" holds a 16-bit PNG's values.
    scale = 255.0 if image.mode == "F" else 255.0 / 65535.0
    values = np.clip(np.nan_to_num(np.asarray(image)), 0, 65535)
    grey = np.clip(values.astype(np.float32) * np.float32(scale), 0, 255)
    levels = np.repeat(grey[..., None], channels, axis=2)
    if channels == 4:
        levels[..., 3] = np.where(values == image.info.get("transparency"), 0, 255)
    return levels


def _numbers(image: ImageFile) -> range:
    """The pictures in the file that are frames."""
    count = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    # An APNG may have another picture for programs that do not know animations.
    first = 1 if count > 1 and getattr(image, "default_image", False) else 0
    return range(first, count)


def _frames(image: ImageFile, path: Path) -> Iterator[_Frame]:
    """The frames one after the other; those behind a damage that came twice are left out."""
    numbers = _numbers(image)
    if len(numbers) == 1:
        _note_pages(image, path)
    channels = 0  # those of the first frame; no later one has more
    for number in numbers:
        try:
            if len(numbers) > 1 or number:
                image.seek(number)
            load(image, path, alone=len(numbers) == 1)
            channels = channels or (4 if image.has_transparency_data else 3)
        except NOT_A_PICTURE:
            if number == numbers[0] or not came_again(path):
                raise
            read = number - numbers[0]
            note(
                tr(
                    "{name} is damaged: {read} of its {count} frames could be decoded.",
                    name=path.name,
                    read=read,
                    count=len(numbers),
                )
            )
            return
        yield _Frame(image, _deep_alpha(image, path), channels)


def _note_pages(image: ImageFile, path: Path) -> None:
    count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    if count > 1:
        note(tr("{name} has {count} pages; the first one is used.", name=path.name, count=count))


def _deep_alpha(image: ImageFile, path: Path) -> np.ndarray | None:
    """Alpha, uint8 [H,W], of a PNG of 16 bits a colour with one transparent colour: Pillow keeps 8
    of the bits, by which other colours would be transparent too."""
    if image.format != "PNG" or image.mode != "RGB" or "transparency" not in image.info:
        return None
    with open(path, "rb") as stream:
        if stream.read(25)[24] != 16:
            return None
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return np.ascontiguousarray(frame.to_ndarray(format="rgba")[..., 3])
