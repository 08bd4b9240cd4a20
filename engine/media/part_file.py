"""The file a result is written into until it is whole; it never overwrites another."""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..base.errors import BadResult
from ..base.shown_text import visible_text
from ..base.types import ResultFile
from ..base.words import tr
from .file_type import HEAD_BYTES, Medium, told
from .files import is_text
from .hashing import BackgroundSha256

CHUNK = 64 * 1024  # a cut loses what has come of one
LARGE_CHUNK = 256 * 1024  # for files of which that is little: each chunk costs time


class PartialFile:
    """The file being filled. Raises BadResult when the disk does not play along."""

    def __init__(self, target: Path) -> None:
        self._stem = _safe(target.name)
        self._folder = target.parent
        # Two processes may be fetching one task's result at the same time.
        self._path = self._folder / f"{self._stem}.{os.getpid()}.part"
        self._stream: BinaryIO | None = None
        self._sha256 = BackgroundSha256()
        self.size = 0

    def restart(self) -> None:
        with self._disk():
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            _swept(self._folder, self._stem)
            self._stream = open(self._path, "wb")  # noqa: SIM115  closed in close()
        self._sha256, self.size = BackgroundSha256(), 0

    def reopen(self) -> None:
        """Go on at the end; the sum is taken from what the disk really holds."""
        with self._disk():
            self.close()
            self._sha256 = BackgroundSha256()
            with open(self._path, "rb") as written:
                for chunk in iter(lambda: written.read(CHUNK), b""):
                    self._sha256.update(chunk)
                if written.tell() != self.size:
                    raise OSError(errno.EIO, tr("it is not what was written there"))
            self._stream = open(self._path, "ab")  # noqa: SIM115  closed in close()

    def write(self, chunk: bytes) -> None:
        with self._disk():
            assert self._stream is not None
            self._stream.write(chunk)
        self._sha256.update(chunk)
        self.size += len(chunk)

    def settle(self, content_type: str, name: str, text: bool) -> ResultFile:
        """Give the whole file its name, for good. Raises BadResult when it is no medium."""
        with self._disk():
            assert self._stream is not None
            self._stream.flush()
            os.fsync(self._stream.fileno())
            sha256 = self._sha256.hexdigest()
            self.close()
            with open(self._path, "rb") as written:
                head = written.read(HEAD_BYTES)
        medium = told(head, content_type, name, text=text)
        if medium is None:
            raise _no_medium(head, content_type)
        return self._named(medium, sha256)

    def _named(self, medium: Medium, sha256: str) -> ResultFile:
        with self._disk():
            path = _placed(self._path, self._folder, self._stem, medium.extension)
        return ResultFile(path, medium.kind, medium.mime, self.size, sha256)

    def discard(self) -> None:
        self.close()
        self.size = 0
        with suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        self._sha256.close()
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
                tr(
                    "The result could not be written to {folder}: {why}.",
                    folder=self._folder,
                    why=error.strerror or "I/O",
                ),
                do=tr("Make room there, then queue again: the result is not lost."),
            ) from None


def _placed(part: Path, folder: Path, stem: str, extension: str) -> Path:
    """`part` under the first free name, in one step: two downloads never get the same one."""
    for number in itertools.count(1):
        path = folder / (f"{stem}.{extension}" if number == 1 else f"{stem}_{number}.{extension}")
        with suppress(FileExistsError):
            _rename_to_new(part, path)
            break
    return path


def _rename_to_new(part: Path, path: Path) -> None:
    """Unlike a plain rename this overwrites nothing. Raises FileExistsError."""
    try:
        os.link(part, path)
        part.unlink()
    except FileExistsError:
        raise
    except OSError:  # a disk without links
        path.open("xb").close()
        os.replace(part, path)


def _swept(folder: Path, stem: str) -> None:
    """Remove what processes that are gone have left of this very download."""
    for left in folder.glob(f"{stem}.*.part"):
        pid = left.name.split(".")[-2]
        if pid.isdigit() and not _runs(int(pid)):
            with suppress(OSError):
                left.unlink()


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # asking there would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _safe(name: str) -> str:
    """`name` as a file name on every system: task ids in it come from outside."""
    return re.sub(r"[^\w.+-]", "_", name).strip(".")[:120] or "result"


def _no_medium(head: bytes, content_type: str) -> BadResult:
    return BadResult(
        tr(
            "The result is no image, video or audio ({type}): {seen}.",
            type=content_type or tr("something of no stated type"),
            seen=_glimpse(head),
        ),
        do=tr("Ask the platform with the task's id, or queue again."),
    )


def _glimpse(head: bytes) -> str:
    """The first words of a file, or its first bytes where it has none."""
    if not head:
        return tr("an empty body")
    return visible_text(head, 200) if is_text(head) else head[:16].hex(" ")
