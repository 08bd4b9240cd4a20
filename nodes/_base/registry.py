"""Which nodes there are: every bare-named module of the package that `look_in` named."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from comfy_api.latest import io

_package = ""
_folders: list[str] = []


def look_in(package: str, folders: Iterable[str]) -> None:
    """The modules of `package`, which lies in `folders`, hold nodes in NODES."""
    global _package, _folders
    _package, _folders = package, list(folders)


def all_nodes() -> list[type[io.ComfyNode]]:
    """The nodes of every module that is not a room of its own."""
    names = sorted(module.name for module in pkgutil.iter_modules(_folders))
    modules = [
        importlib.import_module(f".{name}", _package) for name in names if not name.startswith("_")
    ]
    return [node for module in modules for node in module.NODES]
