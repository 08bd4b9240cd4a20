"""Every model that a node offers, of all platforms, for the editor's dialog to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.base.types import Kind, Model, Param
from ...engine.base.words import tr
from ...engine.tasks.model_history import ModelHistories, ModelHistory
from .._base.registry import all_nodes
from .._base.run_task import in_thread
from .._kinds.any_platform import AnyNode
from .._kinds.generate import GenerateNode
from .._kinds.platform_words import readable, translated
from .._kinds.schema import Socket, limits
from .._kinds.search_texts import search_words
from .guards import GuardedRoutes
from .prices import base_url_of, family_choices, is_ready, key_of_model, price_and_text

Json = dict[str, Any]
_MAKES = {"images": Kind.IMAGE, "video": Kind.VIDEO, "audio": Kind.AUDIO, "text": Kind.TEXT}


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/models", _models)


async def _models(_: web.Request) -> web.Response:
    return web.json_response(await in_thread(_payload))


def _payload() -> Json:
    """{"models", "platforms": [{"name", "label", "ready"}], "tasks": [{"name", "label"}]}.

    Retired models are left out. Platform "" is that of the nodes over several platforms.
    """
    histories = _Histories()
    nodes = [node for node in all_nodes() if issubclass(node, GenerateNode)]
    cards = [card for node in nodes for card in _cards(node, histories)]
    cards += [card for platform in providers.names() for card in _others(platform, histories)]
    tasks = dict.fromkeys(card["task"] for card in cards)
    offering = {card["platform"] for card in cards}
    return {
        "models": cards,
        "platforms": [_platform(name) for name in ("", *providers.names()) if name in offering],
        "tasks": [{"name": name, "label": _task_label(name)} for name in tasks],
    }


def _platform(name: str) -> Json:
    if not name:
        return {"name": "", "label": tr("Any cloud"), "ready": any(map(is_ready, _of_families()))}
    label = providers.provider_class(name).label
    return {"name": name, "label": label, "ready": is_ready(name)}


def _of_families() -> set[str]:
    nodes = (node for node in all_nodes() if issubclass(node, AnyNode))
    choices = (
        one for node in nodes for form in family_choices(node).values() for one in form["choices"]
    )
    return {one["platform"] for one in choices}


class _Histories:
    """What the ledger knows of models; nothing where it cannot be read."""

    def __init__(self) -> None:
        self._known: ModelHistories | None = None
        with suppress(SkyportError):  # the list of jobs says what is wrong
            self._known = ModelHistories(providers.ledger(), base_url_of)

    def of(self, model: Model) -> ModelHistory:
        return self._known.of(key_of_model(model)) if self._known else ModelHistory()


# -- one model ----------------------------------------------------------------------------------


def _cards(node: type[GenerateNode], histories: _Histories) -> Iterator[Json]:
    models = [model for model in node.models() if not model.retired]
    if issubclass(node, AnyNode):
        choices = family_choices(node)
        for model in models:
            yield _card(node, model, _task_of(node)) | choices[model.id]
    else:
        for model in models:
            yield _card(node, model, _task_of(node)) | _known(model, histories)


def _others(platform: str, histories: _Histories) -> Iterator[Json]:
    """The models of types that no node is for, each on the node that makes the like of it.

    "nodes" are all that offer it.
    """
    nodes = [one for one in all_nodes() if getattr(one, "platform", None) == platform]
    offering = [node for node in nodes if issubclass(node, GenerateNode)]
    for model in offering[0].other_models() if offering else ():
        if not model.retired:
            card = _card(_likest(model, offering), model, model.task) | _known(model, histories)
            yield {**card, "nodes": [node.id for node in offering]}


def _likest(model: Model, nodes: list[type[GenerateNode]]) -> type[GenerateNode]:
    made = model.task.rpartition("2")[2].rpartition("-")[2]
    return next((node for node in nodes if node.task.endswith(made)), nodes[0])


def _card(node: type[GenerateNode], model: Model, task: str) -> Json:
    """What a model is; `words` are those that it is found by."""
    label = readable(model.label) or model.id
    help_text = translated(model.help)
    found_by = (
        label,
        model.label,
        model.id,
        task,
        _task_label(task),
        *search_words(node.id, model),
    )
    return {
        "node": node.id,
        "model": model.id,
        "platform": node.platform,
        "label": label,
        "task": task,
        "makes": _makes(node),
        "takes": list(_takes(node, model)),
        "help": help_text,
        "words": "\n".join(dict.fromkeys((*found_by, help_text, model.help))),
    }


def _makes(node: type[GenerateNode]) -> list[str]:
    """The kinds of its results: the sound of a video is no result of its own."""
    found = [_MAKES[name].value for name in node.outputs if name in _MAKES]
    return [kind for kind in found if kind != "audio" or "video" not in found]


def _takes(node: type[GenerateNode], model: Model) -> Iterator[Json]:
    """The media that it takes; `most` is None for one, 0 for a list without a stated maximum."""
    if issubclass(node, AnyNode):
        yield from (_socket(socket) for socket in node.sockets)
    for param in model.params:
        if param.media_kind is not None:
            yield from _media(param, param.media_kind)


def _socket(socket: Socket) -> Json:
    return _medium(socket.id, socket.kind, socket.required, socket.most or None, "")


def _media(param: Param, kind: Kind) -> Iterator[Json]:
    words = limits(param.media)
    if param.keys:
        for key, required, label in param.keys:
            name = translated(label) or key
            yield _medium(name, kind, required and param.required, None, words)
    else:
        is_list = param.type.startswith(("array[", "dict["))
        most = (param.max_items or 0) if is_list else None
        yield _medium(translated(param.label) or param.name, kind, param.required, most, words)


def _medium(name: str, kind: Kind, required: bool, most: int | None, words: str) -> Json:
    fields = {"name": name, "kind": kind.value, "required": required, "most": most}
    return {**fields, "limits": words}


def _known(model: Model, histories: _Histories) -> Json:
    """What it costs, how long it takes and the newest picture that it made, as far as is known."""
    price, text = price_and_text(key_of_model(model))
    known = histories.of(model)
    job, sha256 = known.example or (0, "")
    return {
        "price": price,
        "text": text,
        "seconds": known.usual,
        "timed": len(known.durations),
        "example": {"job": job, "version": sha256[:12]} if job else None,
    }


# -- tasks --------------------------------------------------------------------------------------


def _task_of(node: type[GenerateNode]) -> str:
    """The task as the node's id names it, the same on every platform: TextToImage."""
    name, platform = node.id.removeprefix("Skyport"), node.platform or "any"
    return name[len(platform) :] if name.lower().startswith(platform) else name


def _task_label(task: str) -> str:
    labels = {
        "Chat": tr("Chat"),
        "TextToImage": tr("Text to image"),
        "ImageToImage": tr("Image to image"),
        "EditImage": tr("Edit image"),
        "ReferenceToImage": tr("Reference to image"),
        "StyleTransfer": tr("Style transfer"),
        "TextToVideo": tr("Text to video"),
        "ImageToVideo": tr("Image to video"),
        "FirstLastFrameToVideo": tr("First and last frame to video"),
        "ExtendVideo": tr("Extend video"),
        "ReferenceToVideo": tr("Reference to video"),
        "ImageAudioToVideo": tr("Image and audio to video"),
        "MultimodalToVideo": tr("Multimodal to video"),
        "EditVideo": tr("Edit video"),
        "TextToMusic": tr("Text to music"),
        "TextToSpeech": tr("Text to speech"),
    }
    return labels.get(task, task)
