"""The nodes of ComfyUI servers of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import io

from ..engine.base.errors import InvalidInput
from ..engine.base.types import Request
from ..engine.workflows.api_format import Workflow
from ..providers import comfyui
from ._kinds.run_workflow import RunWorkflowNode, workflow_input

_CATEGORY = "Skyport/ComfyUI"


class ComfyuiRunWorkflow(RunWorkflowNode):
    id, title = "SkyportComfyuiRunWorkflow", "ComfyUI Run Workflow"
    platform, category = "comfyui", _CATEGORY
    returns_text = True

    @classmethod
    def first_inputs(cls) -> Sequence[Any]:
        return [workflow_input(), _server_input()]

    @classmethod
    def validate_inputs(cls, server: Any = None) -> bool | str:
        try:
            comfyui.check_server(server)
        except InvalidInput as error:
            return str(error)
        return True

    @classmethod
    def check_where(cls, where: Mapping[str, Any]) -> None:
        comfyui.check_server(where.get("server"))

    @classmethod
    def request(cls, prompt: Workflow, seed: int, **where: Any) -> Request:
        return comfyui.workflow(prompt, str(where.get("server", comfyui.AUTO)), seed=seed)

    @classmethod
    def bills_apart(cls, class_type: str) -> bool:
        return comfyui.bills_apart(class_type)


def _server_input() -> Any:
    """The list of servers; what is not in it is refused by `validate_inputs`, in words."""
    options = comfyui.server_choices()
    combo = io.Combo.Input("server", options=options, default=comfyui.AUTO)
    return io.MultiType.Input(combo, types=[io.String])


NODES = [ComfyuiRunWorkflow]
