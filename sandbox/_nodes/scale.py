"""Resampling of [B,H,W,C] float32 in torch's arithmetic, rounding for rounding.

Results are truncated to 8 bits, not rounded, so the last bit of a float can decide a pixel. The
order of the operations, and which of them are fused, is therefore that of torch's CPU kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from .kinds import Array

Taps = Sequence[tuple[Array, Array]]  # a tap: for each new pixel the old one's index and its weight

_SMALL = 128  # up to this height plus width torch uses another kernel
_A = -0.75  # the parameter of the cubic


def resize(image: Array, width: int, height: int, way: str, crop: str = "disabled") -> Array:
    """`image` at the new size; crop "center" crops to the new aspect ratio first."""
    cut = _center(image, width, height) if crop == "center" else image
    return np.ascontiguousarray(WAYS[way](cut, width, height))


def _center(image: Array, width: int, height: int) -> Array:
    tall, wide = image.shape[1:3]
    old, new = wide / tall, width / height
    x = round((wide - wide * (new / old)) / 2) if old > new else 0
    y = round((tall - tall * (old / new)) / 2) if old < new else 0
    return image[:, y : tall - y, x : wide - x]


def _fused(a: Array, b: Array, c: Array | float) -> Array:
    """a * b + c rounded once: the product of two float32 is exact in float64."""
    wide: Array = a.astype(np.float64) * b
    wide += c
    return wide.astype(np.float32)


def _centres(count: int) -> Array:
    """The middle of each of `count` pixels, counted from the edge of the first."""
    centres: Array = np.arange(count, dtype=np.float32) + np.float32(0.5)
    return centres


def _ratio(before: int, after: int) -> np.float32:
    ratio: np.float32 = np.float32(before) / np.float32(after)
    return ratio


# -- nearest ------------------------------------------------------------------------------------


def _nearest(image: Array, width: int, height: int) -> Array:
    rows, columns = _closest(image.shape[1], height), _closest(image.shape[2], width)
    return image[:, rows][:, :, columns]


def _closest(before: int, after: int) -> Array:
    positions = _centres(after) * _ratio(before, after)
    closest: Array = np.minimum(np.floor(positions).astype(np.intp), before - 1)
    return closest


# -- bilinear -----------------------------------------------------------------------------------


def _bilinear(image: Array, width: int, height: int) -> Array:
    at_once = _is_small(width, height) or (image.shape[3] > 3 and image.flags.c_contiguous)
    down = _linear(image.shape[1], height, at_once)
    across = _linear(image.shape[2], width, at_once)
    return _corners(image, down, across) if at_once else _in_turn(image, down, across)


def _is_small(width: int, height: int) -> bool:
    return width + height <= _SMALL


def _linear(before: int, after: int, fused: bool) -> Taps:
    if before == after:
        first = second = np.arange(after)
        part = np.zeros(after, np.float32)
    else:
        positions = np.maximum(_positions(before, after, fused), np.float32(0))
        first, part = _split(positions, before)
        second = np.minimum(first + 1, before - 1)
    return ((first, np.float32(1) - part), (second, part))


def _positions(before: int, after: int, fused: bool) -> Array:
    """The centre of every new pixel, in old pixels from the centre of the first."""
    centres, ratio = _centres(after), _ratio(before, after)
    if fused:
        return _fused(centres, np.asarray(ratio), -0.5)
    positions: Array = centres * ratio - np.float32(0.5)
    return positions


def _split(positions: Array, before: int) -> tuple[Array, Array]:
    """(index of the old pixel, fraction towards the next one) of every position."""
    index = np.minimum(np.floor(positions).astype(np.intp), before - 1)
    return index, np.clip(positions - index.astype(np.float32), 0, 1).astype(np.float32)


def _corners(image: Array, down: Taps, across: Taps) -> Array:
    """All four neighbours in one sum."""
    corners = [
        (image[:, row][:, :, column], _upright(high) * _level(wide))
        for row, high in down
        for column, wide in across
    ]
    return _sum(corners)


def _in_turn(image: Array, down: Taps, across: Taps) -> Array:
    """The neighbours within each row first, then the rows."""
    rows = []
    for row, high in down:
        line = image[:, row]
        rows.append((_sum([(line[:, :, at], _level(wide)) for at, wide in across]), _upright(high)))
    return _sum(rows)


def _upright(values: Array) -> Array:
    return values[None, :, None, None]


def _level(values: Array) -> Array:
    return values[None, None, :, None]


def _sum(terms: Sequence[tuple[Array, Array]]) -> Array:
    """The weighted sum: the second product is rounded, the others are fused onto it."""
    (first, weight), (second, other), *rest = terms
    total = _fused(first, weight, second * other)
    for value, weight in rest:
        total = _fused(value, weight, total)
    return total


# -- bicubic ------------------------------------------------------------------------------------


def _bicubic(image: Array, width: int, height: int) -> Array:
    return _in_turn(image, _cubic(image.shape[1], height), _cubic(image.shape[2], width))


def _cubic(before: int, after: int) -> Taps:
    index, part = _split(_positions(before, after, fused=True), before)
    rest = np.float32(1) - part
    weights = (_far(part + np.float32(1)), _near(part), _near(rest), _far(rest + np.float32(1)))
    return [(np.clip(index + n - 1, 0, before - 1), each) for n, each in enumerate(weights)]


def _near(x: Array) -> Array:
    two, three = np.asarray(_A + 2, np.float32), np.float32(_A + 3)
    weight: Array = _fused(x, two, -three) * x * x + np.float32(1)
    return weight


def _far(x: Array) -> Array:
    line = _fused(x, np.asarray(_A, np.float32), -np.float32(5 * _A))
    weight: Array = _fused(line, x, np.float32(8 * _A)) * x - np.float32(4 * _A)
    return weight


# -- area and Lanczos ---------------------------------------------------------------------------


def _area(image: Array, width: int, height: int) -> Array:
    """The mean of all old pixels that a new one covers, added up row by row."""
    rows, columns = _windows(image.shape[1], height), _windows(image.shape[2], width)
    total = np.zeros((image.shape[0], height, width, image.shape[3]), np.float32)
    for row, in_row in _steps(*rows):
        for column, in_column in _steps(*columns):
            inside = _upright(in_row) & _level(in_column)
            total += np.where(inside, image[:, row][:, :, column], np.float32(0))
    tall, wide = rows[1].astype(np.float32), columns[1].astype(np.float32)
    return total / _upright(tall) / _level(wide)


def _windows(before: int, after: int) -> tuple[Array, Array]:
    """(first, count) of the old pixels that each new one covers, along one side."""
    positions = np.arange(after)
    first = positions * before // after
    return first, -((-(positions + 1) * before) // after) - first


def _steps(first: Array, count: Array) -> Taps:
    """For each step through the windows: the index, and whether it is still inside."""
    last = first + count - 1
    return [(np.minimum(first + n, last), count > n) for n in range(int(count.max()))]


def _lanczos(image: Array, width: int, height: int) -> Array:
    pictures = [Image.fromarray(eight_bits(one)) for one in image]
    sized = [one.resize((width, height), Image.Resampling.LANCZOS) for one in pictures]
    return np.stack([np.asarray(one).astype(np.float32) / np.float32(255) for one in sized])


def eight_bits(image: Array) -> Array:
    """uint8, truncated as ComfyUI does, not rounded."""
    cut: Array = np.clip(np.float32(255) * image, 0, 255).astype(np.uint8)
    return cut


WAYS: Mapping[str, Callable[[Array, int, int], Array]] = {
    "nearest-exact": _nearest,
    "bilinear": _bilinear,
    "area": _area,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
}
