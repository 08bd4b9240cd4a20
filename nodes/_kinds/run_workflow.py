"""The base of the nodes that run a ComfyUI workflow in API format on a platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.base.types import Request
from ...engine.platforms.provider import Provider
from ...engine.tasks import learnt_widgets
from ...engine.workflows.api_format import Workflow, put_inputs, read_workflow
from .._base import node_outputs
from .._base.node import CloudNode
from . import schema
from .local_files import stamps, with_local_files
from .remote_inputs import Chain, RemoteInputs, remote_values


class RunWorkflowNode(CloudNode):
    """Subclasses set the class variables, and say where a workflow runs.

    local_files  whether loaders name files of this machine, not files already on the platform
    returns_text whether its results hold the texts that nodes show, each with its node
    """

    begins_ahead: ClassVar[bool] = True
    id: ClassVar[str]
    title: ClassVar[str]
    platform: ClassVar[str]
    category: ClassVar[str]
    local_files: ClassVar[bool] = True
    returns_text: ClassVar[bool] = False

    @classmethod
    def first_inputs(cls) -> Sequence[Any]:
        """`workflow_input` and the inputs that say where it runs, in widget order."""
        raise NotImplementedError

    @classmethod
    def request(cls, prompt: Workflow, seed: int, **where: Any) -> Request:
        """The request to run `prompt`; `where` are the values of the platform's own inputs."""
        raise NotImplementedError

    @classmethod
    def check_where(cls, where: Mapping[str, Any]) -> None:
        """Raises InvalidInput where nothing can run with these values of the platform's own inputs.

        Override it where one may be empty or wrong: Run in Cloud asks before anything runs here.
        """

    @classmethod
    def bills_apart(cls, class_type: str) -> bool:
        """Whether nodes of a class that is not installed here are billed there by a service.

        Override it where the platform declares its classes. Must answer from memory.
        """
        return False

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
        """Changes when a local file that the workflow names changes, or results were missing."""
        return cls.file_stamps(workflow), super().fingerprint_inputs()

    @classmethod
    def file_stamps(cls, workflow: Any) -> Any:
        """Changes when a local file that the workflow names changes."""
        if not cls.local_files or not workflow:
            return None
        try:
            return stamps(read_workflow(workflow))
        except SkyportError:
            return None  # `work` reports what is wrong

    @classmethod
    async def work(
        cls, workflow: str, seed: int, inputs: Any = None, **where: Any
    ) -> io.NodeOutput:
        def make_requests() -> tuple[Provider, list[Request]]:
            provider = providers.connect(cls.platform)
            learnt_widgets.learn_quietly(read_workflow(workflow))
            prompts = cls.prompts(workflow, inputs)
            return provider, [cls.request(prompt, seed, **where) for prompt in prompts]

        label = providers.provider_class(cls.platform).label
        return await cls.run_requests(make_requests, node_outputs.ALL, label)

    @classmethod
    def orders(cls, workflow: str, seed: int, **where: Any) -> Sequence[Request]:
        prompts = cls.prompts(workflow, None)
        return [cls.request(prompt, int(seed), **where) for prompt in prompts]

    @classmethod
    def prompts(cls, workflow: str, inputs: Chain | None) -> list[Workflow]:
        """The workflow of each task, with the remote inputs and the files of this machine in it.

        Encodes tensors and reads files, so call it in a thread. Raises InvalidInput.
        """
        first, *others = remote_values(inputs)
        # A file name that a remote input replaces need not exist here; each file is read only once.
        prompt = put_inputs(read_workflow(workflow), first.items())
        if cls.local_files:
            prompt = with_local_files(prompt)
        changes = ([each for each in one.items() if each[1] != first[each[0]]] for one in others)
        return [prompt, *(put_inputs(prompt, changed) for changed in changes)]


def workflow_input() -> Any:
    return io.String.Input("workflow", multiline=True, default="")
