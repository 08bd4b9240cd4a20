"""The body of a request: length or chunks, limits, strict JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.message import Message
from typing import Any, Protocol

BLOCK = 256 * 1024
MAX_JSON = 48 * 1024 * 1024  # media may stand in it as data URLs
MAX_DRAIN = 2 * 1024**3
_MAX_LINE = 4096


class Refusal(Exception):
    """The document does not allow the request; `text` says why."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


class Cut(Exception):
    """End the connection without an answer."""


class Stream(Protocol):
    """The readable side of a connection."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, limit: int, /) -> bytes: ...


class Body:
    """The body of one request, readable once, with either framing."""

    def __init__(self, stream: Stream, headers: Message) -> None:
        self._stream = stream
        self._chunked, self._length = _framing(headers)
        self._blocks = self._read_chunked() if self._chunked else self._read_length()
        self.received = 0

    def blocks(self, limit: int) -> Iterator[bytes]:
        """The bytes, block by block. Raises Refusal (413) past `limit`."""
        if self._length > limit:
            raise Refusal(413, f"The body has {self._length} bytes; at most {limit} are taken.")
        for block in self._blocks:
            yield block
            if self.received > limit:
                raise Refusal(413, f"The body is larger than {limit} bytes.")

    def json(self) -> Any:
        """The body as JSON: UTF-8, no NaN, no key twice."""
        raw = b"".join(self.blocks(MAX_JSON))
        try:
            return json.loads(
                raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_reject_constant
            )
        except (ValueError, RecursionError) as wrong:
            raise Refusal(400, f"The body is not valid JSON: {wrong}.") from None

    def drain(self) -> bool:
        """Read what is left, so that the client reads the answer. False: too much, or broken."""
        try:
            for _ in self._blocks:
                if self.received > MAX_DRAIN:
                    return False
        except Refusal:
            return False
        return True

    def _read_length(self) -> Iterator[bytes]:
        left = self._length
        while left:
            block = self._take(min(BLOCK, left))
            left -= len(block)
            yield block

    def _read_chunked(self) -> Iterator[bytes]:
        while left := _chunk_size(self._line()):
            while left:
                block = self._take(min(BLOCK, left))
                left -= len(block)
                yield block
            if self._line():
                raise Refusal(400, "A chunk is longer than it says.")
        while self._line():
            pass

    def _take(self, most: int) -> bytes:
        block = self._stream.read(most)
        if not block:
            raise Cut
        self.received += len(block)
        return block

    def _line(self) -> bytes:
        line = self._stream.readline(_MAX_LINE)
        if not line:
            raise Cut
        if not line.endswith(b"\r\n"):
            raise Refusal(400, "A line of the chunked body does not end with CRLF.")
        return line[:-2]


def _framing(headers: Message) -> tuple[bool, int]:
    coding = headers.get("Transfer-Encoding", "").strip().lower()
    lengths = headers.get_all("Content-Length", [])
    if coding not in ("", "chunked") or (coding and lengths) or len(set(lengths)) > 1:
        raise Refusal(400, "Send either one Content-Length or Transfer-Encoding: chunked.")
    length = lengths[0].strip() if lengths else "0"
    if not (length.isascii() and length.isdigit()):
        raise Refusal(400, f"Content-Length is not a number: {length!r}.")
    return bool(coding), int(length)


def _chunk_size(line: bytes) -> int:
    digits = line.split(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise Refusal(400, f"Not the size of a chunk: {line!r}.")
    return int(digits, 16)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _reject_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
