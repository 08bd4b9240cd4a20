"""The base of every node whose form is built from a catalogue: models, their parameters, media."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import InvalidInput
from ...engine.base.types import Json, Model, Request
from ...engine.base.words import language, tr
from ...engine.platforms.parameters import warnings
from ...engine.platforms.provider import Provider
from .._base import node_outputs, prompt_marks
from .._base.node import CloudNode
from . import form_values, schema

# By node: the models and the language that its forms were made for, and the forms.
_choices: dict[str, tuple[tuple[Model, ...], str, Any]] = {}


class GenerateNode(CloudNode):
    """A node for one task of one platform.

    Subclasses name the class variables, and say how a platform's request is made.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    platform: ClassVar[str]
    category: ClassVar[str]
    task: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    sockets: ClassVar[tuple[schema.Socket, ...]] = ()
    texts: ClassVar[tuple[str, ...]] = ()  # parameters beside the prompt that stand on the node

    # -- what a platform says of itself -----------------------------------------------------

    @classmethod
    def custom_inputs(cls) -> Sequence[Any]:
        """Inputs of the option for a model that is in no list; none where there is no such."""
        return ()

    @classmethod
    def request(cls, model: Model, parameters: Mapping[str, Json], seed: int) -> Request:
        """The request for `model`; `parameters` are checked against its row."""
        raise NotImplementedError

    @classmethod
    def custom_requests(
        cls, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        """The requests for a model that is in no list."""
        raise NotImplementedError

    # -- what all share ---------------------------------------------------------------------

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema.node_schema(
            cls,
            [
                *(schema.socket_input(socket) for socket in cls.sockets),
                schema.prompt_input(),
                *(io.String.Input(name, multiline=True, default="") for name in cls.texts),
                schema.seed_input(),
                cls.choice(),
            ],
            node_outputs.declare(cls.outputs),
        )

    @classmethod
    def choice(cls) -> io.DynamicCombo.Input:
        """The models' forms, made anew only where models or language have changed since."""
        models, words = cls.models(), language()
        known = _choices.get(cls.id)
        if known is None or known[0] is not models or known[1] != words:
            made = schema.model_input(models, cls.custom_inputs(), cls.own())
            known = _choices[cls.id] = (models, words, made)
        return known[2]

    @classmethod
    def own(cls) -> frozenset[str]:
        """The parameters that stand on the node itself and so survive a change of model."""
        return frozenset((*(socket.id for socket in cls.sockets), *cls.texts))

    @classmethod
    def models(cls) -> tuple[Model, ...]:
        return providers.catalogue(cls.platform).models(cls.task)

    @classmethod
    def offered(cls) -> set[str]:
        custom = {schema.CUSTOM} if cls.custom_inputs() else set()
        return custom | {model.id for model in cls.models()}

    @classmethod
    def validate_inputs(
        cls,
        prompt: Any = None,
        model: Any = None,
        images: Any = None,
        extra_images: Any = None,
        videos: Any = None,
        audios: Any = None,
    ) -> bool | str:
        # ComfyUI hands over every growing list, and takes it ill when one is not named here.
        # It drops a choice that is not offered and would run the node without it.
        return True if model is not None else prompt_marks.missing_model(cls.id)

    @classmethod
    async def work(
        cls, prompt: str, seed: int, model: Mapping[str, Any] | None = None, **media: Any
    ) -> io.NodeOutput:
        label = providers.provider_class(cls.platform).label
        if model is None:
            raise InvalidInput(prompt_marks.missing_model(cls.id), platform=label)
        chosen = model

        def ask() -> tuple[Provider, list[Request]]:
            provider = providers.connect(cls.platform)
            return provider, cls.requests(prompt, seed, chosen, media)

        return await cls.outcome(ask, cls.outputs, label)

    @classmethod
    def requests(
        cls, prompt: str, seed: int, model: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        """One request a task. Raises InvalidInput before anything is sent."""
        if model["model"] == schema.CUSTOM:
            return cls.custom_requests(prompt, seed, model, media)
        row = next((row for row in cls.models() if row.id == model["model"]), None)
        if row is None:
            raise InvalidInput(
                tr('The model "{name}" is not offered.', name=model["model"]),
                do=tr("Choose another one, or refresh the list of models."),
                platform=providers.provider_class(cls.platform).label,
            )
        _refuse_untaken(row, media)
        return [
            replace(cls.request(row, parameters, seed), warnings=warnings(row, parameters))
            for parameters in form_values.parameters(row, prompt, seed, {**model, **media})
        ]


def parameters_of(text: str, label: str) -> dict[str, Json]:
    """The JSON object a user wrote for a custom model. Raises InvalidInput."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        found = error
    if not isinstance(found, dict):
        raise InvalidInput(
            tr("The parameters of a custom model are not a JSON object."),
            do=tr("Write them as {example}.", example='{"duration": 5}'),
            platform=label,
        )
    return found


def _refuse_untaken(row: Model, media: Mapping[str, Any]) -> None:
    """A medium that the model would ignore is an error: the user counts on it."""
    for name, value in media.items():
        if row.param(name) is None and not _unlinked(value):
            raise InvalidInput(
                tr("{model} takes no {name}.", model=row.id, name=name),
                do=tr("Unlink that input or choose another model. Nothing was sent."),
                platform=providers.provider_class(row.platform).label,
            )


def _unlinked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_unlinked, value.values()))
    return value is None or (isinstance(value, str) and not value.strip())
