"""Which nodes there are: every bare-named module here holds some in NODES."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from comfy_api.latest import io


def all_nodes() -> list[type[io.ComfyNode]]:
    """The nodes of every module that is not machinery."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [
        importlib.import_module(f".{name}", __package__)
        for name in names
        if not name.startswith("_")
    ]
    return [node for module in modules for node in module.NODES]
