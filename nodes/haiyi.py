"""The nodes of HaiYi."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from comfy_api.latest import io

from .. import providers
from ..providers import haiyi
from ..providers._errors import InvalidInput
from ..providers._types import Json, Model, Request
from ..providers._words import say
from ..providers._workflow import put_inputs, read_workflow
from . import _forms, _hook, _outputs, _schema, _task
from ._node import CloudNode
from ._remote import RemoteInputs, remote_values

_CATEGORY = "Skyport/HaiYi"
_HIDDEN = (io.Hidden.unique_id, io.Hidden.prompt)
_seen_clusters: dict[str, None] = {}  # names the platform has told of, in order


class _Generate(CloudNode):
    """A node for one of HaiYi's model types; its form is built from the catalogue."""

    id: ClassVar[str]
    title: ClassVar[str]
    task: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=cls.id,
            display_name=cls.title,
            category=_CATEGORY,
            inputs=[
                _schema.prompt_input(),
                _schema.seed_input(),
                _schema.model_input(cls.models(), _custom_inputs()),
            ],
            outputs=_outputs.declare(cls.outputs),
            hidden=list(_HIDDEN),
            is_output_node=True,
        )

    @classmethod
    def models(cls) -> tuple[Model, ...]:
        return providers.catalogue("haiyi").models(cls.task)

    @classmethod
    def offered(cls) -> set[str]:
        return {_schema.CUSTOM, *(model.id for model in cls.models())}

    @classmethod
    def validate_inputs(cls, prompt: Any = None, model: Any = None) -> bool | str:
        # ComfyUI drops a choice that is not offered and would run the node without it.
        return True if model is not None else _hook.missing_model(cls.id)

    @classmethod
    async def work(
        cls, prompt: str, seed: int, model: Mapping[str, Any] | None = None
    ) -> io.NodeOutput:
        if model is None:
            raise InvalidInput(_hook.missing_model(cls.id), platform=haiyi.HaiYi.label)
        provider = await _task.in_thread(lambda: providers.connect("haiyi"))
        requests = await _task.in_thread(lambda: cls.requests(prompt, seed, model))
        return await cls.outcome(provider, requests, cls.outputs)

    @classmethod
    def requests(cls, prompt: str, seed: int, model: Mapping[str, Any]) -> list[Request]:
        """One request a task. Raises InvalidInput before anything is sent."""
        if model["model"] == _schema.CUSTOM:
            return [_custom_request(cls.task, prompt, seed, model)]
        row = next((row for row in cls.models() if row.id == model["model"]), None)
        if row is None:
            raise InvalidInput(
                say('The model "{name}" is not offered.', name=model["model"]),
                do=say("Choose another one, or refresh the list of models."),
                platform=haiyi.HaiYi.label,
            )
        return [
            haiyi.generation(row, parameters, seed=seed)
            for parameters in _forms.parameters(row, prompt, seed, model)
        ]


class HaiyiTextToImage(_Generate):
    id, title = "SkyportHaiyiTextToImage", "HaiYi Text to Image"
    task, outputs = "text2image", _outputs.IMAGES


class HaiyiImageToImage(_Generate):
    id, title = "SkyportHaiyiImageToImage", "HaiYi Image to Image"
    task, outputs = "image2image", _outputs.IMAGES


class HaiyiStyleTransfer(_Generate):
    id, title = "SkyportHaiyiStyleTransfer", "HaiYi Style Transfer"
    task, outputs = "style-trans", _outputs.STYLED


class HaiyiTextToVideo(_Generate):
    id, title = "SkyportHaiyiTextToVideo", "HaiYi Text to Video"
    task, outputs = "text2video", _outputs.VIDEO


class HaiyiImageToVideo(_Generate):
    id, title = "SkyportHaiyiImageToVideo", "HaiYi Image to Video"
    task, outputs = "image2video", _outputs.VIDEO


class HaiyiEditVideo(_Generate):
    id, title = "SkyportHaiyiEditVideo", "HaiYi Edit Video"
    task, outputs = "video-edit", _outputs.VIDEO


class HaiyiTextToMusic(_Generate):
    id, title = "SkyportHaiyiTextToMusic", "HaiYi Text to Music"
    task, outputs = "text2music", _outputs.AUDIO


class HaiyiTextToSpeech(_Generate):
    id, title = "SkyportHaiyiTextToSpeech", "HaiYi Text to Speech"
    task, outputs = "text2speech", _outputs.AUDIO


class HaiyiUpload(CloudNode):
    """Hosts a tensor's file and gives its public URL."""

    id = "SkyportHaiyiUpload"

    @classmethod
    def define_schema(cls) -> io.Schema:
        kinds = [io.Image, io.Mask, io.Video, io.Audio]
        return io.Schema(
            node_id=cls.id,
            display_name="HaiYi Upload",
            category=_CATEGORY,
            inputs=[io.MultiType.Input("media", types=kinds)],
            outputs=_outputs.declare(["url"]),
            hidden=list(_HIDDEN),
        )

    @classmethod
    async def work(cls, media: Any) -> io.NodeOutput:
        provider = await _task.in_thread(lambda: providers.connect("haiyi"))
        files = await _task.in_thread(lambda: _forms.media_items(media))
        place = Request("haiyi", haiyi.GENERATE, {})
        urls = await _task.interruptible(providers.runner().host(provider, place, files))
        return io.NodeOutput(urls, ui={"text": tuple(_without_query(url) for url in urls)})


