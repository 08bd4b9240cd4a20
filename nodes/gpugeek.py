"""The nodes of GPUGeek."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..providers import gpugeek
from ..providers._types import Request
from ..providers._workflow import Workflow
from ._uploads import UploadNode
from ._workflows import RunWorkflowNode, workflow_input

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
    def request(cls, prompt: Workflow, seed: int, **where: Any) -> Request:
        return gpugeek.workflow(prompt, where["workflow_id"], seed=seed)


NODES = [GpugeekUpload, GpugeekRunWorkflow]
