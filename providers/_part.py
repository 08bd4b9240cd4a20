"""The file a result is written into until it is whole; it never overwrites another."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ._errors import BadResult
from ._files import is_text
from ._judge import visible_text
from ._medium import HEAD_BYTES, Medium, told
from ._types import ResultFile
from ._words import say

CHUNK = 64 * 1024  # a cut loses what has come of one


class Part:
    """The file being filled. Raises BadResult when the disk does not play along."""

    def __init__(self, target: Path) -> None:
        self._stem = _safe(target.name)
        self._folder = target.parent
        self._path = self._folder / f"{self._stem}.part"
        self._stream: BinaryIO | None = None
        self._sum = hashlib.sha256()
        self.size = 0

    def restart(self) -> None:
        with self._disk():
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._stream = open(self._path, "wb")  # noqa: SIM115  closed in close()
        self._sum, self.size = hashlib.sha256(), 0

    def reopen(self) -> None:
        """Go on at the end; the sum is taken from what the disk really holds."""
        with self._disk():
            self.close()
            self._sum = hashlib.sha256()
            with open(self._path, "rb") as written:
                for chunk in iter(lambda: written.read(CHUNK), b""):
                    self._sum.update(chunk)
                if written.tell() != self.size:
                    raise OSError(errno.EIO, say("it is not what was written there"))
            self._stream = open(self._path, "ab")  # noqa: SIM115  closed in close()

    def write(self, chunk: bytes) -> None:
        with self._disk():
            assert self._stream is not None
            self._stream.write(chunk)
        self._sum.update(chunk)
        self.size += len(chunk)

    def settle(self, content_type: str, name: str, text: bool) -> ResultFile:
        """Give the whole file its name, for good. Raises BadResult when it is no medium."""
        with self._disk():
            assert self._stream is not None
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self.close()
            with open(self._path, "rb") as written:
                head = written.read(HEAD_BYTES)
        medium = told(head, content_type, name, text=text)
        if medium is None:
            raise _no_medium(head, content_type)
        return self._named(medium)

    def _named(self, medium: Medium) -> ResultFile:
        with self._disk():
            path = _claimed(self._folder, self._stem, medium.extension)
            os.replace(self._path, path)
        return ResultFile(path, medium.kind, medium.mime, self.size, self._sum.hexdigest())

    def discard(self) -> None:
        self.close()
        self.size = 0
        with suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BadResult(
                say(
                    "The result could not be written to {folder}: {why}.",
                    folder=self._folder,
                    why=error.strerror or "I/O",
                ),
                do=say("Make room there, then queue again: the result is not lost."),
            ) from None


def _claimed(folder: Path, stem: str, extension: str) -> Path:
    """A new, empty file of ours under the first free name: two downloads never get the same one."""
    number = 1
    while True:
        path = folder / (f"{stem}.{extension}" if number == 1 else f"{stem}_{number}.{extension}")
        try:
            path.open("xb").close()
            return path
        except FileExistsError:
            number += 1


def _safe(name: str) -> str:
    """`name` as a file name on every system: task ids in it come from outside."""
    return re.sub(r"[^\w.+-]", "_", name).strip(".")[:120] or "result"


def _no_medium(head: bytes, content_type: str) -> BadResult:
    return BadResult(
        say(
            "The result is no image, video or audio ({type}): {seen}.",
            type=content_type or say("something of no stated type"),
            seen=_glimpse(head),
        ),
        do=say("Ask the platform with the task's id, or queue again."),
    )


def _glimpse(head: bytes) -> str:
    """The first words of a file, or its first bytes where it has none."""
    if not head:
        return say("an empty body")
    return visible_text(head, 200) if is_text(head) else head[:16].hex(" ")
