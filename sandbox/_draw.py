"""Draws the results: pictures with the prompt and the input on them, films, tunes.

The same `DrawSpec` always gives the same picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ._scene import changed, scene

LONGEST = 2048
_FORMATS = {"jpeg": "JPEG", "webp": "WEBP"}
Color = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSerifCJK-Regular.ttc",
    "NotoSerifCJK-Bold.ttc",
    "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "msyh.ttc",
    "simhei.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)


@dataclass(frozen=True)
class DrawSpec:
    """What to draw.

    kind     image, video or audio
    text     written on it; a tune is made of its hash
    size     (width, height) in pixels, None for the input's own or a default
    seconds  length of a video or tune
    sources  input media on this disk; pictures (or first frames) go into what is drawn
    variant  makes equal specs distinct: a seed, a number in a batch
    ending   file extension where the request asked for one ("wav", "webp")
    clear    a picture's corners are transparent
    """

    kind: str
    text: str = ""
    size: tuple[int, int] | None = None
    seconds: float = 2.0
    sources: tuple[Path, ...] = ()
    variant: str = ""
    sound: bool = True
    ending: str = ""
    clear: bool = False

    @property
    def seed(self) -> bytes:
        """32 bytes that stand for the text and the variant."""
        return hashlib.sha256(f"{self.text}\0{self.variant}".encode("utf-8", "replace")).digest()


def is_for_documentation() -> bool:
    """Whether results are scenes without any words: only for pictures of the documentation."""
    return os.environ.get("SKYPORT_SANDBOX_SCENES") == "1"


def draw_image(spec: DrawSpec, path: Path) -> Path:
    """Draw `spec` at `path`, as a PNG unless it names another format."""
    image = picture(spec, pictures(spec.sources))
    if spec.clear:
        image.putalpha(_round(image.size))
    image.save(path, _FORMATS.get(spec.ending, "PNG"), compress_level=1)
    return path


def picture(spec: DrawSpec, inputs: Sequence[Image.Image], default: int = 768) -> Image.Image:
    """The first input tinted, or shapes of the seed; words below; inputs small in the corner."""
    size = _limit_size(spec.size or (inputs[0].size if inputs else (default, default)))
    if is_for_documentation():
        return _scene(spec, size, inputs)
    base = _tint(inputs[0], size, spec.seed) if inputs else _shapes(size, spec.seed)
    write(base, spec.text)
    for index, small in enumerate(inputs[:4]):
        _paste_corner(base, small, index)
    return base


def _scene(spec: DrawSpec, size: tuple[int, int], inputs: Sequence[Image.Image]) -> Image.Image:
    if not inputs:
        return scene(size, spec.seed, spec.text)
    return changed(ImageOps.fit(inputs[0], size), spec.seed, spec.text)


def pictures(paths: Sequence[Path]) -> list[Image.Image]:
    """RGB pictures of the media that have one: images themselves, videos by their first frame."""
    found = (_read(path) for path in paths)
    return [image for image in found if image]


def write(image: Image.Image, text: str) -> None:
    """Write SANDBOX at the top and `text`, wrapped, in a band at the bottom."""
    if is_for_documentation():
        return
    layer = _caption(image.size, text)
    image.paste(layer, mask=layer)


@lru_cache(maxsize=4)
def _caption(size: tuple[int, int], text: str) -> Image.Image:
    """The text on a transparent layer: a film needs it on every frame."""
    layer = Image.new("RGBA", size)
    pen = ImageDraw.Draw(layer)
    height = max(10, min(size) // 18)
    label = font("SANDBOX", height)
    pen.rectangle((0, 0, pen.textlength("SANDBOX", label) + height, height * 1.6), (0, 0, 0, 150))
    pen.text((height // 2, height // 5), "SANDBOX", (255, 255, 255), label)
    letters = font(text, height)
    lines = _wrap(text, letters, size[0] - height)
    top = size[1] - (len(lines) + 0.5) * height * 1.25
    if lines:
        pen.rectangle((0, top, *size), (0, 0, 0, 215))
    for number, line in enumerate(lines):
        pen.text((height // 2, top + (number + 0.2) * height * 1.25), line, "white", letters)
    return layer


@lru_cache(maxsize=32)
def _font(wide: bool, size: int) -> Font:
    for name in _WIDE_FONTS if wide else ():
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def font(text: str, size: int) -> Font:
    """Pillow's own font, or a system font where `text` needs characters that it lacks."""
    return _font(any(ord(char) > 0x24F for char in text), size)


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return _flat(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return _first_frame(path)


def _flat(image: Image.Image) -> Image.Image:
    """RGB on white, so that what was transparent is not black."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    flat = Image.new("RGB", layer.size, "white")
    flat.paste(layer, mask=layer.getchannel("A"))
    return flat


def _first_frame(path: Path) -> Image.Image | None:
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                return None
            frame = next(film.decode(video=0), None)
            return frame.to_image() if frame else None
    except (av.FFmpegError, OSError):
        return None


def _limit_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _tint(image: Image.Image, size: tuple[int, int], seed: bytes) -> Image.Image:
    scaled = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    return Image.blend(scaled, Image.new("RGB", size, _color(seed, 0)), 0.28)


def _shapes(size: tuple[int, int], seed: bytes) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size)
    image = ImageOps.colorize(ramp, _color(seed, 0), _color(seed, 3))
    pen = ImageDraw.Draw(image, "RGBA")
    for number in range(6, 26, 4):
        x, y = seed[number] / 255 * size[0], seed[number + 1] / 255 * size[1]
        r = (0.08 + seed[number + 2] / 255 * 0.2) * min(size)
        pen.ellipse((x - r, y - r, x + r, y + r), (*_color(seed, number), 130))
    return image


def _round(size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *size), min(size) // 4, 255)
    return mask


def _color(seed: bytes, start: int) -> Color:
    red, green, blue = seed[start : start + 3]
    return red, green, blue


def _paste_corner(image: Image.Image, small: Image.Image, index: int) -> None:
    side = max(8, min(image.size) // 5)
    thumb = ImageOps.expand(ImageOps.contain(small, (side, side)), max(1, side // 40), "white")
    image.paste(thumb, (image.width - thumb.width - index * side, 0))


def _wrap(text: str, letters: Font, width: float, most: int = 5) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in _pieces(text[:400]):
        if line and letters.getlength(line + word) > width:
            lines.append(line.strip())
            line = ""
        line += word
    return [line for line in (*lines, line.strip()) if line][:most]


def _pieces(text: str) -> list[str]:
    """The units of line breaking: words, and single characters of scripts without spaces."""
    pieces = [""]
    for char in "".join(c if c.isprintable() else " " for c in text):
        pieces[-1] += char
        if char == " " or ord(char) > 0x2E7F or len(pieces[-1]) > 24:
            pieces.append("")
    return pieces
