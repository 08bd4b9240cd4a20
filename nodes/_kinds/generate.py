"""The base of every node whose form is built from a catalogue of models and parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from comfy_api.latest import io

from ... import providers
from ...engine.base.errors import InvalidInput
from ...engine.base.json_tree import is_deep
from ...engine.base.types import Json, Model, Request
from ...engine.base.words import language, tr
from ...engine.platforms.counts import check_free
from ...engine.platforms.parameters import prompt_param, warnings
from ...engine.platforms.provider import Provider
from .._base import node_outputs, prompt_marks
from .._base.node import CloudNode
from . import form_values, schema

# By node id: the models and the language that its forms were built for, and the forms.
_model_choices: dict[str, tuple[tuple[Model, ...], tuple[Model, ...], str, Any]] = {}


class GenerateNode(CloudNode):
    """A node for one task of one platform.

    Subclasses set the class variables, and build the platform's requests.
    """

    begins_ahead: ClassVar[bool] = True
    id: ClassVar[str]
    title: ClassVar[str]
    platform: ClassVar[str]
    category: ClassVar[str]
    task: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    sockets: ClassVar[tuple[schema.Socket, ...]] = ()
    texts: ClassVar[tuple[str, ...]] = ()  # text parameters on the node itself, beside the prompt

    # -- for subclasses ---------------------------------------------------------------------

    @classmethod
    def custom_inputs(cls) -> Sequence[Any]:
        """Inputs of the option for an unlisted model; none if there is no such option."""
        return ()

    @classmethod
    def node_inputs(cls) -> Sequence[Any]:
        """Widgets of the node itself, between the seed and the model."""
        return ()

    @classmethod
    def other_models(cls) -> tuple[Model, ...]:
        """Models of types that no node is for, offered last; the same tuple until they change."""
        return ()

    @classmethod
    def request(cls, model: Model, parameters: Mapping[str, Json], seed: int) -> Request:
        """The request for `model`; `parameters` have been checked against its row."""
        raise NotImplementedError

    @classmethod
    def custom_requests(
        cls, prompt: str, seed: int, chosen: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        """The requests for an unlisted model."""
        raise NotImplementedError

    # -- shared -----------------------------------------------------------------------------

    @classmethod
    def define_schema(cls) -> io.Schema:
        models = cls.models()
        return schema.node_schema(
            cls,
            [
                *(schema.socket_input(socket) for socket in cls.sockets),
                schema.prompt_input(),
                *(io.String.Input(name, multiline=True, default="") for name in cls.texts),
                schema.seed_input(),
                *cls.node_inputs(),
                cls._model_choice(models),
            ],
            node_outputs.declare(cls.outputs),
            models=models,
        )

    @classmethod
    def _model_choice(cls, models: tuple[Model, ...]) -> io.DynamicCombo.Input:
        """The forms of the models, rebuilt only when the models or the language have changed."""
        others, words = cls.other_models(), language()
        cached = _model_choices.get(cls.id)
        if (
            cached is None
            or cached[0] is not models
            or cached[1] is not others
            or cached[2] != words
        ):
            choice = schema.model_input(models, cls.custom_inputs(), cls.node_params(), others)
            cached = _model_choices[cls.id] = (models, others, words, choice)
        return cached[3]

    @classmethod
    def node_params(cls) -> frozenset[str]:
        """The parameters on the node itself, which survive a change of model."""
        return frozenset((*(socket.id for socket in cls.sockets), *cls.texts))

    @classmethod
    def models(cls) -> tuple[Model, ...]:
        return providers.catalogue(cls.platform).models(cls.task)

    @classmethod
    def offered_models(cls) -> set[str]:
        custom = {schema.CUSTOM} if cls.custom_inputs() else set()
        return custom | {model.id for model in (*cls.models(), *cls.other_models())}

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
        # ComfyUI passes every growing list, and fails if one is not named here.
        # It drops a choice that is not offered, and would run the node without it.
        return True if model is not None else prompt_marks.missing_model(cls.id)

    @classmethod
    async def work(
        cls, prompt: str, seed: int, model: Mapping[str, Any] | None = None, **media: Any
    ) -> io.NodeOutput:
        label = providers.provider_class(cls.platform).label
        if model is None:
            raise InvalidInput(prompt_marks.missing_model(cls.id), platform=label)
        chosen = model

        def make_requests() -> tuple[Provider, list[Request]]:
            provider = providers.connect(cls.platform)
            return provider, cls.requests(prompt, seed, chosen, media)

        return await cls.run_requests(make_requests, cls.outputs, label)

    @classmethod
    def orders(
        cls, prompt: str, seed: int, model: Mapping[str, Any], **media: Any
    ) -> Sequence[Request]:
        return cls.requests(prompt, int(seed), model, media)

    @classmethod
    def requests(
        cls, prompt: str, seed: int, model: Mapping[str, Any], media: Mapping[str, Any]
    ) -> list[Request]:
        """One request per task. Raises InvalidInput before anything is sent."""
        if model["model"] == schema.CUSTOM:
            return cls.custom_requests(prompt, seed, model, media)
        offered = (*cls.models(), *cls.other_models())
        row = next((row for row in offered if row.id == model["model"]), None)
        if row is None:
            raise InvalidInput(
                tr('The model "{name}" is not offered.', name=model["model"]),
                do=tr("Choose another one, or refresh the list of models."),
                platform=providers.provider_class(cls.platform).label,
            )
        _refuse_unsupported_media(row, media)
        ignored = _ignored_prompt(row, prompt)
        return [
            replace(
                cls.request(row, parameters, seed),
                warnings=(*warnings(row, parameters), *ignored),
            )
            for parameters in form_values.parameters(row, prompt, seed, {**model, **media})
        ]


def parse_parameters(text: str, label: str) -> dict[str, Json]:
    """Parses the JSON object that a user wrote for a custom model.

    Raises InvalidInput, also where it asks for more results than a task may.
    """
    try:
        parsed = None if is_deep(text) else json.loads(text or "{}")
    except ValueError as error:
        parsed = error
    if not isinstance(parsed, dict):
        raise InvalidInput(
            tr("The parameters of a custom model are not a JSON object."),
            do=tr("Write them as {example}.", example='{"duration": 5}'),
            platform=label,
        )
    check_free(parsed, label)
    return parsed


def _ignored_prompt(row: Model, prompt: str) -> tuple[str, ...]:
    """A warning where `row` takes no prompt. Raises InvalidInput where it takes nothing at all."""
    if not prompt.strip() or row.unread or prompt_param(row):
        return ()
    if row.params:
        return (tr("{model} takes no prompt: the one on the node was not sent.", model=row.id),)
    raise InvalidInput(
        tr("{model} takes no parameters, so the prompt cannot be sent.", model=row.id),
        do=tr("Clear the prompt, or send it by the option custom. Nothing was sent."),
        platform=providers.provider_class(row.platform).label,
    )


def _refuse_unsupported_media(row: Model, media: Mapping[str, Any]) -> None:
    """Raises InvalidInput for media that the model would ignore: the user relies on them."""
    for name, value in media.items():
        if row.param(name) is None and not _is_empty(value):
            raise InvalidInput(
                tr("{model} takes no {name}.", model=row.id, name=name),
                do=tr("Unlink that input or choose another model. Nothing was sent."),
                platform=providers.provider_class(row.platform).label,
            )


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or (isinstance(value, str) and not value.strip())
