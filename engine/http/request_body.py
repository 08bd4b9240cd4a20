"""Request bodies that are read while they are sent, and record whether sending ever began."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from requests_toolbelt import MultipartEncoder

from ..base.background import current_call
from ..base.errors import InvalidInput
from ..base.types import Field, MediaFile, Report
from ..base.words import tr
from .slow_answers import Abandoned

_CHUNK = 256 * 1024  # bytes


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class RequestBody:
    """A request body. `begun` is whether its first byte was ever read.

    The body is read only once a connection is open, so after a failure with `begun` False the
    platform cannot have the request. The type of the exception does not tell that reliably.
    """

    def __init__(
        self, source: Readable, size: int, mime: str, report: Report | None = None
    ) -> None:
        self.len = size  # the attribute that requests and requests-toolbelt read
        self.mime = mime
        self.begun = False
        self._source = source
        self._report = report
        self._done = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, up to `_CHUNK` of them even if fewer are asked for.

        http.client asks for 8 KB at a time, sends whatever it gets, and stops only at the end.
        Raises Abandoned once nobody waits for the answer.
        """
        self.begun = True
        call = current_call()
        if call is not None and call.abandoned:
            raise Abandoned("abandoned")
        chunk = self._source.read(_CHUNK if 0 < size < _CHUNK else size)
        self._done += len(chunk)
        if chunk and self._report is not None:
            self._report(self._done, self.len)
        return chunk


def text_body(text: bytes, mime: str) -> RequestBody:
    """A body in memory."""
    return RequestBody(io.BytesIO(text), len(text), mime)


@contextmanager
def file_body(file: MediaFile, mime: str, report: Report) -> Iterator[RequestBody]:
    """The bytes of `file`. Raises InvalidInput as SizedFileReader does."""
    with SizedFileReader(file) as reader:
        yield RequestBody(reader, file.size, mime, report)


@contextmanager
def form_body(fields: Sequence[tuple[str, Field]], report: Report) -> Iterator[RequestBody]:
    """multipart/form-data with `fields` in order. Raises InvalidInput as SizedFileReader does."""
    with ExitStack() as stack:
        parts: list[tuple[str, Any]] = []
        for name, value in fields:
            if isinstance(value, MediaFile):
                reader = stack.enter_context(SizedFileReader(value))
                parts.append((name, (value.upload_name, reader, value.mime)))
            else:
                parts.append((name, value))
        encoder = MultipartEncoder(parts)
        yield RequestBody(encoder, encoder.len, encoder.content_type, report)


class SizedFileReader:
    """Reads a file that must still have the size it had when it was encoded.

    Raises InvalidInput if it cannot be read or its size has changed. While sending, that leaves the
    body shorter than its Content-Length, so the platform cannot accept it as complete.
    """

    def __init__(self, file: MediaFile) -> None:
        self._file = file
        self.len = file.size  # bytes still unread; requests-toolbelt reads it each time
        try:
            self._stream = open(file.path, "rb")  # noqa: SIM115  closed in __exit__
        except OSError as error:
            raise _unreadable_file(file, error) from None

    def __enter__(self) -> SizedFileReader:
        if os.fstat(self._stream.fileno()).st_size != self._file.size:
            self._stream.close()
            raise _changed_file(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        expected = self.len if size < 0 else min(size, self.len)
        try:
            chunk = self._stream.read(expected)
        except OSError as error:
            raise _unreadable_file(self._file, error) from None
        if len(chunk) < expected:
            raise _changed_file(self._file)
        self.len -= len(chunk)
        return chunk


def _unreadable_file(file: MediaFile, error: OSError) -> InvalidInput:
    return InvalidInput(
        tr("The file {name} cannot be read: {why}.", name=file.name, why=error.strerror or "I/O"),
        do=tr("Make it readable or link another file, then queue again."),
    )


def _changed_file(file: MediaFile) -> InvalidInput:
    return InvalidInput(
        tr("The file {name} changed after it was checked.", name=file.name),
        do=tr("Queue again once no program is writing to it."),
    )
