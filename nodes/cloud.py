"""The nodes that belong to no platform."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ._remote import RemoteInputs, chained

_CATEGORY = "Skyport"
_VALUES = [
    io.Image,
    io.Mask,
    io.Video,
    io.Audio,
    io.String,
    io.Int,
    io.Float,
    io.Boolean,
]


class RemoteInput(io.ComfyNode):
    """Names an input of a remote workflow and the value that goes there."""

    id = "SkyportRemoteInput"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=cls.id,
            display_name="Remote Input",
            category=_CATEGORY,
            inputs=[
                io.MultiType.Input("value", types=_VALUES),
                RemoteInputs.Input("inputs", optional=True),
                io.String.Input("target", default=""),
            ],
            outputs=[RemoteInputs.Output("inputs", display_name="inputs")],
        )

    @classmethod
    def execute(cls, value: Any, target: str, inputs: Any = None) -> io.NodeOutput:
        return io.NodeOutput(chained(inputs, target, value))


NODES = [RemoteInput]
