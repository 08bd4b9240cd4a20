"""Small pictures of the images and videos that were sent, for the list of jobs. Blocking."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...engine.base.json_tree import leaves
from ...engine.base.types import Kind, MediaFile, Request
from ...engine.settings import folders
from . import decode

_SIDE = 288  # pixels: twice what the page shows
_MOST = 4000  # pictures kept; beyond that the oldest quarter goes
_HASH = re.compile("[0-9a-f]{64}")
_log = logging.getLogger(__name__)


def keep(requests: Sequence[Request]) -> None:
    """Keeps a picture of each image and video in `requests`. Never raises: it is only shown."""
    try:
        files = [file for one in requests for file in leaves(dict(one.payload), MediaFile)]
        for file in {file.sha256: file for file in files}.values():
            if file.kind in (Kind.IMAGE, Kind.VIDEO):
                _keep(file)
    except Exception:
        _log.debug("A picture of what was sent could not be kept", exc_info=True)


def find(sha256: str) -> Path | None:
    """The JPEG of the medium with that hash; None if none was kept."""
    path = _folder() / f"{sha256}.jpg"
    return path if _HASH.fullmatch(sha256) and path.is_file() else None


def _keep(file: MediaFile) -> None:
    path = _folder() / f"{file.sha256}.jpg"
    if path.is_file():
        return os.utime(path)  # in use: it goes last
    path.parent.mkdir(mode=0o700, exist_ok=True)
    _make_room(path.parent)
    draft = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        decode.thumbnail(file.path, _SIDE).save(draft, "JPEG", quality=80)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return None


def _make_room(folder: Path) -> None:
    kept = list(folder.glob("*.jpg"))
    if len(kept) < _MOST:
        return
    for path in sorted(kept, key=lambda one: one.stat().st_mtime)[: _MOST // 4]:
        with suppress(OSError):
            path.unlink()


def _folder() -> Path:
    return folders.home() / "thumbnails"
