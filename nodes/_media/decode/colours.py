"""Video frames to upright RGB floats, in the colours that their matrix and range name."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

_ROWS = 32  # converted at a time: so many stay in a processor's cache
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_BT601 = 5  # what FFmpeg takes for frames that name no matrix, or one it cannot convert
_MATRICES = (0, 1, 2, 4, 5, 6, 7, 9)  # AVColorSpace that FFmpeg converts
_DEEP_RGB = frozenset(f"{kind}{bits}le" for kind in ("gbrp", "gbrap") for bits in (10, 12, 14, 16))
_OLD = int(av.__version__.partition(".")[0]) < 17  # takes matrix and range as arguments only
# Threads of its own for every frame would be too many, and each may overwrite where the next began.
_ALONE: dict[str, Any] = {} if _OLD else {"threads": 1}


class FrameConverter:
    """Writes frames as floats 0..1, upright, at the size of the first. Safe for threads."""

    def __init__(self, first: Any) -> None:
        self._axes: dict[int, _Axes] = {}
        self._of_thread = threading.local()
        size = (first.height, first.width)
        self.shape = (*(size[::-1] if self._axes_of(first).transposed else size), 3)

    def write(self, frame: Any, target: np.ndarray) -> None:
        """`frame` to `target`, float32 of `shape`; at most 8 bits of RGB arrive as v / 255."""
        view = self._axes_of(frame).as_stored(target)
        size = {"height": view.shape[0], "width": view.shape[1]}
        if _is_plain_rgb(frame.format):
            pixels = self._reformat(frame, format="rgb24", **size).to_ndarray()
            np.divide(pixels, np.float32(255), out=view, dtype=np.float32)
        elif frame.format.name in _DEEP_RGB:
            planes = self._reformat(frame, **size).planes
            white = (1 << frame.format.components[0].bits) - 1
            _write_planes(view, planes, white)
        else:
            planes = self._reformat(frame, format="gbrp16le", **_matrix(frame), **size).planes
            _write_planes(view, planes, _white(frame))

    def bytes_of(self, frame: Any) -> np.ndarray:
        """`frame` as uint8 of `shape`."""
        pixels = np.empty(self.shape, dtype=np.float32)
        self.write(frame, pixels)
        return np.asarray(pixels * np.float32(255) + np.float32(0.5), dtype=np.uint8)

    def _axes_of(self, frame: Any) -> _Axes:
        # A frame whose side data was asked for stays in memory until garbage is collected.
        if frame.rotation not in self._axes:
            self._axes[frame.rotation] = _read_axes(frame)
        return self._axes[frame.rotation]

    def _reformat(self, frame: Any, **wanted: Any) -> Any:
        converter = getattr(self._of_thread, "converter", None)
        if converter is None:
            converter = self._of_thread.converter = VideoReformatter()
        return converter.reformat(frame, **_ALONE, **wanted)


# -- colours ----------------------------------------------------------------------------------


def _is_plain_rgb(form: Any) -> bool:
    bits = max(component.bits for component in form.components)
    return bool(bits <= 8 and (form.is_rgb or form.has_palette or bits == 1))


def _matrix(frame: Any) -> dict[str, Any]:
    """What the reformatter must be given besides the frame's own tags."""
    if frame.format.is_rgb:
        return {}
    matrix = frame.colorspace if frame.colorspace in _MATRICES else _BT601
    if not _OLD:
        return {"src_colorspace": matrix} if matrix != frame.colorspace else {}
    # It converts by the matrix only where another one is asked for, of which RGB keeps nothing.
    return {
        "src_colorspace": matrix,
        "dst_colorspace": 1 if matrix != 1 else _BT601,
        "src_color_range": _FULL_RANGE if _is_full(frame) else 1,
    }


def _is_full(frame: Any) -> bool:
    name = frame.format.name
    return bool(frame.color_range == _FULL_RANGE) or name.startswith(("yuvj", "gray", "ya"))


def _white(frame: Any) -> int:
    """What FFmpeg makes of white in 16 bits: it shifts levels up and fills in no lower bits."""
    bits = min(frame.format.components[0].bits, 16)
    if frame.format.is_rgb or _is_full(frame):
        return int(((1 << bits) - 1) << (16 - bits))
    return 255 << 8


def _array(plane: Any) -> np.ndarray:
    rows = np.frombuffer(plane, dtype="<u2").reshape(plane.height, -1)
    return rows[:, : plane.width]


def _write_planes(view: np.ndarray, planes: Sequence[Any], white: int) -> None:
    """The planes green, blue and red of two bytes a level to RGB floats."""
    green, blue, red = (_array(plane) for plane in planes[:3])
    # Woven as integers: floats that are spread by channel take twice as long to write.
    block = np.empty((min(_ROWS, len(view)), view.shape[1], 3), dtype=np.uint16)
    most = np.full_like(block, white)  # eight times as quick as a scalar
    for top in range(0, len(view), _ROWS):
        rows = view[top : top + _ROWS]
        levels = block[: len(rows)]
        for channel, plane in enumerate((red, green, blue)):
            levels[..., channel] = plane[top : top + _ROWS]
        np.minimum(levels, most[: len(rows)], out=levels)
        np.copyto(rows, levels)
        np.divide(rows, np.float32(white), out=rows)


# -- orientation ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Axes:
    """How a stored frame is shown: whether rows become columns, 1 or -1 for the way they run."""

    transposed: bool = False
    rows: int = 1
    columns: int = 1

    def as_stored(self, target: np.ndarray) -> np.ndarray:
        """A view of the upright `target` with the rows and columns of the stored frame."""
        view = target.swapaxes(0, 1) if self.transposed else target
        return view[:: self.rows, :: self.columns]


def _display_matrix(frame: Any) -> tuple[int, int, int, int]:
    try:
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    except (
        ValueError
    ):  # PyAV reads no side data beside a kind that it has no name for, such as EXIF
        angle = math.radians(getattr(frame, "rotation", 0))
        cosine, sine = round(math.cos(angle)), round(math.sin(angle))
        return cosine, -sine, sine, cosine
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, dtype=np.int32)[:5])
    return a, b, c, d


def _read_axes(frame: Any) -> _Axes:
    """By the display matrix (ISO 14496-12, 6.2.2); what is no right angle counts as the nearest.

    It says where (column, row) is shown: at (a column + c row, b column + d row).
    """
    a, b, c, d = _display_matrix(frame)
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    rows, columns = (c, b) if transposed else (d, a)
    return _Axes(transposed, -1 if rows < 0 else 1, -1 if columns < 0 else 1)
