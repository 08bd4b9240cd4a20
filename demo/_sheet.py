"""The contact sheet: every result as a captioned card, a video as several of its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from ..engine.base.types import Kind
from ..engine.base.words import tr
from ..sandbox._draw import font
from ._inspect import kind_of, sound, spread
from ._steps import FAILED, Step

_TILE = (240, 160)
_GAP, _CAPTION, _ACROSS = 14, 46, 5
_SHOTS = 5  # frames shown of a video
_PAPER, _CARD, _INK, _FAINT = (24, 22, 48), (40, 36, 74), (250, 244, 236), (188, 176, 206)


@dataclass(frozen=True)
class _Card:
    title: str
    about: str
    pictures: Sequence[Image.Image]


def draw(steps: Sequence[Step], path: Path) -> Path:
    """Draw the results of the steps to `path`, a PNG. Raises BadResult for a broken result."""
    cards = [card for step in steps for card in _cards(step)]
    rows = list(_rows(sorted(cards, key=lambda card: len(card.pictures))))
    high = _TILE[1] + _CAPTION + _GAP
    size = (_GAP + _ACROSS * (_TILE[0] + _GAP), _GAP + max(1, len(rows)) * high)
    sheet = Image.new("RGB", size, _PAPER)
    for number, row in enumerate(rows):
        left = _GAP
        for card in row:
            _draw_card(sheet, card, left, _GAP + number * high)
            left += len(card.pictures) * (_TILE[0] + _GAP)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG", optimize=True)
    return path


def _cards(step: Step) -> Iterator[_Card]:
    if step.state == FAILED:
        yield _Card(f"{step.name}: {tr('failed')}", step.error, [_blank()])
    for result in step.results:
        about = " \u00b7 ".join(filter(None, [result.size, step.by]))
        if result.files:
            yield _Card(step.name, about, [_fit(image) for image in _pictures(result.files)])


def _pictures(files: Sequence[Path]) -> list[Image.Image]:
    if len(files) > 1:
        return [_read(file) for file in files[:_SHOTS]]
    path, kind = files[0], kind_of(files[0])
    if kind is Kind.VIDEO:
        return spread(path, _SHOTS)[1]
    return [sound(path, _TILE) if kind is Kind.AUDIO else _read(path)]


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        rgb: Image.Image = image.convert("RGB")
        return rgb


def _fit(image: Image.Image) -> Image.Image:
    return ImageOps.pad(image, _TILE, color=_CARD)


def _blank() -> Image.Image:
    return Image.new("RGB", _TILE, _CARD)


def _rows(cards: Sequence[_Card]) -> Iterator[list[_Card]]:
    """The cards in rows of `_ACROSS` tiles; one that does not fit begins the next row."""
    row: list[_Card] = []
    for card in cards:
        if sum(len(each.pictures) for each in [*row, card]) > _ACROSS:
            yield row
            row = []
        row.append(card)
    if row:
        yield row


def _draw_card(sheet: Image.Image, card: _Card, left: int, top: int) -> None:
    wide = len(card.pictures) * (_TILE[0] + _GAP) - _GAP
    pen = ImageDraw.Draw(sheet)
    pen.rounded_rectangle((left - 4, top - 4, left + wide + 4, top + _TILE[1] + _CAPTION), 6, _CARD)
    for number, picture in enumerate(card.pictures):
        sheet.paste(picture, (left + number * (_TILE[0] + _GAP), top))
    _write(pen, (left, top + _TILE[1] + 5), card.title, 15, wide)
    _write(pen, (left, top + _TILE[1] + 25), card.about, 12, wide)


def _write(
    pen: ImageDraw.ImageDraw, spot: tuple[int, int], text: str, size: int, wide: int
) -> None:
    """One line of text, truncated to the width of its card."""
    letters = font(text, size)
    while text and pen.textlength(text, letters) > wide:
        text = f"{text[:-4]}..." if len(text) > 4 else ""
    pen.text(spot, text, _INK if size > 12 else _FAINT, letters)
