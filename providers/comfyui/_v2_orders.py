"""What we write into a workflow for the Comfy API v2: its assets, and the order that it is of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.base.json_tree import parse
from ...engine.base.types import Json

_ASSET = '{"__type": "core/ASSET"'
_ORDER = "skyport_order"  # in `_meta`, which ComfyUI itself does not read


def asset_text(asset: Json) -> str:
    """An asset as text, for where one text takes the place of a file."""
    return json.dumps(asset)


def with_assets(tree: Json) -> Json:
    """A copy of `tree` with each asset that is there as text as the object that it is."""
    if isinstance(tree, str) and tree.startswith(_ASSET):
        return parse(tree)
    if isinstance(tree, Mapping):
        return {key: with_assets(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [with_assets(value) for value in tree]
    return tree


def with_order(workflow: Mapping[str, Any], order_id: str) -> Json:
    """`workflow` with the order noted at its first node, by which its job is known again.

    A job has no field for it, and its key is not told; what was run can be asked for.
    """
    for node_id, node in workflow.items():
        if isinstance(node, Mapping):
            marked = {**node, "_meta": {**(node.get("_meta") or {}), _ORDER: order_id}}
            return {**workflow, node_id: marked}
    return workflow


def order_in(tree: Json) -> set[str]:
    """The orders that `tree` names, a workflow or whatever holds one."""
    return set(_orders(tree))


def _orders(tree: Json) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if isinstance(value, str) and key.lower() in (_ORDER, "idempotency_key"):
                yield value
            yield from _orders(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _orders(value)
