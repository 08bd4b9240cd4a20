"""The nodes that belong to no platform."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import providers
from ..providers import _recall
from . import _outputs, _recent, _task
from ._node import CloudNode
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


class LoadResult(CloudNode):
    """Brings the results of an earlier job into the graph; waits where it is under way."""

    id = "SkyportLoadResult"

    @classmethod
    def define_schema(cls) -> io.Schema:
        combo = io.Combo.Input("job", options=_recent.choices(), default=_recall.LATEST)
        return io.Schema(
            node_id=cls.id,
            display_name="Load Result",
            category=_CATEGORY,
            inputs=[io.MultiType.Input(combo, types=[io.String, io.Int])],
            outputs=_outputs.declare(_outputs.ALL),
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, job: Any = None) -> bool | str:
        return True  # naming `job` here lets any other id pass

    @classmethod
    def fingerprint_inputs(cls, job: Any = None, **_: Any) -> Any:
        return _recent.meant_by(job)

    @classmethod
    async def work(cls, job: Any) -> io.NodeOutput:
        row = await _task.in_thread(lambda: _recall.find(providers.ledger(), _recent.name_of(job)))
        hand_over = cls.hand_over(_outputs.ALL, _recall.label(row))
        return await _task.load(cls.hidden.unique_id, row, hand_over)


NODES = [RemoteInput, LoadResult]
