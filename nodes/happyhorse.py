"""The nodes of HappyHorse: one per task, with media sockets and each model's own fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..engine.base.errors import InvalidInput
from ..engine.base.json_tree import leaves, with_leaves
from ..engine.base.types import Json, Kind, Model, Request
from ..engine.base.words import tr
from ..providers import happyhorse
from ._base import node_outputs
from ._kinds import form_values
from ._kinds.generate import GenerateNode, parse_parameters
from ._kinds.schema import Socket

_MAX_SLOTS = 20  # slots of a growing list; a model's own limit is checked before sending

_IMAGE = Socket("image", Kind.IMAGE)
_IMAGES = Socket("images", Kind.IMAGE, most=_MAX_SLOTS)
_FIRST_FRAME = Socket("first_frame", Kind.IMAGE)
_LAST_FRAME = Socket("last_frame", Kind.IMAGE)
_VIDEO = Socket("video", Kind.VIDEO)
_AUDIO = Socket("audio", Kind.AUDIO, formats=("mp3",))


class _Generate(GenerateNode):
    """A node for one of the tasks of HappyHorse's document."""

    platform = "happyhorse"
    category = "Skyport/HappyHorse"

    @classmethod
    def custom_inputs(cls) -> list[Any]:
        return [
            io.String.Input("model_id", default=""),
            io.Combo.Input("endpoint", options=list(happyhorse.ROUTES), default=cls._usual_route()),
            io.String.Input(
                "parameters", default="", multiline=True, placeholder='parameters: {"duration": 5}'
            ),
        ]

    @classmethod
    def _usual_route(cls) -> str:
        return cls.models()[0].endpoint

    @classmethod
    def request(cls, model: Model, parameters: Mapping[str, Json], seed: int) -> Request:
        return happyhorse.generation(model, parameters, seed=seed)

    @classmethod
    def custom_requests(
        cls, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        """`$prompt` and `$` with a socket's name stand for the values of the node."""
        name, label = chosen["model_id"].strip(), happyhorse.HappyHorse.label
        if not name:
            raise InvalidInput(tr("A custom model needs its model id."), platform=label)
        parameters = parse_parameters(chosen["parameters"], label)
        named = {text[1:] for text in leaves(parameters, str) if text.startswith("$")}
        if prompt.strip() and "prompt" not in named:
            parameters.setdefault("prompt", prompt)
        return [
            happyhorse.custom(
                name,
                chosen["endpoint"],
                _fill_in(parameters, named, {**values, "prompt": prompt}, cls.sockets),
                seed=seed,
            )
            for values in form_values.socket_values(cls.sockets, media)
        ]


def _fill_in(
    parameters: Mapping[str, Json],
    named: set[str],
    values: Mapping[str, Any],
    sockets: tuple[Socket, ...],
) -> dict[str, Json]:
    """The parameters with the node's values in place of their placeholders."""
    for socket in sockets:
        if (socket.id in values) != (socket.id in named):
            raise _placeholder_error(socket.id, is_linked=socket.id in values)
    filled: dict[str, Json] = with_leaves(
        parameters, str, lambda text: values.get(text[1:], text) if text[:1] == "$" else text
    )
    return filled


def _placeholder_error(name: str, is_linked: bool) -> InvalidInput:
    if is_linked:
        what = tr("The parameters of the custom model have no place for {name}.", name=name)
        do = tr('Write "{place}" where its URL belongs.', place=f"${name}")
    else:
        what = tr(
            "The parameters of the custom model use {name}, but nothing is linked to it.", name=name
        )
        do = tr('Link it, or remove "{place}" from the parameters.', place=f"${name}")
    return InvalidInput(what, do=do, platform=happyhorse.HappyHorse.label)


class HappyHorseTextToImage(_Generate):
    id, title = "SkyportHappyHorseTextToImage", "Skyport HappyHorse Text to Image"
    task, outputs = "text2image", node_outputs.IMAGES


class HappyHorseEditImage(_Generate):
    id, title = "SkyportHappyHorseEditImage", "Skyport HappyHorse Edit Image"
    task, outputs = "edit-image", node_outputs.IMAGES
    sockets = (_IMAGE, Socket("mask", Kind.IMAGE, required=False, mask=True))


class HappyHorseReferenceToImage(_Generate):
    id, title = "SkyportHappyHorseReferenceToImage", "Skyport HappyHorse Reference to Image"
    task, outputs = "reference2image", node_outputs.IMAGES
    sockets = (_IMAGES,)


class HappyHorseTextToVideo(_Generate):
    id, title = "SkyportHappyHorseTextToVideo", "Skyport HappyHorse Text to Video"
    task, outputs = "text2video", node_outputs.VIDEO


class HappyHorseImageToVideo(_Generate):
    id, title = "SkyportHappyHorseImageToVideo", "Skyport HappyHorse Image to Video"
    task, outputs = "image2video", node_outputs.VIDEO
    sockets = (_IMAGE,)


class HappyHorseFirstLastFrameToVideo(_Generate):
    id, title = (
        "SkyportHappyHorseFirstLastFrameToVideo",
        "Skyport HappyHorse First/Last Frame to Video",
    )
    task, outputs = "first-last-frame", node_outputs.VIDEO
    sockets = (_FIRST_FRAME, _LAST_FRAME)


class HappyHorseExtendVideo(_Generate):
    id, title = "SkyportHappyHorseExtendVideo", "Skyport HappyHorse Extend Video"
    task, outputs = "extend-video", node_outputs.VIDEO
    sockets = (_VIDEO, replace(_LAST_FRAME, required=False))


class HappyHorseReferenceToVideo(_Generate):
    id, title = "SkyportHappyHorseReferenceToVideo", "Skyport HappyHorse Reference to Video"
    task, outputs = "reference2video", node_outputs.VIDEO
    sockets = (_IMAGES,)


class HappyHorseImageAudioToVideo(_Generate):
    id, title = "SkyportHappyHorseImageAudioToVideo", "Skyport HappyHorse Image and Audio to Video"
    task, outputs = "image-audio2video", node_outputs.VIDEO
    sockets = (_IMAGE, _AUDIO, Socket("extra_images", Kind.IMAGE, required=False, most=_MAX_SLOTS))


class HappyHorseMultimodalToVideo(_Generate):
    """Audio is required by some models only; their rows say so."""

    id, title = "SkyportHappyHorseMultimodalToVideo", "Skyport HappyHorse Multimodal to Video"
    task, outputs = "multimodal2video", node_outputs.VIDEO
    sockets = (
        _IMAGES,
        _VIDEO,
        replace(_AUDIO, required=False),
        replace(_FIRST_FRAME, required=False),
    )


class HappyHorseEditVideo(_Generate):
    id, title = "SkyportHappyHorseEditVideo", "Skyport HappyHorse Edit Video"
    task, outputs = "edit-video", node_outputs.VIDEO
    sockets = (_VIDEO, replace(_IMAGES, required=False))


NODES = [
    HappyHorseTextToImage,
    HappyHorseEditImage,
    HappyHorseReferenceToImage,
    HappyHorseTextToVideo,
    HappyHorseImageToVideo,
    HappyHorseFirstLastFrameToVideo,
    HappyHorseExtendVideo,
    HappyHorseReferenceToVideo,
    HappyHorseImageAudioToVideo,
    HappyHorseMultimodalToVideo,
    HappyHorseEditVideo,
]
