"""Which files outside ComfyUI's folders a workflow may take along: those that the person allows.

A workflow of a stranger may name any path of this disk, in a loader that takes paths.
"""

from __future__ import annotations

import ntpath
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import folder_paths

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.settings import settings

_allowed: set[Path] = set()  # until ComfyUI ends
_asked: ContextVar[list[str] | None] = ContextVar("asked", default=None)


def allow(paths: Iterable[str]) -> None:
    """Allow exactly these files, wherever they are, until ComfyUI ends."""
    _allowed.update(_resolved(path) for path in paths)


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Within the block nothing is refused: the list names what would have been."""
    found: list[str] = []
    token = _asked.set(found)
    try:
        yield found
    finally:
        _asked.reset(token)


def check(path: str) -> None:
    """Raises InvalidInput for an absolute `path` that may not be uploaded.

    Symbolic links inside ComfyUI's folders are followed; elsewhere their target counts.
    """
    if is_allowed(path):
        return
    asked = _asked.get()
    if asked is None:
        raise InvalidInput(
            tr(
                'the file "{file}" is outside ComfyUI\'s folders and may not be uploaded.',
                file=path,
            ),
            do=tr(
                "If you want it to be, add its folder to the setting allowed_folders "
                "(SKYPORT_ALLOWED_FOLDERS), or copy it into ComfyUI's input folder."
            ),
        )
    if path not in asked:
        asked.append(path)


def is_allowed(path: str) -> bool:
    """Whether the file at an absolute `path` may be uploaded."""
    folders = [Path(folder) for folder in settings.load().allowed_folders]
    if is_on_network(path):
        # Asking for such a file already tells its server who asks.
        return any(_is_inside(Path(path), folder) for folder in folders)
    if any(_is_inside(Path(path), folder) for folder in _comfyui_folders()):
        return True
    target = _resolved(path)
    return target in _allowed or any(
        _is_inside(target, _resolved(folder)) for folder in [*folders, *_comfyui_folders()]
    )


def is_on_network(path: str) -> bool:
    r"""Whether it is a Windows path such as \\server\share\file."""
    return os.name == "nt" and ntpath.splitdrive(path)[0].startswith(("\\\\", "//"))


def _comfyui_folders() -> list[Path]:
    return [
        Path(os.path.abspath(folder))
        for folder in (
            folder_paths.get_input_directory(),
            folder_paths.get_output_directory(),
            folder_paths.get_temp_directory(),
        )
    ]


def _is_inside(path: Path, folder: Path) -> bool:
    return folder in path.parents


def _resolved(path: str | Path) -> Path:
    return Path(os.path.realpath(path))
