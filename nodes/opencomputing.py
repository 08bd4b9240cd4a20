"""The nodes of OpenComputing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..engine.base.errors import InvalidInput
from ..engine.base.types import Json, Kind, Model, Request
from ..engine.base.words import tr
from ..providers import opencomputing
from ._base import node_outputs
from ._kinds import form_values, schema
from ._kinds.generate import GenerateNode, parse_parameters

_MAX_SLOTS = 20  # slots of a growing list; each model's row has its own limit


class _Generate(GenerateNode):
    """A node for one of OpenComputing's categories."""

    platform = "opencomputing"
    category = "Skyport/OpenComputing"

    @classmethod
    def custom_inputs(cls) -> list[Any]:
        unlisted = opencomputing.unlisted(schema.CUSTOM, cls.task)
        return [
            io.String.Input("model_id", default="", placeholder="model_id"),
            *schema.nested_inputs(unlisted, cls.node_params()),
        ]

    @classmethod
    def request(cls, model: Model, parameters: Mapping[str, Json], seed: int) -> Request:
        params = dict(parameters)
        more = parse_parameters(
            params.pop(opencomputing.MORE, ""), opencomputing.OpenComputing.label
        )
        return opencomputing.generation(model, params, more=more, seed=seed)

    @classmethod
    def custom_requests(
        cls, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        name = chosen["model_id"].strip()
        if not name:
            raise InvalidInput(
                tr("A custom model needs its model id."),
                do=tr("It is in the platform's list of models."),
                platform=opencomputing.OpenComputing.label,
            )
        unlisted = opencomputing.unlisted(name, cls.task)
        return [
            cls.request(unlisted, parameters, seed)
            for parameters in form_values.parameters(unlisted, prompt, seed, {**chosen, **media})
        ]


class OpenComputingChat(_Generate):
    id, title = "SkyportOpenComputingChat", "OpenComputing Chat"
    task, outputs = "t2t", ("text",)
    texts = ("system_prompt",)


class OpenComputingTextToImage(_Generate):
    id, title = "SkyportOpenComputingTextToImage", "OpenComputing Text to Image"
    task, outputs = "t2i", node_outputs.IMAGES


class OpenComputingTextToVideo(_Generate):
    id, title = "SkyportOpenComputingTextToVideo", "OpenComputing Text to Video"
    task, outputs = "t2v", node_outputs.VIDEO


class OpenComputingImageToVideo(_Generate):
    """Each model's row says which frames it requires: none, one or both."""

    id, title = "SkyportOpenComputingImageToVideo", "OpenComputing Image to Video"
    task, outputs = "i2v", node_outputs.VIDEO
    sockets = (
        schema.Socket("first_frame", Kind.IMAGE, required=False),
        schema.Socket("last_frame", Kind.IMAGE, required=False),
    )


class OpenComputingReferenceToVideo(_Generate):
    id, title = "SkyportOpenComputingReferenceToVideo", "OpenComputing Reference to Video"
    task, outputs = "ref2v", node_outputs.VIDEO
    sockets = (
        schema.Socket("images", Kind.IMAGE, most=_MAX_SLOTS),
        schema.Socket("videos", Kind.VIDEO, required=False, most=_MAX_SLOTS),
        schema.Socket("audios", Kind.AUDIO, required=False, most=_MAX_SLOTS),
    )


NODES = [
    OpenComputingChat,
    OpenComputingTextToImage,
    OpenComputingTextToVideo,
    OpenComputingImageToVideo,
    OpenComputingReferenceToVideo,
]
