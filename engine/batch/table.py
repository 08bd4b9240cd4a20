"""Reading a table of orders row by row: CSV, JSON lines, or the files of a folder."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TextIO

from ..base.errors import InvalidInput
from ..base.json_tree import RepeatedName, parse_strict
from ..base.shown_text import shorten, valid_unicode
from ..base.types import Json
from ..base.words import tr

FILE = "file"  # the column of a folder's rows
_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)  # written for Excel
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # bytes that are not UTF-8 are read as surrogates
_CHUNK = 1024 * 1024
_LONGEST_CELL = 16 * 1024 * 1024  # letters; the csv module's own limit is 131,072 for all readers
_MOST_NAMED = 40  # columns in an error


@dataclass(frozen=True)
class TableRow:
    """One row; empty lines are none.

    number  from 1, without the header
    line    where it begins in the file, from 1; 0 in a folder
    error   why it cannot be read, "" if it can
    name    what its results are named by beside the number, "" for nothing
    """

    number: int
    line: int = 0
    values: Mapping[str, Json] = field(default_factory=dict)
    error: str = ""
    name: str = ""


def row_text(number: int, line: int) -> str:
    if line:
        return tr("row {number} (line {line})", number=number, line=line)
    return tr("row {number}", number=number)


class Table(Protocol):
    """A table at `path`. Relative paths in it are relative to `folder`.

    columns  their names, None where every row names its own
    """

    path: Path
    folder: Path

    @property
    def columns(self) -> Sequence[str] | None: ...

    def rows(self) -> Iterator[TableRow]:
        """Reads them one by one. Raises InvalidInput where nothing after a line can be read."""

    def digest(self) -> str:
        """Equal for equal content: a SHA-256 in hex."""


def open_table(path: Path) -> Table:
    """The table at `path`. Raises InvalidInput where it is none, or its header is wrong."""
    path = path.absolute()
    try:
        if path.is_dir():
            return _Folder(path)
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return _JsonLines(path)
        if path.suffix.lower() in (".csv", ".tsv", ".txt"):
            return _Csv(path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    raise InvalidInput(
        tr("{name} is no table that can be read.", name=path.name),
        do=tr("It may be .csv, .tsv, .jsonl or a folder. In Excel, save it as CSV UTF-8."),
    )


def no_column(name: str, names: Iterable[str]) -> InvalidInput:
    """The error for a column that a table with these names does not have."""
    return InvalidInput(
        tr('The table has no column "{name}".', name=shorten(name, 80)),
        do=tr("It has: {names}.", names=", ".join(islice(names, _MOST_NAMED))),
    )


def _unreadable(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(tr("{path} cannot be read: {reason}.", path=path, reason=reason))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise _unreadable(path, tr("it is not text")) from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def _digest_of(path: Path) -> str:
    found = hashlib.sha256()
    with _reading(path), open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


# -- CSV ----------------------------------------------------------------------------------------


class _Csv:
    """Separated by commas, semicolons, tabs or bars, whichever the header has most of."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        with open(path, "rb") as stream:
            self._is_utf16 = stream.read(2) in _UTF16
        with self._open() as stream:
            self._skipped, header = self._header_line(stream)
        self.columns: Sequence[str] = self._read_header(header)

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        # Bytes that are no text spoil their own row only.
        errors = "strict" if self._is_utf16 else "surrogateescape"
        encoding = "utf-16" if self._is_utf16 else "utf-8-sig"
        with (
            _reading(self.path),
            open(self.path, encoding=encoding, errors=errors, newline="") as stream,
        ):
            yield stream

    def _header_line(self, stream: TextIO) -> tuple[int, str]:
        """(lines before the header, the header's first line); finds the delimiter."""
        skipped, line, named = 0, stream.readline(), ""
        if found := _SEPARATOR_LINE.fullmatch(line):
            named, skipped, line = found[1], 1, stream.readline()
        while line and not line.strip():
            skipped, line = skipped + 1, stream.readline()
        unquoted = re.sub(r'"[^"]*"?', "", line)
        self._delimiter = named or max(_DELIMITERS, key=unquoted.count)
        return skipped, line

    def _read_header(self, line: str) -> list[str]:
        if not line:
            raise InvalidInput(tr("{name} is empty.", name=self.path.name))
        if _NO_TEXT.search(line):
            raise InvalidInput(_NOT_UTF8(), do=_how_to_save())
        with self._open() as stream:
            cells = self._cells_of_header(self._reader(stream))
        names = [cell.strip() for cell in cells]
        while names and not names[-1]:  # a spreadsheet's columns that hold nothing
            names.pop()
        for name in names:
            if not name or names.count(name) > 1:
                reason = tr('the column "{name}" is there twice', name=name)
                raise _unreadable(self.path, reason if name else tr("a column has no name"))
        return names

    def _cells_of_header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            return next(reader)
        except (csv.Error, StopIteration):
            raise _unreadable(self.path, tr("the quotes of its header do not match")) from None

    def _reader(self, stream: TextIO) -> Iterator[list[str]]:
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
        for _ in range(self._skipped):
            stream.readline()
        # strict: a quote that is never closed would swallow the rows after it.
        return csv.reader(stream, delimiter=self._delimiter, strict=True)

    def digest(self) -> str:
        return _digest_of(self.path)

    def rows(self) -> Iterator[TableRow]:
        with self._open() as stream:
            number = 0
            for line, cells in self._records(stream):
                if isinstance(cells, str) or any(cell.strip() for cell in cells):
                    number += 1
                    yield self._row(number, line, cells)

    def _records(self, stream: TextIO) -> Iterator[tuple[int, list[str] | str]]:
        """(line, its cells or why there are none) of everything below the header."""
        reader = self._reader(stream)
        self._cells_of_header(reader)
        while True:
            line = reader.line_num + self._skipped + 1  # type: ignore[attr-defined]
            try:
                yield line, next(reader)
            except StopIteration:
                return
            except csv.Error:
                last = reader.line_num + self._skipped  # type: ignore[attr-defined]
                if last != line:
                    raise _unreadable(
                        self.path, tr("a quote of line {line} is never closed", line=line)
                    ) from None
                yield line, tr("its quotes do not match: inside quotes, a quote is written twice")

    def _row(self, number: int, line: int, cells: list[str] | str) -> TableRow:
        if isinstance(cells, str):
            return TableRow(number, line, error=cells)
        if any(map(_NO_TEXT.search, cells)):
            return TableRow(number, line, error=f"{_NOT_UTF8()} {_how_to_save()}")
        count = len(self.columns)
        if len(cells) < count or any(cell.strip() for cell in cells[count:]):
            return TableRow(
                number,
                line,
                error=tr(
                    "it has {count} cells and the header has {columns}: a cell with a "
                    "separator in it must be in quotes",
                    count=len(cells),
                    columns=count,
                ),
            )
        return TableRow(number, line, dict(zip(self.columns, cells, strict=False)))


