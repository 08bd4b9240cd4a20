"""Turns the values of a node's widgets and sockets into the parameters of its tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import folder_paths
import torch

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
            slots = given.values() if isinstance(given, Mapping) else [given]
            values[socket.id] = [item for one in slots for item in media_items(one, socket.formats)]
        else:
            items = mask_items(given) if socket.mask else media_items(given, socket.formats)
            values[socket.id] = Batch(items) if items else None
    return fan_out({name: value for name, value in values.items() if value})


def media_items(value: Any, formats: Sequence[str] = ()) -> list[Any]:
    """The files or URLs behind a media socket's value: a batch of B images is B files.

    formats  the accepted ones; empty for the default
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    return list(encode.encode(value, media_folder(), formats))


def mask_items(value: Any) -> list[Any]:
    """`media_items` of a mask: a MASK becomes an image that is transparent where it is 1."""
    if isinstance(value, torch.Tensor):
        return list(encode.encode_cutouts(value, media_folder()))
    return media_items(value)


def media_folder() -> Path:
    """Where encoded uploads are stored; ComfyUI empties it at startup."""
    return Path(folder_paths.get_temp_directory()) / "skyport"


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
        slots = chosen.get(input_id(param)) or {}
        linked = slots.values() if isinstance(slots, Mapping) else [slots]
        return [item for value in linked for item in media_items(value, formats)]
    if param.type.startswith("dict[") and not param.keys:
        return _plain(param, chosen.get(input_id(param)))
    if param.type.startswith("dict["):
        items = {key: media_items(chosen.get(key_id(param, key))) for key, _, _ in param.keys}
        return {key: Batch(media) for key, media in items.items() if media}
    given = chosen.get(input_id(param))
    items_of_one = mask_items(given) if param.mask_of else media_items(given, formats)
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
