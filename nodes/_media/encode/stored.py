"""Files for upload in a folder: written beside their place first, then named by their content."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....engine.base.types import MediaFile
from ....engine.media.files import describe
from ....engine.media.formats import extension


def store(
    folder: Path, suffix: str, write: Callable[[Path], Any], shown: str | None = None
) -> MediaFile:
    """The file that `write` creates, stored in `folder` under a name derived from its content.

    shown  its name in the InvalidInput of a file that is no medium
    """
    with draft(folder, suffix) as path:
        write(path)
        return _rename_to_hash(describe(path, shown), folder)


@contextmanager
def draft(folder: Path, suffix: str) -> Iterator[Path]:
    """A unique temporary path to write to, so that threads writing the same file do not clash."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{uuid.uuid4().hex}{suffix}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def rename(path: Path, final: Path) -> None:
    """Moves a draft to its final name, where another thread may have put the same file."""
    try:
        os.replace(path, final)
    except PermissionError:
        # Windows: another thread wrote the same file, and it is open somewhere.
        if not final.is_file():
            raise


def _rename_to_hash(written: MediaFile, folder: Path) -> MediaFile:
    final = folder / f"{written.sha256[:16]}.{extension(written.mime)}"
    if not (final.is_file() and final.stat().st_size == written.size):
        rename(written.path, final)
    return replace(written, path=final, name=final.name, corrected_name="")
