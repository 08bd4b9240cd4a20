"""JSON files in the data folder: parsed once, replaced atomically, private."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..base import forks
from ..base.errors import InvalidInput
from ..base.soft_lock import soft_lock
from ..base.types import Json
from ..base.words import tr

LOCK_PATIENCE = 10.0  # seconds for which nobody alive holds the lock of a file
_updating = forks.Lock()
_NO_FILE: dict[str, Json] = {}
_cache: dict[Path, tuple[tuple[int, ...], dict[str, Json]]] = {}


def read(path: Path) -> dict[str, Json]:
    """The JSON object in `path`, {} where there is no file; parsed again only once it changes.

    Raises InvalidInput. Callers must not modify the returned object.
    """
    try:
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        cached = _cache.get(path)
        if cached is None or cached[0] != stamp:
            cached = _cache[path] = (stamp, _parsed(path))
        return cached[1]
    except FileNotFoundError:
        return _NO_FILE
    except OSError as error:
        raise unusable(path, error) from error


def write(path: Path, tree: Mapping[str, Json]) -> None:
    """Atomically replace `path` with `tree`, readable by its owner only (0600)."""
    try:
        handle, name = tempfile.mkstemp(prefix=path.name, suffix=".new", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(tree, file, ensure_ascii=False, indent=2)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
            _cache.pop(path, None)
    except OSError as error:
        raise unusable(path, error) from error


@contextmanager
def updating(path: Path) -> Iterator[None]:
    """What is read from `path` in here is still there when it is written back.

    No other thread and no other process changes it meanwhile. Where no lock file can be made, the
    file itself cannot be written either.
    """
    with _updating, soft_lock(Path(f"{path}.lock"), LOCK_PATIENCE):
        yield


def _parsed(path: Path) -> dict[str, Json]:
    try:
        # Editors on Windows may put a byte order mark in front.
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _broken(path, getattr(error, "lineno", 1)) from None
    if not isinstance(tree, dict):
        raise _broken(path, 1)
    return tree


def _broken(path: Path, line: int) -> InvalidInput:
    # It names the line and shows nothing of it: the file may be keys.json.
    return InvalidInput(
        tr("{path} is not a JSON object (line {line}).", path=path, line=line),
        do=tr("Correct it, or delete it to start afresh."),
    )


def unusable(path: Path, error: OSError) -> InvalidInput:
    """The error for a file or folder of ours that the system refuses."""
    return InvalidInput(
        tr("{path} cannot be used: {reason}.", path=path, reason=error.strerror or error),
        do=tr(
            "Give yourself permission to read and write it, or set SKYPORT_HOME to another data "
            "folder."
        ),
    )
