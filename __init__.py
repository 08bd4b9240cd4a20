"""Skyport: four clouds as ComfyUI nodes. Nothing is loaded here but by a ComfyUI."""

from __future__ import annotations

from typing import Any

from ._loading import load

_loaded = load(__name__)
WEB_DIRECTORY = _loaded.web_directory


async def comfy_entrypoint() -> Any:
    """Called once by ComfyUI when it loads the pack. Raises RuntimeError where it cannot be used.

    That is logged by ComfyUI, which lists the pack as failed.
    """
    if _loaded.problem:
        raise RuntimeError(_loaded.problem)
    return _loaded.extension or _nothing()


def _nothing() -> Any:
    """Another link to a folder that is loaded already adds no nodes."""
    from comfy_api.latest import ComfyExtension

    class Nothing(ComfyExtension):
        async def get_node_list(self) -> list[Any]:
            return []

    return Nothing()
