"""Pictures that are cut off: what of them is used, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL.ImageFile import ImageFile

from ....engine.base.words import tr
from ....engine.media.notes import note
from ....engine.media.part_file import came_again
from ....engine.media.picture_file import NOT_A_PICTURE

# Formats whose decoders write row by row, so that a cut file still has its upper part.
_ROW_BY_ROW = ("PNG", "JPEG", "GIF", "BMP")


def load(image: ImageFile, path: Path, *, alone: bool) -> None:
    """Decodes the picture. One that is cut off is refused, so that it is fetched again.

    Where that has brought the same bytes, the platform has no others: then what there is is
    delivered, with a note.
    alone  it is no frame of an animation. Raises what NOT_A_PICTURE lists.
    """
    tiles, stream = list(image.tile), image.fp
    try:
        image.load()
    except NOT_A_PICTURE:
        if not alone or image.format not in _ROW_BY_ROW or not came_again(path):
            raise
        rows = _rows(image)
        if not rows and image.format == "JPEG":  # progressive: nothing before its end
            image.tile, image.fp = tiles, cast(BinaryIO, _Ended(stream))
            image.load()
        elif not rows:
            raise
        note(_cut_off(path, rows, image.height))


def _cut_off(path: Path, rows: int, height: int) -> str:
    if not rows:
        return tr("{name} is cut off: it is coarser than it should be.", name=path.name)
    return tr(
        "{name} is cut off: about {rows} of its {height} rows could be decoded, the rest is empty.",
        name=path.name,
        rows=rows,
        height=height,
    )


def _rows(image: ImageFile) -> int:
    """The rows that a decoder has filled before it failed."""
    image.tile = []  # what has been decoded stands
    try:
        box = image.getbbox(alpha_only=False)
    except NOT_A_PICTURE:
        return 0
    return box[3] if box else 0


class _Ended:
    """A JPEG's stream, with the mark of its end where it is cut off."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        if data or self._is_over:
            return data
        self._is_over = True
        return b"\xff\xd9"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
