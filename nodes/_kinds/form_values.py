"""Turns the values of a node's widgets and sockets into the parameters of its tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import folder_paths

from ...engine.base.errors import InvalidInput
from ...engine.base.types import Json, MediaRule, Model, Param
from ...engine.base.words import tr
from ...engine.platforms.parameters import (
    fill,
    json_list,
    prompt_param,
    seed_for,
    seed_param,
)
from .._media import encode
from .schema import NO_SEED, Socket, input_id, key_id, leave_out_option


def parameters(
    model: Model, prompt: str, seed: int, chosen: Mapping[str, Any]
) -> list[dict[str, Json]]:
    """The parameters of each task: one, or one for each image of a batch on a single-image socket.

    Encodes tensors, so call it in a thread. Raises InvalidInput; nothing was sent then.
    """
    values = {param.name: _value(param, chosen) for param in model.params}
    if takes_prompt := prompt_param(model):
        values[takes_prompt.name] = prompt if prompt.strip() else ""
    if takes_seed := seed_param(model):
        is_left_out = seed == NO_SEED and not takes_seed.required
        values[takes_seed.name] = None if is_left_out else seed_for(takes_seed, seed)
    return [fill(model, one) for one in fan_out(values)]


def fan_out(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One dict per task: each Batch gives task n its nth item; a batch of one serves all.

    Raises InvalidInput for batches of different sizes.
    """
    batches = dict(_batches(values))
    counts = {len(batch.items) for batch in batches.values()} - {1}
    if len(counts) > 1:
        sizes = ", ".join(f"{name}: {len(batch.items)}" for name, batch in batches.items())
        raise InvalidInput(
            tr("This node has batches of different sizes ({batches}).", batches=sizes),
            do=tr("Give each socket a single item or the same number of items."),
        )
    count = counts.pop() if counts else 1
    return [{name: _nth(value, n) for name, value in values.items()} for n in range(count)]


class Batch:
    """Several items on a single-item socket: each becomes a task of its own."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = list(items)

    def nth(self, n: int) -> Any:
        return self.items[n] if len(self.items) > 1 else self.items[0]


def socket_values(sockets: Sequence[Socket], media: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of a node's own sockets for each task, by name: files and URLs, or lists."""
    values: dict[str, Any] = {}
    for socket in sockets:
        given = media.get(socket.id)
        if socket.most:
            values[socket.id] = _listed(socket.id, given, socket.formats)
        else:
            items = _linked(socket.id, given, socket.formats, mask=socket.mask)
            values[socket.id] = Batch(items) if items else None
    return fan_out({name: value for name, value in values.items() if value})


def media_items(value: Any, formats: Sequence[str] = (), *, takes_masks: bool = True) -> list[Any]:
    """The files or URLs behind a media socket's value: a batch of B images is B files.

    formats      the accepted ones; empty for the default
    takes_masks  whether MASK may be linked there too

    Raises InvalidInput.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    return list(encode.encode(value, media_folder(), formats, takes_masks=takes_masks))


def mask_items(value: Any) -> list[Any]:
    """`media_items` of a mask: a MASK becomes an image that is transparent where it is 1."""
    if isinstance(value, (list, tuple)):
        return [item for one in value for item in mask_items(one)]
    if encode.is_picture(value):
        return list(encode.encode_cutouts(value, media_folder()))
    return media_items(value)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Lets an InvalidInput raised inside begin with the input that it is about."""
    try:
        yield
    except InvalidInput as error:
        message = tr("Input {name}: {reason}", name=name, reason=error.what)
        raise InvalidInput(message, do=error.do) from error


def media_folder() -> Path:
    """Where encoded uploads are stored; ComfyUI empties it at startup."""
    return Path(folder_paths.get_temp_directory()) / "skyport"


def _linked(name: str, given: Any, formats: Sequence[str] = (), mask: bool = False) -> list[Any]:
    """The files or URLs of a socket for one medium, or for one mask."""
    with naming(name):
        if mask:
            return mask_items(given)
        return media_items(given, formats, takes_masks=False)


def _listed(name: str, given: Any, formats: Sequence[str]) -> list[Any]:
    """The files or URLs of a list that grows, in the order of its slots."""
    slots = given if isinstance(given, dict) and "waveform" not in given else {name: given}
    return [item for slot, one in slots.items() for item in _linked(slot, one, formats)]


def _batches(values: Mapping[str, Any]) -> list[tuple[str, Batch]]:
    batches = []
    for name, value in values.items():
        if isinstance(value, Batch):
            batches.append((name, value))
        elif isinstance(value, Mapping):
            batches.extend((f"{name}.{inner}", batch) for inner, batch in _batches(value))
    return batches


def _nth(value: Any, n: int) -> Any:
    if isinstance(value, Batch):
        return value.nth(n)
    if isinstance(value, Mapping):
        return {key: _nth(inner, n) for key, inner in value.items()}
    return value


def _value(param: Param, chosen: Mapping[str, Any]) -> Any:
    """The value of `param` in the inputs, in the shape that `fill` takes."""
    if param.media_kind is None:
        return _plain(param, chosen.get(input_id(param)))
    formats = _encode_formats(param.media)
    if param.type.startswith("array["):
        given = chosen.get(input_id(param))
        return _listed(input_id(param), {} if given is None else given, formats)
    if param.type.startswith("dict[") and not param.keys:
        return _plain(param, chosen.get(input_id(param)))
    if param.type.startswith("dict["):
        ids = {key: key_id(param, key) for key, _, _ in param.keys}
        items = {key: _linked(id, chosen.get(id)) for key, id in ids.items()}
        return {key: Batch(media) for key, media in items.items() if media}
    given = chosen.get(input_id(param))
    items_of_one = _linked(input_id(param), given, formats, mask=bool(param.mask_of))
    return Batch(items_of_one) if items_of_one else None


def _encode_formats(rule: MediaRule) -> Sequence[str]:
    """The formats to encode in: the accepted ones, else the recommended ones."""
    return rule.formats or (rule.advised.formats if rule.advised else ())


def _plain(param: Param, value: Any) -> Any:
    if isinstance(value, str) and value == leave_out_option(param):
        return None
    if param.type.startswith("array[") and isinstance(value, str):
        return _entries(param, value)
    return value


def _entries(param: Param, text: str) -> Any:
    """The entries in a list's text field: JSON, else a line each, or numbers between commas."""
    listed = json_list(param, text)
    if listed is not None:
        return listed
    if param.type == "array[string]":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if param.type == "array[number]":
        return [part for part in re.split(r"[\s,;]+", text) if part]
    return text
