"""JSON files in the data folder: read once, replaced in one step, private."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..base.errors import InvalidInput
from ..base.types import Json
from ..base.words import tr

_NO_FILE: dict[str, Json] = {}
_known: dict[Path, tuple[tuple[int, ...], dict[str, Json]]] = {}


def read(path: Path) -> dict[str, Json]:
    """The JSON object in `path`, {} where there is no file; not parsed again while it is the same.

    Raises InvalidInput. Callers must not change what they get.
    """
    try:
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _known.get(path)
        if known is None or known[0] != stamp:
            known = _known[path] = (stamp, _parsed(path))
        return known[1]
    except FileNotFoundError:
        return _NO_FILE
    except OSError as error:
        raise unusable(path, error) from error


def write(path: Path, tree: Mapping[str, Json]) -> None:
    """Replace `path` by `tree` in one step, readable by its owner only (0600)."""
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
            _known.pop(path, None)
    except OSError as error:
        raise unusable(path, error) from error


def _parsed(path: Path) -> dict[str, Json]:
    try:
        # Editors on Windows put a byte order mark in front.
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _broken(path, getattr(error, "lineno", 1)) from None
    if not isinstance(tree, dict):
        raise _broken(path, 1)
    return tree


def _broken(path: Path, line: int) -> InvalidInput:
    # Says where and not what: the file may be keys.json.
    return InvalidInput(
        tr("{path} is not a JSON object (line {line}).", path=path, line=line),
        do=tr("Correct it, or delete it to begin again."),
    )


def unusable(path: Path, error: OSError) -> InvalidInput:
    """The error of a file or folder of ours that the system refuses."""
    return InvalidInput(
        tr("{path} cannot be used: {reason}.", path=path, reason=error.strerror or error),
        do=tr("Make it yours to read and write, or name another data folder in SKYPORT_HOME."),
    )
