"""Which outputs of the last prompt still hold: a key names all that decides them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from comfy_execution.graph_utils import is_link

from ._calls import NodeClass, call_each, prepare, settled


async def keys_of(prompt: dict[str, Any], classes: Mapping[str, NodeClass]) -> dict[str, Any]:
    """A key for each node; equal keys mean equal outputs, here and in the next prompt."""
    fingerprints = {name: await _fingerprint(prompt, name, classes) for name in prompt}
    keys: dict[str, Any] = {}

    def key(name: str) -> Any:
        if name not in keys:
            node = prompt[name]
            own_id = name if classes[node["class_type"]].schema().not_idempotent else None
            values = [(each, part(value)) for each, value in sorted(node["inputs"].items())]
            keys[name] = (node["class_type"], own_id, fingerprints[name], tuple(values))
        return keys[name]

    def part(value: Any) -> Any:
        return ("from", key(value[0]), value[1]) if is_link(value) else _frozen(value)

    return {name: key(name) for name in prompt}


async def _fingerprint(prompt: dict[str, Any], name: str, classes: Mapping[str, NodeClass]) -> Any:
    node = classes[prompt[name]["class_type"]]
    if node.override("fingerprint_inputs") is None:
        return False
    try:
        call = prepare(prompt, name, node)
        return _frozen(await settled(await call_each(call, "fingerprint_inputs")))
    except Exception as failure:
        logging.warning("fingerprint_inputs of %s failed, it will run: %s", name, failure)
        return float("nan")


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return frozenset((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(_frozen(each) for each in value)
    return value
