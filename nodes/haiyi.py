"""The nodes of HaiYi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from .. import providers
from ..engine.base.background import workers
from ..engine.base.errors import InvalidInput
from ..engine.base.types import Json, Model, Request
from ..engine.base.words import tr
from ..engine.platforms.provider import Provider
from ..engine.workflows.api_format import Workflow
from ..providers import haiyi
from ._base import node_outputs, run_task
from ._base.node import CloudNode
from ._kinds import schema
from ._kinds.generate import GenerateNode, parse_parameters
from ._kinds.remote_inputs import RemoteInputs, remote_values
from ._kinds.run_workflow import RunWorkflowNode, workflow_input
from ._kinds.upload import UploadNode

_CATEGORY = "Skyport/HaiYi"
_other_models: list[tuple[Model, ...]] = [(), ()]  # all models, and those that no node is for
_listed_clusters: dict[str, None] = {}  # names that the platform has listed, in order


class _Generate(GenerateNode):
    """A node for one of HaiYi's model types."""

    platform = "haiyi"
    category = _CATEGORY

    @classmethod
    def custom_inputs(cls) -> list[Any]:
        return [
            io.String.Input("provider", default=""),
            io.String.Input("model_id", default=""),
            io.String.Input(
                "parameters", default="", multiline=True, placeholder='parameters: {"duration": 5}'
            ),
        ]

    @classmethod
    def other_models(cls) -> tuple[Model, ...]:
        """HaiYi's models of types without a node: any node takes them, each by its own type."""
        return _others(providers.catalogue(cls.platform).models())

    @classmethod
    def request(cls, model: Model, parameters: Mapping[str, Json], seed: int) -> Request:
        own = replace(model, id=model.id.removesuffix(_type_suffix(model)))
        return haiyi.generation(own, parameters, seed=seed)

    @classmethod
    def custom_requests(
        cls, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        provider, name = chosen["provider"].strip(), chosen["model_id"].strip()
        if not provider or not name:
            raise InvalidInput(
                tr("A custom model needs its provider and its model id."),
                do=tr("They are in HaiYi's list of models: `skyport models --refresh haiyi`."),
                platform=haiyi.HaiYi.label,
            )
        parameters = parse_parameters(chosen["parameters"], haiyi.HaiYi.label)
        if prompt.strip():
            parameters.setdefault("prompt", prompt)
        row = Model("haiyi", f"{provider}/{name}", cls.task)
        return [haiyi.generation(row, parameters, seed=seed)]


class HaiyiTextToImage(_Generate):
    id, title = "SkyportHaiyiTextToImage", "HaiYi Text to Image"
    task, outputs = "text2image", node_outputs.IMAGES


class HaiyiImageToImage(_Generate):
    id, title = "SkyportHaiyiImageToImage", "HaiYi Image to Image"
    task, outputs = "image2image", node_outputs.IMAGES


class HaiyiStyleTransfer(_Generate):
    id, title = "SkyportHaiyiStyleTransfer", "HaiYi Style Transfer"
    task, outputs = "style-trans", node_outputs.STYLED


class HaiyiTextToVideo(_Generate):
    id, title = "SkyportHaiyiTextToVideo", "HaiYi Text to Video"
    task, outputs = "text2video", node_outputs.VIDEO


class HaiyiImageToVideo(_Generate):
    id, title = "SkyportHaiyiImageToVideo", "HaiYi Image to Video"
    task, outputs = "image2video", node_outputs.VIDEO


class HaiyiEditVideo(_Generate):
    id, title = "SkyportHaiyiEditVideo", "HaiYi Edit Video"
    task, outputs = "video-edit", node_outputs.VIDEO


class HaiyiTextToMusic(_Generate):
    id, title = "SkyportHaiyiTextToMusic", "HaiYi Text to Music"
    task, outputs = "text2music", node_outputs.AUDIO


class HaiyiTextToSpeech(_Generate):
    id, title = "SkyportHaiyiTextToSpeech", "HaiYi Text to Speech"
    task, outputs = "text2speech", node_outputs.AUDIO


class HaiyiUpload(UploadNode):
    """Hosts a tensor's file and gives its public URL."""

    id, title = "SkyportHaiyiUpload", "HaiYi Upload"
    platform, category, endpoint = "haiyi", _CATEGORY, haiyi.GENERATE


class HaiyiRunApp(CloudNode):
    """Runs a published ComfyUI app; files are sent inside the request."""

    id, title = "SkyportHaiyiRunApp", "HaiYi Run App"
    category = _CATEGORY
    begins_ahead = True

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema.node_schema(
            cls,
            [
                io.String.Input("workflow_id", default=""),
                io.String.Input("version_id", default=""),
                _cluster_input(),
                schema.seed_input(),
                RemoteInputs.Input("inputs", optional=True),
            ],
            node_outputs.declare(node_outputs.ALL),
        )

    @classmethod
    def validate_inputs(cls, workflow_id: Any = None, cluster: Any = None) -> bool | str:
        return True  # naming `cluster` here lets any other name pass

    @classmethod
    def orders(
        cls, workflow_id: str, version_id: str, cluster: str, seed: int, inputs: Any = None
    ) -> Sequence[Request]:
        return [haiyi.app(workflow_id, version_id, cluster, {}, seed=int(seed))]

    @classmethod
    async def work(
        cls, workflow_id: str, version_id: str, cluster: str, seed: int, inputs: Any = None
    ) -> io.NodeOutput:
        def make_requests() -> tuple[Provider, list[Request]]:
            provider, sets = providers.connect("haiyi"), remote_values(inputs)
            requests = [haiyi.app(workflow_id, version_id, cluster, one, seed=seed) for one in sets]
            return provider, requests

        return await cls.run_requests(make_requests, node_outputs.ALL, haiyi.HaiYi.label)


class HaiyiRunWorkflow(RunWorkflowNode):
    """Runs a ComfyUI workflow in API format on one of HaiYi's clusters."""

    id, title = "SkyportHaiyiRunWorkflow", "HaiYi Run Workflow"
    platform, category = "haiyi", _CATEGORY
    local_files = False  # a name may be one that the file has on the cluster

    @classmethod
    def first_inputs(cls) -> Sequence[Any]:
        return [workflow_input(), _cluster_input()]

    @classmethod
    def request(cls, prompt: Workflow, seed: int, **where: Any) -> Request:
        return haiyi.workflow(prompt, where["cluster"], seed=seed)

    @classmethod
    def validate_inputs(cls, workflow: Any = None, cluster: Any = None) -> bool | str:
        return True  # naming `cluster` here lets any other name pass


class HaiyiClusters(CloudNode):
    """Reports the free capacity of each cluster; queries it at every run."""

    id, title = "SkyportHaiyiClusters", "HaiYi Clusters"
    category = _CATEGORY

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema.node_schema(
            cls,
            [],
            [
                io.String.Output("best", display_name="best"),
                io.String.Output("report", display_name="report"),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        return float("nan")  # equal to nothing: never served from the cache

    @classmethod
    async def work(cls) -> io.NodeOutput:
        provider = await run_task.in_thread(lambda: providers.connect("haiyi"))
        assert isinstance(provider, haiyi.HaiYi)
        with workers(provider.name):
            clusters = await run_task.query(provider.clusters)
        _listed_clusters.update(dict.fromkeys(cluster.name for cluster in clusters))
        report = haiyi.cluster_report(clusters)
        return io.NodeOutput(haiyi.most_free_cluster(clusters), report, ui={"text": (report,)})


NODES = [
    HaiyiUpload,
    HaiyiTextToImage,
    HaiyiImageToImage,
    HaiyiStyleTransfer,
    HaiyiTextToVideo,
    HaiyiImageToVideo,
    HaiyiEditVideo,
    HaiyiTextToMusic,
    HaiyiTextToSpeech,
    HaiyiRunApp,
    HaiyiRunWorkflow,
    HaiyiClusters,
]


def _type_suffix(model: Model) -> str:
    """What an option adds to the id of a model of another type: one id may have several."""
    return f" ({model.task})"


def _others(models: tuple[Model, ...]) -> tuple[Model, ...]:
    """Of `models` those of a type without a node; the same tuple while `models` is the same."""
    if _other_models[0] is not models:
        known = {getattr(node, "task", None) for node in NODES}
        others = (model for model in models if model.task not in known)
        named = tuple(replace(model, id=model.id + _type_suffix(model)) for model in others)
        _other_models[:] = models, named
    return _other_models[1]


def _cluster_input() -> Any:
    names = dict.fromkeys([haiyi.AUTO_CLUSTER, *haiyi.CLUSTERS, *_listed_clusters])
    combo = io.Combo.Input("cluster", options=list(names), default=haiyi.AUTO_CLUSTER)
    return io.MultiType.Input(combo, types=[io.String])