class HaiyiRunApp(CloudNode):
    """Runs a published ComfyUI app; files go up inside the request."""

    id = "SkyportHaiyiRunApp"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=cls.id,
            display_name="HaiYi Run App",
            category=_CATEGORY,
            inputs=[
                io.String.Input("workflow_id", default=""),
                io.String.Input("version_id", default=""),
                _cluster_input(),
                _schema.seed_input(),
                RemoteInputs.Input("inputs", optional=True),
            ],
            outputs=_outputs.declare(_outputs.ALL),
            hidden=list(_HIDDEN),
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, workflow_id: Any = None, cluster: Any = None) -> bool | str:
        return True  # naming `cluster` here lets any other name pass

    @classmethod
    async def work(
        cls, workflow_id: str, version_id: str, cluster: str, seed: int, inputs: Any = None
    ) -> io.NodeOutput:
        provider = await _task.in_thread(lambda: providers.connect("haiyi"))
        sets = await _task.in_thread(lambda: remote_values(inputs))
        requests = [haiyi.app(workflow_id, version_id, cluster, one, seed=seed) for one in sets]
        return await cls.outcome(provider, requests, _outputs.ALL)


class HaiyiRunWorkflow(CloudNode):
    """Runs a ComfyUI workflow in API format on one of HaiYi's clusters."""

    id = "SkyportHaiyiRunWorkflow"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=cls.id,
            display_name="HaiYi Run Workflow",
            category=_CATEGORY,
            inputs=[
                io.String.Input("workflow", multiline=True, default=""),
                _cluster_input(),
                _schema.seed_input(),
                RemoteInputs.Input("inputs", optional=True),
            ],
            outputs=_outputs.declare(_outputs.ALL),
            hidden=list(_HIDDEN),
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, workflow: Any = None, cluster: Any = None) -> bool | str:
        return True  # naming `cluster` here lets any other name pass

    @classmethod
    async def work(
        cls, workflow: str, cluster: str, seed: int, inputs: Any = None
    ) -> io.NodeOutput:
        provider = await _task.in_thread(lambda: providers.connect("haiyi"))
        prompt = read_workflow(workflow)
        sets = await _task.in_thread(lambda: remote_values(inputs))
        filled = [put_inputs(prompt, one.items()) for one in sets]
        requests = [haiyi.workflow(one, cluster, seed=seed) for one in filled]
        return await cls.outcome(provider, requests, _outputs.ALL)


class HaiyiClusters(CloudNode):
    """Tells how much room each cluster has, anew at every run."""

    id = "SkyportHaiyiClusters"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id=cls.id,
            display_name="HaiYi Clusters",
            category=_CATEGORY,
            inputs=[],
            outputs=[
                io.String.Output("best", display_name="best"),
                io.String.Output("report", display_name="report"),
            ],
            hidden=list(_HIDDEN),
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        return float("nan")  # equal to nothing: never served from the cache

    @classmethod
    async def work(cls) -> io.NodeOutput:
        provider = await _task.in_thread(lambda: providers.connect("haiyi"))
        assert isinstance(provider, haiyi.HaiYi)
        clusters = await _task.ask(provider.clusters)
        _seen_clusters.update(dict.fromkeys(cluster.name for cluster in clusters))
        report = haiyi.report_of(clusters)
        return io.NodeOutput(haiyi.roomiest(clusters), report, ui={"text": (report,)})


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


def _cluster_input() -> Any:
    names = dict.fromkeys([haiyi.AUTO_CLUSTER, *haiyi.CLUSTERS, *_seen_clusters])
    combo = io.Combo.Input("cluster", options=list(names), default=haiyi.AUTO_CLUSTER)
    return io.MultiType.Input(combo, types=[io.String])


def _custom_inputs() -> list[Any]:
    return [
        io.String.Input("provider", default=""),
        io.String.Input("model_id", default=""),
        io.String.Input(
            "parameters", default="", multiline=True, placeholder='parameters: {"duration": 5}'
        ),
    ]


def _custom_request(task: str, prompt: str, seed: int, chosen: Mapping[str, Any]) -> Request:
    provider, name = chosen["provider"].strip(), chosen["model_id"].strip()
    if not provider or not name:
        raise InvalidInput(
            say("A custom model needs its provider and its model id."),
            do=say("They are in HaiYi's list of models: `skyport models --refresh haiyi`."),
            platform=haiyi.HaiYi.label,
        )
    parameters = _parameters_of(chosen["parameters"])
    if prompt.strip():
        parameters.setdefault("prompt", prompt)
    return haiyi.generation(Model("haiyi", f"{provider}/{name}", task), parameters, seed=seed)


def _parameters_of(text: str) -> dict[str, Json]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        found = error
    if not isinstance(found, dict):
        raise InvalidInput(
            say("The parameters of a custom model are not a JSON object."),
            do=say("Write them as {example}.", example='{"duration": 5}'),
            platform=haiyi.HaiYi.label,
        )
    return found


def _without_query(url: str) -> str:
    return url.partition("?")[0]
