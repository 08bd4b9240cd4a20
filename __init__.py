"""Skyport: four clouds as ComfyUI nodes. ComfyUI is imported only inside comfy_entrypoint()."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> Any:
    """Called once by ComfyUI when it loads the pack."""
    from .nodes import extension

    return extension()
