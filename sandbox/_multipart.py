"""multipart/form-data, file parts written straight to disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from ._body import Refusal

MAX_TEXT = 1024 * 1024
MAX_PARTS = 200
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


@dataclass
class FormPart:
    """One part: a file at `path` under the client's `filename`, or plain `text`."""

    name: str
    filename: str | None = None
    content_type: str = ""
    path: Path | None = None
    text: str = ""
    size: int = 0

    @property
    def summary(self) -> Any:
        """How the request log shows it."""
        if self.filename is None:
            return self.text
        return {"filename": self.filename, "content_type": self.content_type, "size": self.size}


def parse(
    content_type: str, blocks: Iterable[bytes], new_path: Callable[[], Path]
) -> list[FormPart]:
    """The parts of a form, in order. Raises Refusal for anything that is not well formed."""
    reader = _Reader(new_path)
    try:
        parser = MultipartParser(_boundary(content_type), reader.callbacks())
        for block in blocks:
            parser.write(block)
    except FormParserError as wrong:
        raise Refusal(400, f"The form is not well formed: {wrong}.") from None
    finally:
        reader.close()
    if not reader.ended:
        raise Refusal(400, "The form ends without its closing boundary.")
    return reader.parts


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary() or ""
    if message.get_content_type() != "multipart/form-data":
        raise Refusal(415, f"Send multipart/form-data, not {content_type or 'nothing'!r}.")
    if not _BOUNDARY.fullmatch(boundary):
        raise Refusal(400, "Content-Type names no valid boundary.")
    return boundary.encode("ascii")


@dataclass
class _Reader:
    """The parser's callbacks; holds one open part at a time."""

    new_path: Callable[[], Path]
    parts: list[FormPart] = field(default_factory=list)
    ended: bool = False
    _headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    _label: bytes = b""
    _value: bytes = b""
    _file: BinaryIO | None = None
    _text: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> Any:
        names = ("part_begin", "header_field", "header_value", "header_end")
        rest = ("headers_finished", "part_data", "part_end", "end")
        return {f"on_{name}": getattr(self, name) for name in (*names, *rest)}

    def part_begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise Refusal(400, f"The form has more than {MAX_PARTS} parts.")
        self._headers = []
        self._text = bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._label += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers.append((self._label.lower(), self._value))
        self._label = self._value = b""

    def headers_finished(self) -> None:
        part = _form_part(self._headers)
        if part.filename is not None:
            part.path = self.new_path()
            self._file = part.path.open("wb")
        self.parts.append(part)

    def part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.size += end - start
        if self._file:
            self._file.write(memoryview(data)[start:end])
        elif part.size > MAX_TEXT:
            raise Refusal(413, f"Field {part.name!r} is longer than {MAX_TEXT} bytes.")
        else:
            self._text += data[start:end]

    def part_end(self) -> None:
        part = self.parts[-1]
        if self._file:
            self.close()
            return
        try:
            part.text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise Refusal(400, f"Field {part.name!r} is not UTF-8 text.") from None

    def end(self) -> None:
        self.ended = True

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _form_part(headers: list[tuple[bytes, bytes]]) -> FormPart:
    found = dict(headers)
    if len(found) != len(headers):
        raise Refusal(400, "A part of the form has the same header twice.")
    try:
        decoded = {name.decode("ascii"): value.decode("utf-8") for name, value in headers}
    except UnicodeDecodeError:
        raise Refusal(400, "A part's header is not UTF-8 text.") from None
    name, filename = _disposition(decoded.get("content-disposition", ""))
    return FormPart(name, filename, decoded.get("content-type", ""))


def _disposition(value: str) -> tuple[str, str | None]:
    """(name, file name); the latter raw UTF-8 or, as older clients send it, RFC 2231."""
    message = Message()
    message["Content-Disposition"] = value
    params = _params(message)
    if message.get_content_disposition() != "form-data" or not params.get("name"):
        raise Refusal(400, f"A part has no Content-Disposition: form-data; name=...: {value!r}.")
    filename = params.get("filename")
    return _plain(params["name"]), None if filename is None else _plain(filename)


def _params(message: Message) -> dict[str, Any]:
    """By name; an RFC 2231 value is a tuple and takes precedence over the plain one."""
    params: dict[str, Any] = {}
    for name, value in message.get_params([], header="Content-Disposition")[1:]:
        if name in params and isinstance(value, tuple) is isinstance(params[name], tuple):
            raise Refusal(400, f"Content-Disposition has {name!r} twice.")
        if not isinstance(params.get(name), tuple):
            params[name] = value
    return params


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        charset, _, text = value
        with suppress(LookupError, UnicodeError):
            return str(text).encode("raw-unicode-escape").decode(charset or "ascii")
        raise Refusal(400, f"Cannot read the file name {text!r} as {charset}.")
    text = str(value)
    for escaped, char in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escaped, char)
    return text
