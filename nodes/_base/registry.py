"""All nodes of the pack: those in every public module of the registered package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from comfy_api.latest import io

_package = ""
_folders: list[str] = []


def register_package(package: str, folders: Iterable[str]) -> None:
    """Registers `package`, which lies in `folders`; its public modules list nodes in NODES."""
    global _package, _folders
    _package, _folders = package, list(folders)


def all_nodes() -> list[type[io.ComfyNode]]:
    """The nodes of every public module."""
    names = sorted(module.name for module in pkgutil.iter_modules(_folders))
    modules = [
        importlib.import_module(f".{name}", _package) for name in names if not name.startswith("_")
    ]
    return [node for module in modules for node in module.NODES]
