"""Opens pictures of any size with Pillow; decodes no pixels."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from ..base.words import tr

ORIENTATION = 0x0112  # the EXIF tag

NOT_A_PICTURE = (  # what its decoders raise about a broken one
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


class NoDecoder(UnidentifiedImageError):
    """Pillow knows nothing here that begins like this file."""


def open_picture(path: Path) -> ImageFile:
    """Like Pillow's `open`, but without its limit of pixels: who decodes looks at free memory.

    That limit is one for the whole process, and other packs rely on it. A few of Pillow's decoders
    ask for it themselves. Raises what NOT_A_PICTURE lists.
    """
    with open(path, "rb") as stream:
        head = stream.read(32)
    is_known = False
    for register_formats in (Image.preinit, Image.init):  # the usual ones; then forty modules more
        register_formats()
        factories, is_known = _factories(head[:16])
        image = next(filter(None, (_opened(factory, path) for factory in factories)), None)
        if image is not None:
            if image.format == "TIFF":  # Pillow 13 maps a turned one with its sides swapped
                image.filename = ""
            _mend_transparency(image, head)
            return image
    raise (UnidentifiedImageError if is_known else NoDecoder)(tr("its beginning is damaged"))


def shown_size(image: ImageFile) -> tuple[int, int]:
    """(width, height) as a viewer shows the picture: its EXIF orientation is applied."""
    width, height = image.size
    if image.format == "TIFF":  # newer Pillows turn it themselves
        tags = image.tag_v2  # type: ignore[attr-defined]
        width, height = tags.get(256, width), tags.get(257, height)
    return (height, width) if _orientation(image) >= 5 else (width, height)


def decodable(mime: str) -> bool:
    """Whether Pillow can decode pictures of this type here."""
    Image.init()
    return mime in Image.MIME.values()


def _factories(head: bytes) -> tuple[list[Callable[..., ImageFile]], bool]:
    """Registered decoders that may take such a file, and whether one has recognised it."""
    found, is_known = [], False
    for name in list(Image.ID):
        factory, accepts = Image.OPEN[name]
        # The answer is a text where the library for that format is not installed.
        accepted = accepts is None or accepts(head)
        if accepted and not isinstance(accepted, str):
            found.append(factory)
            is_known |= accepts is not None
    return found, is_known


def _opened(factory: Callable[..., ImageFile], path: Path) -> ImageFile | None:
    try:
        image = factory(str(path), None)
    except (SyntaxError, IndexError, TypeError, struct.error):
        return None
    return image


def _mend_transparency(image: ImageFile, head: bytes) -> None:
    """Scales the transparent colour of a PNG as its pixels are; Pillow leaves it as stored."""
    colour = image.info.get("transparency")
    if image.format != "PNG" or len(head) < 26 or colour is None or isinstance(colour, bytes):
        return
    depth, kind = head[24], head[25]
    if kind == 0 and depth < 8:
        most = (1 << depth) - 1
        level = min(int(colour), most) if depth > 1 else bool(colour)
        image.info["transparency"] = level * 255 // most
    elif kind == 0 and depth == 8:
        image.info["transparency"] = colour & 0xFF
    elif kind == 2 and depth == 8:
        image.info["transparency"] = tuple(level & 0xFF for level in colour)


def _orientation(image: ImageFile) -> int:
    """The EXIF orientation, 1 to 8; of a PNG, Pillow would decode all its pixels to find it."""
    if image.format == "PNG" and "exif" not in image.info:
        image.info["exif"] = _raw_profile(image) or _late_exif(Path(str(image.filename)))
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _raw_profile(image: ImageFile) -> bytes:
    lines = str(image.info.get("Raw profile type exif", "")).split("\n")[3:]
    return bytes.fromhex("".join(lines))


def _late_exif(path: Path) -> bytes:
    """The EXIF data of a PNG that stand behind its pixels."""
    with open(path, "rb") as stream:
        return next((stream.read(size) for name, size in _chunks(stream) if name == b"eXIf"), b"")


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(name, size of the data) of a PNG's chunks, with the stream at the data."""
    position = 8
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[:4], "big")
        yield head[4:], size
        position += size + 12
