"""The nodes of GPUGeek."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import io

from ..engine.base.types import Request
from ..engine.workflows.api_format import Workflow
from ..providers import gpugeek
from ._kinds.run_workflow import RunWorkflowNode, workflow_input
from ._kinds.upload import UploadNode

_CATEGORY = "Skyport/GPUGeek"


class GpugeekUpload(UploadNode):
    id, title = "SkyportGpugeekUpload", "GPUGeek Upload"
    platform, category, endpoint = "gpugeek", _CATEGORY, gpugeek.WORKFLOW


class GpugeekRunWorkflow(RunWorkflowNode):
    id, title = "SkyportGpugeekRunWorkflow", "GPUGeek Run Workflow"
    platform, category = "gpugeek", _CATEGORY

    @classmethod
    def first_inputs(cls) -> Sequence[Any]:
        return [io.String.Input("workflow_id", default=""), workflow_input()]

    @classmethod
    def check_where(cls, where: Mapping[str, Any]) -> None:
        gpugeek.checked_workflow_id(where.get("workflow_id", ""))

    @classmethod
    def request(cls, prompt: Workflow, seed: int, **where: Any) -> Request:
        return gpugeek.workflow(prompt, where["workflow_id"], seed=seed)


NODES = [GpugeekUpload, GpugeekRunWorkflow]
