"""What a V3 pack imports: ComfyExtension, ComfyAPI, io, ui, Input, InputImpl, Types."""

from __future__ import annotations

import types as _types
from typing import Any

from comfy_execution.progress import report
from comfy_execution.utils import get_executing_context

from . import _video, io, ui

IO, UI = io, ui


class ComfyAPI:
    """Calls from a node into its host."""

    class Execution:
        async def set_progress(
            self,
            value: float,
            max_value: float,
            node_id: str | None = None,
            preview_image: Any = None,
            ignore_size_limit: bool = False,
        ) -> None:
            """Move the progress bar of `node_id`, by default of the node whose context this is."""
            context = get_executing_context()
            node_id = node_id or (context.node_id if context else None)
            if node_id is None:
                raise ValueError("set_progress: outside a node's own context node_id must be given")
            report(node_id, value, max_value, preview_image)


class ComfyExtension:
    """What `comfy_entrypoint()` of a pack returns."""

    async def on_load(self) -> None:
        """Called once, before the nodes are asked for."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        raise NotImplementedError


Input = _types.SimpleNamespace(Image=Any, Mask=Any, Audio=dict, Video=_video.VideoInput)
InputImpl = _types.SimpleNamespace(
    VideoFromFile=_video.VideoFromFile, VideoFromComponents=_video.VideoFromComponents
)
Types = _types.SimpleNamespace(
    VideoCodec=_video.VideoCodec,
    VideoContainer=_video.VideoContainer,
    VideoComponents=_video.VideoComponents,
)
