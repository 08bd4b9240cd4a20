"""Nodes that make images from images."""

from __future__ import annotations

import numpy as np

from .kinds import (
    IMAGE,
    INT,
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
from .scale import WAYS, resize

_SIDE = whole(1, MOST, 512)
_EDGE = whole(0, MOST, 0)
_MODES = ("normal", "multiply", "screen", "overlay", "soft_light", "difference")
_TURNS = ("none", "90 degrees", "180 degrees", "270 degrees")


def _scale(image: Array, upscale_method: str, width: int, height: int, crop: str) -> Array:
    """0 for one side keeps the proportions."""
    tall, wide = image.shape[1:3]
    if not width and not height:
        return image
    width = width or max(1, round(wide * height / tall))
    height = height or max(1, round(tall * width / wide))
    return resize(image, width, height, upscale_method, crop)


def _scale_by(image: Array, upscale_method: str, scale_by: float) -> Array:
    tall, wide = image.shape[1:3]
    width, height = round(wide * scale_by), round(tall * scale_by)
    if not width or not height:
        raise ValueError(f"{wide} x {tall} times {scale_by} leaves no picture.")
    return resize(image, width, height, upscale_method)


def _invert(image: Array) -> Array:
    return complement(image)


def _blend(image1: Array, image2: Array, blend_factor: float, blend_mode: str) -> Array:
    image2 = _same_channels(image2, image1.shape[3])
    if image1.shape != image2.shape:
        image2 = resize(image2, image1.shape[2], image1.shape[1], "bicubic", "center")
    mixed = _mixed(image1, image2, blend_mode)
    part = np.float32(blend_factor)
    blended: Array = np.clip(image1 * np.float32(1 - blend_factor) + mixed * part, 0, 1)
    return blended


def _mixed(below: Array, above: Array, mode: str) -> Array:
    mixed: Array = above
    if mode == "multiply":
        mixed = below * above
    elif mode == "screen":
        mixed = _screen(below, above, 1)
    elif mode == "overlay":
        mixed = np.where(below <= 0.5, 2 * below * above, _screen(below, above, 2))
    elif mode == "soft_light":
        mixed = _soft_light(below, above)
    elif mode == "difference":
        mixed = below - above
    return mixed


def _screen(below: Array, above: Array, strength: int) -> Array:
    screened: Array = 1 - strength * (1 - below) * (1 - above)
    return screened


def _soft_light(below: Array, above: Array) -> Array:
    curve = np.where(below <= 0.25, ((16 * below - 12) * below + 4) * below, np.sqrt(below))
    darker = below - (1 - 2 * above) * below * (1 - below)
    lighter = below + (2 * above - 1) * (curve - below)
    lit: Array = np.where(above <= 0.5, darker, lighter)
    return lit


def _same_channels(image: Array, channels: int) -> Array:
    """`image` without its alpha, or with one that is opaque."""
    if image.shape[3] >= channels:
        return image[..., :channels]
    opaque = np.ones((*image.shape[:3], 1), np.float32)
    return np.concatenate([image, opaque], 3)


def _crop(image: Array, width: int, height: int, x: int, y: int) -> Array:
    x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, y : y + height, x : x + width]


def _empty(width: int, height: int, batch_size: int, color: int) -> Array:
    channels = [(color >> shift & 0xFF) / 0xFF for shift in (16, 8, 0)]
    return np.tile(np.array(channels, np.float32), (batch_size, height, width, 1))


def _repeat(image: Array, amount: int) -> Array:
    return np.tile(image, (amount, 1, 1, 1))


def _join(image1: Array, image2: Array) -> Array:
    channels = max(image1.shape[3], image2.shape[3])
    image1, image2 = (_same_channels(image, channels) for image in (image1, image2))
    if image1.shape[1:] != image2.shape[1:]:
        image2 = resize(image2, image1.shape[2], image1.shape[1], "bilinear", "center")
    return np.concatenate([image1, image2])


def _from_batch(image: Array, batch_index: int, length: int) -> Array:
    first = batch_index + len(image) if batch_index < 0 else batch_index
    first = max(0, min(len(image) - 1, first))
    images: Array = image[first : first + length].copy()
    return images


def _flip(image: Array, flip_method: str) -> Array:
    flipped: Array = np.flip(image, 1 if flip_method.startswith("x") else 2).copy()
    return flipped


def _rotate(image: Array, rotation: str) -> Array:
    return np.rot90(image, _TURNS.index(rotation), (2, 1))


def _pad(
    image: Array, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Array, Array]:
    count, tall, wide, channels = image.shape
    size = (tall + top + bottom, wide + left + right)
    padded = np.full((count, *size, channels), 0.5, np.float32)
    inside = (slice(top, top + tall), slice(left, left + wide))
    padded[:, inside[0], inside[1]] = image
    mask = np.ones((1, *size), np.float32)
    mask[0][inside] = _feather((tall, wide), (left, top, right, bottom), feathering)
    return padded, mask


