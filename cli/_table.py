"""Tables whose columns line up in a terminal, whatever the script."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int | None = None) -> str:
    """The head, underlined, and the rows. With `most`, lines are cut at that width."""
    cells = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, _line(["-" * wide for wide in widths], widths))
    return "\n".join(line if most is None else cut(line, most) for line in lines)


def width(text: str) -> int:
    """Columns that `text` takes: two for a Chinese character, none for a combining mark."""
    return sum(_columns(char) for char in text)


def pad(text: str, to: int) -> str:
    return text + " " * (to - width(text))


def cut(text: str, most: int) -> str:
    """`text` in at most `most` columns, with dots where it is cut."""
    if width(text) <= most:
        return text
    short = ""
    for char in text:
        if width(short) + _columns(char) > most - 3:
            break
        short += char
    return f"{short}..."


def clean(text: str) -> str:
    """`text` on one line, without control characters: labels come from outside."""
    return "".join(char if char.isprintable() else " " for char in text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (pad(cell, wide) for cell, wide in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
