"""A pack with nothing in it: what ComfyUI takes to load any pack at all."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension


class Empty(ComfyExtension):
    async def get_node_list(self) -> list:
        return []


async def comfy_entrypoint() -> Empty:
    return Empty()
