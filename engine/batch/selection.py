"""Columns and rows of a table for a graph: which are chosen, and what a cell is as a value."""

from __future__ import annotations

import csv
import enum
import json
import math
import mimetypes
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from ..base.errors import InvalidInput
from ..base.shown_text import shorten
from ..base.types import Json
from ..base.words import tr
from ..workflows.graph import ROW_COLUMNS
from .table import FILE, Table, TableRow, no_column, row_text

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class CellKind(str, enum.Enum):
    """What a cell becomes: the names of ComfyUI's types."""

    STRING = "STRING"
    INT = "INT"
    FLOAT = "FLOAT"
    BOOLEAN = "BOOLEAN"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"

    @property
    def is_medium(self) -> bool:
        return self in (CellKind.IMAGE, CellKind.VIDEO, CellKind.AUDIO)


@dataclass(frozen=True)
class Column:
    """A chosen column; without a kind it is text, and a file of a folder what its name says."""

    name: str
    kind: CellKind | None = None

    def kind_of(self, cell: Json, table: Table) -> CellKind:
        if self.kind is not None:
            return self.kind
        if self.name == FILE and table.path.is_dir():
            word = (mimetypes.guess_type(str(cell))[0] or "").partition("/")[0].upper()
            return CellKind(word) if word in CellKind.__members__ else CellKind.STRING
        return CellKind.STRING


def read_columns(text: str) -> list[Column]:
    """The columns of a text such as `prompt, seed:INT, photo:IMAGE`, also a line each.

    A name that has a comma in it stands in quotes.
    """
    lines = csv.reader(text.splitlines(), skipinitialspace=True)
    return [_column(cell.strip()) for line in lines for cell in line if cell.strip()]


def _column(text: str) -> Column:
    name, _, word = text.rpartition(":")
    kind = CellKind.__members__.get(word.strip().upper())
    return Column(name.strip(), kind) if name.strip() and kind else Column(text)


@dataclass(frozen=True)
class Selection:
    """Some rows of a table, and those of their columns that are chosen."""

    table: Table
    columns: Sequence[Column]
    rows: Sequence[TableRow]


def select(table: Table, columns: Sequence[Column], start: int, most: int) -> Selection:
    """The rows from number `start` on, at most `most` of them, or all where that is 0.

    No columns are all, up to ROW_COLUMNS. Raises InvalidInput for a column that is not there,
    a row that cannot be read, and where no row is left.
    """
    rows = list(_rows(table, start, most))
    if not rows:
        raise _no_rows(table, start)
    for row in rows:
        if row.error:
            raise in_row(row, row.error)
    return Selection(table, _checked(columns, _names(table, rows)), rows)


def count_rows(table: Table, start: int, most: int) -> int:
    return sum(1 for _ in _rows(table, start, most))


def _rows(table: Table, start: int, most: int) -> Iterable[TableRow]:
    return islice(table.rows(), start - 1, start - 1 + most if most else None)


def _no_rows(table: Table, start: int) -> InvalidInput:
    total = count_rows(table, 1, 0)
    if not total:
        return InvalidInput(tr("{name} has no rows.", name=table.path.name))
    text = tr(
        "{name} has {total} rows: there is no row {start}.",
        name=table.path.name,
        total=total,
        start=start,
    )
    return InvalidInput(text)


def _names(table: Table, rows: Iterable[TableRow]) -> list[str]:
    if table.columns is not None:
        return list(table.columns)
    return list(dict.fromkeys(name for row in rows for name in row.values))


def _checked(columns: Sequence[Column], names: list[str]) -> list[Column]:
    if not columns:
        return [Column(name) for name in names[:ROW_COLUMNS]]
    if len(columns) > ROW_COLUMNS:
        raise InvalidInput(tr("At most {most} columns can be chosen.", most=ROW_COLUMNS))
    for column in columns:
        if column.name not in names:
            raise no_column(column.name, names)
    return list(columns)


def in_row(row: TableRow, what: str, do: str = "") -> InvalidInput:
    """An error of one row."""
    where = row_text(row.number, row.line)
    return InvalidInput(tr("{row}: {text}", row=where, text=what), do=do)


# -- cells --------------------------------------------------------------------------------------


def plain_value(cell: Json, kind: CellKind) -> str | int | float | bool:
    """The cell as a STRING, INT, FLOAT or BOOLEAN. Raises InvalidInput for what is none."""
    text = text_of(cell)
    value = _READERS[kind](text)
    if value is None:
        shown = shorten(text, 80)
        raise InvalidInput(tr('"{text}" is no {kind}.', text=shown, kind=kind.value))
    return value


def text_of(cell: Json) -> str:
    """The cell as text; what is no text in a JSON line stays JSON, and none is empty."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", text) else None


def _real(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _boolean(text: str) -> bool | None:
    word = text.strip().lower()
    return word in _TRUE if word in (*_TRUE, *_FALSE) else None


_READERS: dict[CellKind, Callable[[str], str | int | float | bool | None]] = {
    CellKind.STRING: str,
    CellKind.INT: _whole,
    CellKind.FLOAT: _real,
    CellKind.BOOLEAN: _boolean,
}
