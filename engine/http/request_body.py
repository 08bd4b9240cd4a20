"""Request bodies read from disk while they are sent, that remember whether that ever began."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from requests_toolbelt import MultipartEncoder

from ..base.errors import InvalidInput
from ..base.types import Field, MediaFile, Report
from ..base.words import tr

_PIECE = 256 * 1024  # bytes


class Source(Protocol):
    """What bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class RequestBody:
    """A request body. `begun` tells whether anyone ever asked for its first byte.

    The bytes are asked for only once a connection stands, so a failure with `begun` False is one in
    which the platform cannot have the request. The exception's type does not tell that reliably.
    """

    def __init__(self, source: Source, size: int, mime: str, report: Report | None = None) -> None:
        self.len = size  # the name requests and requests-toolbelt look for
        self.mime = mime
        self.begun = False
        self._source = source
        self._report = report
        self._done = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes; `_PIECE` of them where only some are asked for.

        http.client asks for 8 KB at a time, sends whatever comes, and minds only an empty answer.
        """
        self.begun = True
        chunk = self._source.read(_PIECE if 0 < size < _PIECE else size)
        self._done += len(chunk)
        if chunk and self._report is not None:
            self._report(self._done, self.len)
        return chunk


def text_body(text: bytes, mime: str) -> RequestBody:
    """A body that is in memory already."""
    return RequestBody(io.BytesIO(text), len(text), mime)


@contextmanager
def file_body(file: MediaFile, mime: str, report: Report) -> Iterator[RequestBody]:
    """The bytes of `file` and nothing else. Raises InvalidInput as `_Pages` does."""
    with SizedFileReader(file) as pages:
        yield RequestBody(pages, file.size, mime, report)


@contextmanager
def form_body(fields: Sequence[tuple[str, Field]], report: Report) -> Iterator[RequestBody]:
    """multipart/form-data with `fields` in their order. Raises InvalidInput as `_Pages` does."""
    with ExitStack() as opened:
        parts: list[tuple[str, Any]] = []
        for name, value in fields:
            if isinstance(value, MediaFile):
                pages = opened.enter_context(SizedFileReader(value))
                parts.append((name, (value.name, pages, value.mime)))
            else:
                parts.append((name, value))
        encoder = MultipartEncoder(parts)
        yield RequestBody(encoder, encoder.len, encoder.content_type, report)


class SizedFileReader:
    """A file of exactly the size it had when it was encoded, a page at a time.

    Raises InvalidInput when it cannot be read or is no longer that file. While sending, that leaves
    the body short of its Content-Length: the platform cannot take the request for a whole one.
    """

    def __init__(self, file: MediaFile) -> None:
        self._file = file
        self.len = file.size  # bytes still to come: requests-toolbelt asks each time
        try:
            self._stream = open(file.path, "rb")  # noqa: SIM115  closed in __exit__
        except OSError as error:
            raise _unreadable(file, error) from None

    def __enter__(self) -> SizedFileReader:
        if os.fstat(self._stream.fileno()).st_size != self._file.size:
            self._stream.close()
            raise _changed(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        wanted = self.len if size < 0 else min(size, self.len)
        try:
            page = self._stream.read(wanted)
        except OSError as error:
            raise _unreadable(self._file, error) from None
        if len(page) < wanted:
            raise _changed(self._file)
        self.len -= len(page)
        return page


def _unreadable(file: MediaFile, error: OSError) -> InvalidInput:
    return InvalidInput(
        tr("The file {name} cannot be read: {why}.", name=file.name, why=error.strerror or "I/O"),
        do=tr("Make it readable or link another one, then queue again."),
    )


def _changed(file: MediaFile) -> InvalidInput:
    return InvalidInput(
        tr("The file {name} changed after it was checked.", name=file.name),
        do=tr("Queue again once nothing writes to it any more."),
    )
