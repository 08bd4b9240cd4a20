"""The file into which a result is written until it is complete; it never overwrites another."""

from __future__ import annotations

import errno
import glob
import hashlib
import itertools
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from ..base.errors import BadResult
from ..base.shown_text import visible_text
from ..base.types import ResultFile
from ..base.words import tr
from .data_files import binary_ending, data_type, safe_extension
from .file_type import HEAD_BYTES, FileType, detect
from .files import is_text, sha256_of
from .hashing import BackgroundSha256

CHUNK = 64 * 1024  # a broken connection loses what has come of one
LARGE_CHUNK = 256 * 1024  # for large files, which lose little by it: each chunk costs time
_WRITE_BACK = 8 * 1024 * 1024  # bytes after which the disk begins to write
_MAX_NAME = 140  # bytes of a name without what is added to it; a disk takes 255
_RESERVED = re.compile(  # by Windows, which takes superscript digits for digits
    "con|prn|aux|nul|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]", re.IGNORECASE
)
_MIME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_PART = re.compile(r"(.+)\.\d+\.\d+\.part")
_numbers = itertools.count(1)


class PartialFile:
    """A file being written. Its methods raise BadResult where the disk refuses."""

    def __init__(self, target: Path) -> None:
        self._stem = safe_name(target.name)
        self._folder = target.parent
        # Two processes may be fetching one task's result at the same time, and in this one a
        # thread that is to stop may still be writing.
        self._path = self._folder / f"{self._stem}.{next(_numbers)}.{os.getpid()}.part"
        self._stream: BinaryIO | None = None
        self._sha256 = BackgroundSha256()
        self.size = 0

    def restart(self) -> None:
        with self._disk():
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self._folder, self._stem)
            self._stream = open(self._path, "wb")  # noqa: SIM115  closed in close()
        self._sha256, self.size = BackgroundSha256(), 0

    def reopen(self) -> None:
        """Continue at the end; the hash is taken from what the disk really holds."""
        with self._disk():
            self.close()
            self._sha256 = BackgroundSha256()
            with open(self._path, "rb") as written:
                for chunk in iter(lambda: written.read(CHUNK), b""):
                    self._sha256.update(chunk)
                if written.tell() != self.size:
                    raise OSError(errno.EIO, tr("its content is not what was written"))
            self._stream = open(self._path, "ab")  # noqa: SIM115  closed in close()

    def write(self, chunk: bytes) -> None:
        with self._disk():
            assert self._stream is not None
            self._stream.write(chunk)
        self._sha256.update(chunk)
        begun = self.size - self.size % _WRITE_BACK
        self.size += len(chunk)
        if self.size >= begun + _WRITE_BACK:
            start_write_back(self._stream.fileno(), begun)

    def settle(self, content_type: str, name: str, text: bool) -> ResultFile:
        """Give the complete file its final name. Raises BadResult where it is no media file.

        text  whether other files are results too: texts, archives, 3D models
        """
        with self._disk():
            assert self._stream is not None
            self._stream.flush()
            os.fsync(self._stream.fileno())
            sha256 = self._sha256.hexdigest()
            self.close()
            with open(self._path, "rb") as written:
                head = written.read(HEAD_BYTES)
            file_type = _type_of(self._path, head, content_type, name, text)
        return self._rename(file_type, sha256)

    def _rename(self, file_type: FileType, sha256: str) -> ResultFile:
        extension = safe_extension(file_type.extension)
        # It may come from a header, and goes into one of ours.
        mime = file_type.mime if _MIME.fullmatch(file_type.mime) else "application/octet-stream"
        with self._disk():
            path = _rename_to_free(self._path, self._folder, self._stem, extension)
        return ResultFile(path, file_type.kind, mime, self.size, sha256)

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
                do=tr(
                    "Check its free space and permissions, then queue again: the result is not "
                    "lost."
                ),
            ) from None