def _NOT_UTF8() -> str:  # noqa: N802
    return tr("it is not UTF-8.")


def _how_to_save() -> str:
    return tr("In Excel, save it as CSV UTF-8.")


# -- JSON lines, folders --------------------------------------------------------------------------


class _JsonLines:
    """A JSON object a line."""

    columns = None

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        with open(path, "rb"):
            pass

    def digest(self) -> str:
        return _digest_of(self.path)

    def rows(self) -> Iterator[TableRow]:
        number = 0
        with _reading(self.path), open(self.path, "rb") as stream:
            for line, text in enumerate(stream, 1):
                text = text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text
                if text.strip():
                    number += 1
                    yield _row_of_json(number, line, text)


def _row_of_json(number: int, line: int, text: bytes) -> TableRow:
    try:
        values = parse_strict(text.decode("utf-8"), unique=True)
    except UnicodeDecodeError:
        return TableRow(number, line, error=_NOT_UTF8())
    except RepeatedName as repeated:
        name = shorten(valid_unicode(str(repeated)), 80)
        return TableRow(number, line, error=tr('"{name}" is there twice', name=name))
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        return TableRow(number, line, error=tr("it is not JSON: {error}", error=reason))
    if not isinstance(values, dict):
        example = json.dumps({"prompt": "a fox"})
        return TableRow(
            number, line, error=tr("it is no object such as {example}", example=example)
        )
    return TableRow(number, line, values)


class _Folder:
    """A row for each file in it, by name; hidden files and folders are left out."""

    columns: Sequence[str] | None = (FILE,)

    def __init__(self, path: Path) -> None:
        self.path = self.folder = path

    def _files(self) -> list[os.DirEntry[str]]:
        with _reading(self.path), os.scandir(self.path) as entries:
            files = [one for one in entries if one.is_file() and not one.name.startswith(".")]
        return sorted(files, key=lambda one: one.name)

    def digest(self) -> str:
        found = hashlib.sha256()
        for one in self._files():
            about = one.stat()
            found.update(
                f"{one.name}\0{about.st_size} {about.st_mtime_ns}\n".encode("utf-8", "replace")
            )
        return found.hexdigest()

    def rows(self) -> Iterator[TableRow]:
        for number, one in enumerate(self._files(), 1):
            yield TableRow(number, 0, {FILE: one.path}, name=Path(one.name).stem)


# -- rows that were read elsewhere ----------------------------------------------------------------


@dataclass
class GivenRows:
    """Some rows of a table; relative paths in it are still relative to `folder`."""

    path: Path
    folder: Path
    columns: Sequence[str] | None
    given: Sequence[TableRow] = ()

    def digest(self) -> str:
        return ""

    def rows(self) -> Iterator[TableRow]:
        return iter(self.given)
