"""Rows of a table as values of a graph: finds the table, and decodes the media that cells name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import folder_paths

from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.install import PACK
from ...engine.base.words import tr
from ...engine.batch.selection import (
    CellKind,
    Column,
    Selection,
    count_rows,
    in_row,
    plain_value,
    read_columns,
    select,
    text_of,
)
from ...engine.batch.table import Table, TableRow, open_table
from .._media import decode
from . import allowed_files
from .local_files import is_url

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_EXAMPLE = PACK / "example_workflows" / "skyport-rows.csv"  # what the template of Load Rows reads


def choices() -> list[str]:
    """The tables and folders of ComfyUI's input folder. Cheap, never an error."""
    found: list[str] = []
    with suppress(OSError), os.scandir(folder_paths.get_input_directory()) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(_TABLES):
                found.append(entry.name)
            elif entry.is_dir():
                found.append(f"{entry.name}/")
    return sorted(found, key=lambda name: (name.endswith("/"), name))


def find_table(name: str) -> Path:
    """The table or folder of this name, below ComfyUI's input folder or where the person allows.

    The example's table is found by its name as well, where the input folder has none of that name.
    Raises InvalidInput where there is none, or nobody allows it.
    """
    text = name.strip().strip('"')
    if not text:
        raise InvalidInput(tr("Choose a table."), do=_advice())
    path = _path(text)
    if not path.exists() and text == _EXAMPLE.name:
        return _EXAMPLE
    if not path.exists():
        raise InvalidInput(tr('There is no table "{name}".', name=name), do=_advice())
    return path


def _advice() -> str:
    return tr("Put a .csv or .jsonl file, or a folder of files, into ComfyUI's input folder.")


def _path(text: str) -> Path:
    given = os.path.expanduser(text)
    if os.path.isabs(given) or allowed_files.is_on_network(given):
        return _allowed(given)
    plain, folder = folder_paths.annotated_filepath(text)
    return _allowed(os.path.join(folder or folder_paths.get_input_directory(), plain.strip()))


def _allowed(given: str) -> Path:
    path = os.path.abspath(given)
    inside = os.path.join(path, "_")  # a folder that is allowed may be read itself, too
    if not (allowed_files.is_allowed(path) or allowed_files.is_allowed(inside)):
        raise InvalidInput(
            tr('"{file}" is outside ComfyUI\'s folders and may not be read.', file=path),
            do=tr(
                "If you want it to be, add its folder to the setting allowed_folders "
                "(SKYPORT_ALLOWED_FOLDERS), or copy it into ComfyUI's input folder."
            ),
        )
    return Path(path)


def selected(file: str, columns: str, start: int, rows: int) -> Selection:
    """What the values of a node choose. Raises InvalidInput."""
    return select(open_table(find_table(file)), read_columns(columns), start, rows)


def count(file: str, start: int, rows: int) -> int:
    """How many rows they choose. Raises InvalidInput."""
    return count_rows(open_table(find_table(file)), start, rows)


def values(selection: Selection) -> list[list[Any]]:
    """A list for each column, with an entry for each row. Raises InvalidInput naming the row."""
    table, rows = selection.table, selection.rows
    return [[_value(row, column, table) for row in rows] for column in selection.columns]


def _value(row: TableRow, column: Column, table: Table) -> Any:
    cell = row.values.get(column.name)
    kind = column.kind_of(cell, table)
    try:
        if not kind.is_medium:
            return plain_value(cell, kind)
        return _DECODERS[kind](_medium(text_of(cell), table))
    except SkyportError as error:
        raise in_row(row, f"{column.name}: {error.what}", error.do) from None


def _medium(text: str, table: Table) -> Path:
    """The file that a cell names. Raises InvalidInput."""
    text = text.strip()
    if is_url(text):
        raise InvalidInput(
            tr("a URL is not fetched here."),
            do=tr("Choose the column as STRING, and link it to the medium of a cloud node."),
        )
    path = _allowed(os.path.join(table.folder, os.path.expanduser(text))) if text else None
    if path is None or not path.is_file():
        raise InvalidInput(
            tr('there is no file "{name}".', name=text),
            do=tr("Paths are relative to the folder of the table."),
        )
    return path


def _image(path: Path) -> Any:
    return decode.decode_image(path)[..., :3]


_DECODERS: dict[CellKind, Callable[[Path], Any]] = {
    CellKind.IMAGE: _image,
    CellKind.VIDEO: decode.open_video,
    CellKind.AUDIO: decode.decode_audio,
}


def fingerprint(selection: Selection) -> str:
    """Changes with the table and with each file that it names: a hash."""
    table = selection.table
    stamps = [
        _stamp(text_of(cell), table)
        for column in selection.columns
        for cell in (row.values.get(column.name) for row in selection.rows)
        if column.kind_of(cell, table).is_medium
    ]
    text = json.dumps([str(table.path), table.digest(), stamps])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stamp(text: str, table: Table) -> list[int]:
    try:
        about = os.stat(_medium(text, table))
    except (OSError, SkyportError):
        return []
    return [about.st_size, about.st_mtime_ns]
