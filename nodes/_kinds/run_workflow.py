"""The base of the nodes that run a ComfyUI workflow in API format on a platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.base.types import Request
from ...engine.platforms.provider import Provider
from ...engine.workflows.api_format import Workflow, put_inputs, read_workflow
from .._base import node_outputs
from .._base.node import CloudNode
from . import schema
from .local_files import stamps, with_local_files
from .remote_inputs import Chain, RemoteInputs, remote_values


class RunWorkflowNode(CloudNode):
    """Subclasses name the class variables, and say where a workflow runs.

    local_files  whether loaders name files of this machine, not such as are at the platform already
    """

    id: ClassVar[str]
    title: ClassVar[str]
    platform: ClassVar[str]
    category: ClassVar[str]
    local_files: ClassVar[bool] = True

    @classmethod
    def first_inputs(cls) -> Sequence[Any]:
        """`workflow_input` and what says where it runs, in the order of the widgets."""
        raise NotImplementedError

    @classmethod
    def request(cls, prompt: Workflow, seed: int, **where: Any) -> Request:
        """The request to run `prompt`; `where` are the values of the platform's own inputs."""
        raise NotImplementedError

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema.node_schema(
            cls,
            [
                *cls.first_inputs(),
                schema.seed_input(),
                RemoteInputs.Input("inputs", optional=True),
            ],
            node_outputs.declare(node_outputs.ALL),
        )

    @classmethod
    def fingerprint_inputs(cls, workflow: Any = None, **_: Any) -> Any:
        """Changes with the files of this machine that the workflow names."""
        if not cls.local_files or not workflow:
            return None
        try:
            return stamps(read_workflow(workflow))
        except SkyportError:
            return None  # `work` says what is wrong

    @classmethod
    async def work(
        cls, workflow: str, seed: int, inputs: Any = None, **where: Any
    ) -> io.NodeOutput:
        def ask() -> tuple[Provider, list[Request]]:
            provider = providers.connect(cls.platform)
            prompts = cls.prompts(workflow, inputs)
            return provider, [cls.request(prompt, seed, **where) for prompt in prompts]

        label = providers.provider_class(cls.platform).label
        return await cls.outcome(ask, node_outputs.ALL, label)

    @classmethod
    def prompts(cls, workflow: str, inputs: Chain | None) -> list[Workflow]:
        """The workflow of each task, with the remote inputs and the files of this machine in it.

        Encodes tensors and reads files, so call it in a thread. Raises InvalidInput.
        """
        first, *others = remote_values(inputs)
        # A name that a remote input replaces need not be here, and each file is read only once.
        filled = put_inputs(read_workflow(workflow), first.items())
        if cls.local_files:
            filled = with_local_files(filled)
        news = ([each for each in one.items() if each[1] != first[each[0]]] for one in others)
        return [filled, *(put_inputs(filled, new) for new in news)]


def workflow_input() -> Any:
    return io.String.Input("workflow", multiline=True, default="")
