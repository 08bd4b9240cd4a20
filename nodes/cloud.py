"""The nodes that belong to no single platform."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import providers
from ..engine.base.errors import InputRejected, InvalidInput, TaskFailed
from ..engine.base.types import Request, Result
from ..engine.base.words import tr
from ..engine.media.notes import note
from ..engine.platforms.provider import Provider
from ..engine.tasks import history
from ..engine.workflows.graph import KEEP_LOCAL, REMOTE_INPUT, RUN_IN_CLOUD, THIS_MACHINE
from ..engine.workflows.part import RemotePart
from ._base import node_outputs, run_task
from ._base.node import CloudNode
from ._kinds import recent_jobs, schema
from ._kinds.remote_inputs import RemoteInputs, append_value
from ._kinds.search_texts import search_texts
from ._run_in_cloud.clouds import clouds
from ._run_in_cloud.request import request_of, value_of, where_input, with_local_ids
from ._run_in_cloud.split_prompt import notes_of, remote_part_of

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


class RunInCloud(CloudNode):
    """Runs what is upstream of its value in a cloud; on this machine it passes the value on.

    The prompt hook removes that part before ComfyUI validates the prompt.
    """

    begins_ahead = True
    id = RUN_IN_CLOUD

    @classmethod
    def define_schema(cls) -> io.Schema:
        template = io.MatchType.Template("value", _VALUES)
        return io.Schema(
            node_id=cls.id,
            display_name="Run in Cloud",
            category=_CATEGORY,
            inputs=[
                # Optional: the hook removes the link that it has in the editor.
                io.MatchType.Input("value", template=template, optional=True),
                where_input(),
            ],
            # One item is a single value; several are a list upstream.
            outputs=[
                io.MatchType.Output(template, "value", display_name="value", is_output_list=True)
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            **search_texts(cls.id),
        )

    @classmethod
    def validate_inputs(cls, value: Any = None, where: Any = None) -> bool | str:
        """A constant `value` is the hook's reason why the prompt cannot be split."""
        return value if isinstance(value, str) else True

    @classmethod
    async def work(cls, where: Any = None, value: Any = None) -> io.NodeOutput:
        part = remote_part_of(cls.hidden.prompt, cls.hidden.unique_id)
        cloud = (where or {}).get("where")
        if cloud == THIS_MACHINE or (part is not None and part.value is None):
            return io.NodeOutput([_local_value(value, part)])
        if part is None or cloud not in clouds():
            raise InvalidInput(tr("Choose where it runs, then queue the whole workflow again."))
        platform = clouds()[cloud].platform
        savers: list[str] = []

        def make_requests() -> tuple[Provider, list[Request]]:
            provider = providers.connect(platform)
            request, saver = request_of(part, where, value)
            savers.append(saver)
            return provider, [request]

        def deliver(results: list[Result]) -> io.NodeOutput:
            for text in notes_of(cls.hidden.prompt, cls.hidden.unique_id).values():
                note(text)
            return value_of(part, savers[0], results, label=cloud)

        try:
            return await run_task.run(cls.hidden.unique_id, make_requests, deliver)
        except (InputRejected, TaskFailed) as error:
            raise with_local_ids(error, part) from None


class KeepLocal(io.ComfyNode):
    """Passes its value on; what is upstream of it runs on this machine."""

    id = KEEP_LOCAL

    @classmethod
    def define_schema(cls) -> io.Schema:
        template = io.MatchType.Template("value", _VALUES)
        return io.Schema(
            node_id=cls.id,
            display_name="Keep Local",
            category=_CATEGORY,
            inputs=[io.MatchType.Input("value", template=template)],
            outputs=[io.MatchType.Output(template, "value", display_name="value")],
            **search_texts(cls.id),
        )

    @classmethod
    def execute(cls, value: Any) -> io.NodeOutput:
        return io.NodeOutput(value)


class RemoteInput(io.ComfyNode):
    """Names an input of a remote workflow and the value that goes there."""

    id = REMOTE_INPUT

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
            **search_texts(cls.id),
        )

    @classmethod
    def execute(cls, value: Any, target: str, inputs: Any = None) -> io.NodeOutput:
        return io.NodeOutput(append_value(inputs, target, value))


class LoadResult(CloudNode):
    """Brings the results of an earlier job into the graph; waits if it is still running."""

    id, title = "SkyportLoadResult", "Load Result"
    category = _CATEGORY

    @classmethod
    def define_schema(cls) -> io.Schema:
        combo = io.Combo.Input("job", options=recent_jobs.choices(), default=history.LATEST)
        inputs = [io.MultiType.Input(combo, types=[io.String, io.Int])]
        return schema.node_schema(cls, inputs, node_outputs.declare(node_outputs.ALL))

    @classmethod
    def validate_inputs(cls, job: Any = None) -> bool | str:
        return True  # naming `job` here lets any other id pass

    @classmethod
    def fingerprint_inputs(cls, job: Any = None, **_: Any) -> Any:
        return recent_jobs.fingerprint_of(job), super().fingerprint_inputs()

    @classmethod
    async def work(cls, job: Any) -> io.NodeOutput:
        row = await run_task.in_thread(
            lambda: history.find(providers.ledger(), recent_jobs.name_of(job))
        )
        deliver = cls.output_builder(node_outputs.ALL, history.label(row))
        return await run_task.load(cls.hidden.unique_id, row, deliver)


NODES = [RunInCloud, KeepLocal, RemoteInput, LoadResult]


def _local_value(value: Any, part: RemotePart | None) -> Any:
    if part is not None and part.value is not None:
        raise InvalidInput(
            tr("The part of the workflow upstream of this node has been removed."),
            do=tr("Queue it from the editor, or choose the cloud that it was cut for."),
        )
    if value is None:
        raise InvalidInput(tr("Nothing is linked to Run in Cloud."), do=tr("Link its value."))
    return value
