"""ComfyUI's own code, or the stand-in's where COMFYUI_PATH names no checkout."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

COMFYUI = os.environ.get("COMFYUI_PATH", "")
KIND = "comfyui" if COMFYUI else "standin"
NAME = "ComfyUI" if COMFYUI else "the stand-in"
NONE = "COMFYUI_PATH names no checkout"


def stand_in() -> None:
    """Make what our nodes import importable."""
    importlib.import_module("standin")


def comfy_api() -> Any:
    """`comfy_api.latest`; in a process of its own, as it cannot be taken back."""
    if not COMFYUI:
        stand_in()
        return importlib.import_module("comfy_api.latest")
    sys.path[:] = [COMFYUI, *(each for each in sys.path if Path(each).name != "standin")]
    sys.argv[1:] = ["--cpu"]
    importlib.import_module("comfy.options").enable_args_parsing()
    return importlib.import_module("comfy_api.latest")
