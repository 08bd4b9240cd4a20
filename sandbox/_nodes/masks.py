"""Nodes about masks and alpha."""

from __future__ import annotations

import numpy as np

from .kinds import (
    IMAGE,
    MASK,
    MOST,
    Array,
    NodeClass,
    complement,
    linked,
    number,
    one_of,
    repeated,
    switch,
    whole,
)
from .scale import resize

_CHANNELS = ("red", "green", "blue", "alpha")
_MASK = linked(MASK)
_SIDE = whole(1, MOST, 512)
_EDGE = whole(0, MOST, 0)


def _to_image(mask: Array) -> Array:
    return np.broadcast_to(mask[..., None], (*mask.shape, 3))


def _from_image(image: Array, channel: str) -> Array:
    index = _CHANNELS.index(channel)
    if index >= image.shape[3]:
        raise ValueError(f"The picture has no {channel} channel.")
    return image[..., index]


def _of_color(image: Array, color: int) -> Array:
    levels = np.round(np.clip(image, 0, 1) * np.float32(255)).astype(np.int32)
    colors = (levels[..., 0] << 16) + (levels[..., 1] << 8) + levels[..., 2]
    mask: Array = (colors == color).astype(np.float32)
    return mask


def _solid(value: float, width: int, height: int) -> Array:
    return np.full((1, height, width), value, np.float32)


def _invert(mask: Array) -> Array:
    return complement(mask)


def _crop(mask: Array, x: int, y: int, width: int, height: int) -> Array:
    return mask[:, y : y + height, x : x + width]


def _threshold(mask: Array, value: float) -> Array:
    above: Array = (mask > np.float32(value)).astype(np.float32)
    return above


def _grow(mask: Array, expand: int, tapered_corners: bool) -> Array:
    """One pixel a step, in a plus or a square. Repeating the edge does what mirroring would."""
    take = np.maximum if expand > 0 else np.minimum
    for _ in range(min(abs(expand), sum(mask.shape[1:]))):
        mask = _step(mask, take, tapered_corners)
    return mask


def _step(mask: Array, take: np.ufunc, plus: bool) -> Array:
    wide = np.pad(mask, ((0, 0), (1, 1), (1, 1)), mode="edge")
    tall, across = mask.shape[1:]
    result = mask
    for y in range(3):
        for x in range(3):
            if not plus or y == 1 or x == 1:
                result = take(result, wide[:, y : y + tall, x : x + across])
    return result


def _split(image: Array) -> tuple[Array, Array]:
    colors = np.ascontiguousarray(image[..., :3])
    if image.shape[3] > 3:
        return colors, complement(image[..., 3])
    return colors, np.zeros(image.shape[:3], np.float32)


def _join(image: Array, alpha: Array) -> Array:
    count = max(len(image), len(alpha))
    sized = resize(alpha[..., None], image.shape[2], image.shape[1], "bilinear")
    opacity = repeated(complement(sized), count)
    return np.concatenate([repeated(image, count)[..., :3], opacity], 3)


NODES = (
    NodeClass("MaskToImage", {"mask": _MASK}, (IMAGE,), _to_image),
    NodeClass(
        "ImageToMask", {"image": linked(IMAGE), "channel": one_of(*_CHANNELS)}, (MASK,), _from_image
    ),
    NodeClass(
        "ImageColorToMask",
        {"image": linked(IMAGE), "color": whole(0, 0xFFFFFF, 0)},
        (MASK,),
        _of_color,
    ),
    NodeClass(
        "SolidMask", {"value": number(0, 1, 1), "width": _SIDE, "height": _SIDE}, (MASK,), _solid
    ),
    NodeClass("InvertMask", {"mask": _MASK}, (MASK,), _invert),
    NodeClass(
        "CropMask",
        {"mask": _MASK, "x": _EDGE, "y": _EDGE, "width": _SIDE, "height": _SIDE},
        (MASK,),
        _crop,
    ),
    NodeClass("ThresholdMask", {"mask": _MASK, "value": number(0, 1, 0.5)}, (MASK,), _threshold),
    NodeClass(
        "GrowMask",
        {"mask": _MASK, "expand": whole(-MOST, MOST, 0), "tapered_corners": switch(True)},
        (MASK,),
        _grow,
    ),
    NodeClass("SplitImageWithAlpha", {"image": linked(IMAGE)}, (IMAGE, MASK), _split),
    NodeClass("JoinImageWithAlpha", {"image": linked(IMAGE), "alpha": _MASK}, (IMAGE,), _join),
)