def _feather(size: tuple[int, int], sides: tuple[int, int, int, int], reach: int) -> Array:
    """Rises towards the padded sides, by the square of the closeness to them."""
    tall, wide = size
    if reach < 1 or reach * 2 >= min(size):
        return np.zeros(size, np.float32)
    left, top, right, bottom = sides
    row, column = np.arange(tall)[:, None], np.arange(wide)[None]
    near = np.full(size, min(size))
    for padding, distance in (
        (top, row),
        (bottom, tall - row),
        (left, column),
        (right, wide - column),
    ):
        near = np.minimum(near, distance) if padding else near
    part = np.maximum((reach - near) / reach, 0)
    return (part * part).astype(np.float32)


def _paste(
    destination: Array,
    source: Array,
    x: int,
    y: int,
    resize_source: bool,
    mask: Array | None = None,
) -> Array:
    source = _same_channels(source, destination.shape[3])
    tall, wide = destination.shape[1:3]
    if resize_source:
        source = resize(source, wide, tall, "bilinear")
    source = repeated(source, len(destination))
    cover = np.ones_like(source[..., :1]) if mask is None else _cover(mask, source)
    x, y = min(x, wide), min(y, tall)
    source, cover = source[:, : tall - y, : wide - x], cover[:, : tall - y, : wide - x]
    pasted: Array = destination.copy()
    region = pasted[:, y : y + source.shape[1], x : x + source.shape[2]]
    region[:] = cover * source + complement(cover) * region
    return pasted


def _cover(mask: Array, source: Array) -> Array:
    sized = resize(mask[..., None], source.shape[2], source.shape[1], "bilinear")
    return repeated(sized, len(source))


def _size(image: Array) -> tuple[int, int, int]:
    return image.shape[2], image.shape[1], image.shape[0]


_PICTURE = linked(IMAGE)
_WAY = one_of(*WAYS)

NODES = (
    NodeClass(
        "ImageScale",
        {
            "image": _PICTURE,
            "upscale_method": _WAY,
            "width": whole(0, MOST, 512),
            "height": whole(0, MOST, 512),
            "crop": one_of("disabled", "center"),
        },
        (IMAGE,),
        _scale,
    ),
    NodeClass(
        "ImageScaleBy",
        {"image": _PICTURE, "upscale_method": _WAY, "scale_by": number(0.01, 8, 1)},
        (IMAGE,),
        _scale_by,
    ),
    NodeClass("ImageInvert", {"image": _PICTURE}, (IMAGE,), _invert),
    NodeClass(
        "ImageBlend",
        {
            "image1": _PICTURE,
            "image2": _PICTURE,
            "blend_factor": number(0, 1, 0.5),
            "blend_mode": one_of(*_MODES),
        },
        (IMAGE,),
        _blend,
    ),
    NodeClass(
        "ImageCrop",
        {"image": _PICTURE, "width": _SIDE, "height": _SIDE, "x": _EDGE, "y": _EDGE},
        (IMAGE,),
        _crop,
    ),
    NodeClass(
        "EmptyImage",
        {
            "width": _SIDE,
            "height": _SIDE,
            "batch_size": whole(1, 4096, 1),
            "color": whole(0, 0xFFFFFF, 0),
        },
        (IMAGE,),
        _empty,
    ),
    NodeClass(
        "RepeatImageBatch", {"image": _PICTURE, "amount": whole(1, 4096, 1)}, (IMAGE,), _repeat
    ),
    NodeClass("ImageBatch", {"image1": _PICTURE, "image2": _PICTURE}, (IMAGE,), _join),
    NodeClass(
        "ImageFromBatch",
        {"image": _PICTURE, "batch_index": whole(-MOST, MOST, 0), "length": whole(1, 4096, 1)},
        (IMAGE,),
        _from_batch,
    ),
    NodeClass(
        "ImageFlip",
        {
            "image": _PICTURE,
            "flip_method": one_of("x-axis: vertically", "y-axis: horizontally"),
        },
        (IMAGE,),
        _flip,
    ),
    NodeClass("ImageRotate", {"image": _PICTURE, "rotation": one_of(*_TURNS)}, (IMAGE,), _rotate),
    NodeClass(
        "ImagePadForOutpaint",
        {
            "image": _PICTURE,
            **dict.fromkeys(("left", "top", "right", "bottom"), _EDGE),
            "feathering": whole(0, MOST, 40),
        },
        (IMAGE, MASK),
        _pad,
    ),
    NodeClass(
        "ImageCompositeMasked",
        {
            "destination": _PICTURE,
            "source": _PICTURE,
            "x": _EDGE,
            "y": _EDGE,
            "resize_source": switch(False),
            "mask": linked(MASK, required=False),
        },
        (IMAGE,),
        _paste,
    ),
    NodeClass("GetImageSize", {"image": _PICTURE}, (INT, INT, INT), _size),
)
