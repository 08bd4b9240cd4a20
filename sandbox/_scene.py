"""A seaside with a lighthouse, for pictures of the documentation: no words, no numbers on it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Color = tuple[int, int, int]

# the sky's top and its edge, the water's edge and its bottom, the land, the sun
_LIGHTS: Sequence[tuple[Color, Color, Color, Color, Color, Color]] = (
    ((38, 70, 120), (252, 196, 150), (214, 150, 140), (24, 48, 84), (52, 62, 92), (255, 236, 190)),
    ((46, 26, 84), (250, 146, 92), (196, 92, 96), (26, 22, 66), (58, 34, 78), (255, 214, 130)),
    (
        (70, 150, 206),
        (226, 242, 246),
        (120, 186, 198),
        (22, 92, 124),
        (58, 112, 96),
        (255, 250, 224),
    ),
    ((10, 16, 44), (62, 82, 134), (50, 66, 110), (8, 12, 34), (18, 24, 50), (240, 242, 250)),
)
_DEPTH = 2  # drawn so many times larger, so that edges are smooth


def scene(size: tuple[int, int], seed: bytes, text: str) -> Image.Image:
    """The scene of a seed; night, snow and a fox where `text` names them."""
    chance = random.Random(seed)
    words = text.lower()
    light = _LIGHTS[3] if "night" in words else chance.choice(_LIGHTS[:3])
    width, height = (side * _DEPTH for side in size)
    image = Image.new("RGB", (width, height))
    edge = round(height * chance.uniform(0.56, 0.64))
    _ramp(image, (0, 0, width, edge), light[0], light[1])
    _ramp(image, (0, edge, width, height), light[2], light[3])
    pen = ImageDraw.Draw(image, "RGBA")
    _sun(pen, (width, height), edge, light, chance)
    _hills(pen, (width, height), edge, light, chance)
    left = chance.random() < 0.5
    _shore(pen, (width, height), edge, left, light[4])
    _lighthouse(pen, (width, height), edge, left)
    if "fox" in words:
        _fox(pen, width * (0.62 if left else 0.38), height * 0.87, height * 0.16)
    small = image.resize(size, Image.Resampling.LANCZOS)
    return _snow(small, chance) if "snow" in words else small


def changed(image: Image.Image, seed: bytes, text: str) -> Image.Image:
    """`image`, in the night and in snow where `text` names them."""
    words = text.lower()
    if "night" in words or "winter" in words:
        cold = ImageOps.colorize(ImageOps.grayscale(image), (4, 8, 30), (188, 204, 240))
        image = ImageEnhance.Brightness(Image.blend(image, cold, 0.72)).enhance(0.8)
        image = _snow(image, random.Random(seed))
    return image


def _ramp(image: Image.Image, box: tuple[int, int, int, int], top: Color, bottom: Color) -> None:
    size = (box[2] - box[0], box[3] - box[1])
    ramp = Image.linear_gradient("L").resize(size)
    image.paste(ImageOps.colorize(ramp, top, bottom), box[:2])


def _sun(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    edge: int,
    light: Sequence[Color],
    chance: random.Random,
) -> None:
    x, r = size[0] * chance.uniform(0.42, 0.58), size[1] * 0.09
    y = edge - r * chance.uniform(0.4, 2.2)
    for times, alpha in ((2.6, 26), (1.8, 44), (1.0, 255)):
        box = (x - r * times, y - r * times, x + r * times, y + r * times)
        pen.ellipse(box, fill=(*light[5], alpha))
    for step in range(14):  # its way on the water
        half = r * chance.uniform(0.3, 1.0)
        top = edge + (size[1] - edge) * (0.03 + step * 0.062)
        pen.rounded_rectangle((x - half, top, x + half, top + size[1] / 110), 9, (*light[5], 120))


def _hills(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    edge: int,
    light: Sequence[Color],
    chance: random.Random,
) -> None:
    for number, alpha in enumerate((110, 190)):
        waves = [(chance.uniform(1, 3), chance.uniform(0, 6.3)) for _ in range(3)]
        tall = size[1] * (0.14 - 0.05 * number)

        def top(part: float, waves: Sequence[tuple[float, float]] = tuple(waves)) -> float:
            return sum(math.sin(turn + part * often * 4) for often, turn in waves) / 6 + 0.5

        line = [(x * size[0] / 80, edge - tall * top(x / 80)) for x in range(81)]
        pen.polygon([(0, edge), *line, (size[0], edge)], fill=(*light[4], alpha))


def _shore(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], edge: int, left: bool, land: Color
) -> None:
    width, height = size
    dark = tuple(part // 2 for part in land)
    line = [
        (0.0, 0.1),
        (0.1, 0.02),
        (0.3, 0.04),
        (0.46, 0.42),
        (0.58, 0.7),
        (1.0, 0.78),
        (1.0, 1.0),
    ]
    points = [(x * width, edge + y * (height - edge)) for x, y in (*line, (0.0, 1.0))]
    pen.polygon([(x if left else width - x, y) for x, y in points], fill=dark)


def _lighthouse(pen: ImageDraw.ImageDraw, size: tuple[int, int], edge: int, left: bool) -> None:
    width, height = size
    x = width * (0.17 if left else 0.83)
    foot, tall = edge + height * 0.05, height * 0.44
    top, half = foot - tall, height * 0.052
    beam = [(x, top), (x + width * (1 if left else -1), top - height * 0.17)]
    pen.polygon([*beam, (beam[1][0], top + height * 0.06)], fill=(255, 246, 200, 54))
    for band in range(5):
        low, high = foot - tall * band / 5, foot - tall * (band + 1) / 5
        wide, slim = half * (1 - 0.09 * band), half * (1 - 0.09 * (band + 1))
        color = (206, 62, 58) if band % 2 else (244, 238, 228)
        pen.polygon(
            [(x - wide, low), (x + wide, low), (x + slim, high), (x - slim, high)], fill=color
        )
        shade = [(x + wide * 0.4, low), (x + wide, low), (x + slim, high), (x + slim * 0.4, high)]
        pen.polygon(shade, fill=(40, 26, 54, 70))
    pen.rectangle(
        (x - half * 0.8, top - half * 0.1, x + half * 0.8, top + half * 0.1), (44, 36, 66)
    )
    pen.rectangle((x - half * 0.45, top - half, x + half * 0.45, top), (255, 226, 140))
    pen.pieslice(
        (x - half * 0.6, top - half * 1.6, x + half * 0.6, top - half * 0.4),
        180,
        360,
        (190, 52, 52),
    )


_FOX: Sequence[tuple[float, float]] = (
    (-1.5, -0.1),
    (-1.1, -0.42),
    (-0.7, -0.4),
    (-0.5, -0.62),
    (0.35, -0.66),
    (0.62, -0.9),
    (0.66, -1.16),
    (0.8, -0.98),
    (0.96, -1.14),
    (0.98, -0.9),
    (1.3, -0.68),
    (0.95, -0.6),
    (0.7, -0.42),
    (0.86, -0.06),
    (0.7, 0.0),
    (0.5, -0.3),
    (0.44, 0.02),
    (0.3, 0.02),
    (0.3, -0.34),
    (-0.34, -0.34),
    (-0.5, 0.02),
    (-0.64, 0.02),
    (-0.56, -0.3),
    (-0.86, 0.0),
    (-1.0, -0.04),
    (-0.72, -0.34),
)


def _fox(pen: ImageDraw.ImageDraw, x: float, y: float, scale: float) -> None:
    pen.polygon([(x + a * scale, y + b * scale) for a, b in _FOX], fill=(226, 116, 44))
    tip = [(-1.5, -0.1), (-1.3, -0.26), (-1.16, -0.14)]
    pen.polygon([(x + a * scale, y + b * scale) for a, b in tip], fill=(250, 240, 226))


def _snow(image: Image.Image, chance: random.Random) -> Image.Image:
    pen = ImageDraw.Draw(image, "RGBA")
    for _ in range(image.width * image.height // 1400):
        x, y = chance.uniform(0, image.width), chance.uniform(0, image.height)
        r = chance.uniform(0.6, 2.4) * min(image.size) / 500
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255, chance.randint(120, 230)))
    return image