def start_write_back(descriptor: int, start: int) -> None:
    """Have the system write a file from byte `start` on, so that fsync finds little left to do.

    Only a hint: it raises nothing, and fsync is what tells whether the disk has the bytes.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        # What is not on the disk yet is not dropped: its writing begins.
        os.posix_fadvise(descriptor, start, 0, os.POSIX_FADV_DONTNEED)


def _type_of(path: Path, head: bytes, content_type: str, name: str, text: bool) -> FileType:
    data = data_type(head, content_type, name) if text else None
    # What its bytes show goes before what a host calls it.
    is_data = data and binary_ending(head)
    media = None if is_data else detect(path, head, content_type, name, text=text)
    found = media or data
    if found is None:
        raise _no_media(head, content_type)
    return found


def _rename_to_free(part: Path, folder: Path, stem: str, extension: str) -> Path:
    """Rename `part` to the first free name, atomically: two downloads never get the same one."""
    for number in itertools.count(1):
        path = folder / (f"{stem}.{extension}" if number == 1 else f"{stem}_{number}.{extension}")
        with suppress(FileExistsError):
            _rename_to_new(part, path)
            break
    return path


def _rename_to_new(part: Path, path: Path) -> None:
    """Unlike a plain rename, this overwrites nothing. Raises FileExistsError."""
    try:
        os.link(part, path)
        part.unlink()
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        path.open("xb").close()
        os.replace(part, path)


def _remove_abandoned(folder: Path, stem: str) -> None:
    """Remove partial files of this download that processes no longer running have left behind."""
    for part in _parts_left_in(folder).pop(stem, []):
        if not _is_running(int(part.split(".")[-2])):
            with suppress(OSError):
                os.unlink(part)


@lru_cache(maxsize=64)
def _parts_left_in(folder: Path) -> dict[str, list[str]]:
    """The partial files that this process found there at first, by stem.

    A folder is read once: it may hold the results of ten thousand orders.
    """
    found: dict[str, list[str]] = {}
    with suppress(OSError), os.scandir(folder) as entries:  # it may be one only to write to
        for entry in entries:
            if part := _PART.fullmatch(entry.name):
                found.setdefault(part[1], []).append(entry.path)
    return found


def _is_running(pid: int) -> bool:
    if os.name != "posix":
        return True  # on Windows, os.kill would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def came_again(path: Path) -> bool:
    """Whether the folder holds another download of the file, with the same bytes."""
    stem = re.sub(r"_\d+$", "", path.stem)
    others = path.parent.glob(f"{glob.escape(stem)}*{glob.escape(path.suffix)}")
    size = path.stat().st_size
    same = [other for other in others if other != path and other.stat().st_size == size]
    return bool(same) and sha256_of(path)[0] in [sha256_of(other)[0] for other in same]


def safe_name(name: str) -> str:
    """`name` as a file name for every system: the task id in it comes from outside.

    A long one keeps its beginning, and a hash of all of it: two names never become one.
    """
    plain = re.sub(r"[^\w.+-]", "_", name).strip(".") or "result"
    if _RESERVED.fullmatch(plain.partition(".")[0]):
        plain = f"_{plain}"
    encoded = plain.encode("utf-8", "replace")
    if len(encoded) <= _MAX_NAME:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{encoded[:_MAX_NAME].decode('utf-8', 'ignore').rstrip('._')}_{digest}"


def _no_media(head: bytes, content_type: str) -> BadResult:
    return BadResult(
        tr(
            "The result is not an image, video or audio file ({type}): {seen}.",
            type=content_type or tr("no type stated"),
            seen=_excerpt(head),
        ),
        do=tr("Ask the platform's support with the task's id, or queue again."),
    )


def _excerpt(head: bytes) -> str:
    """The first words of a file, or its first bytes where it is not text."""
    if not head:
        return tr("an empty body")
    return visible_text(head, 200) if is_text(head) else head[:16].hex(" ")
