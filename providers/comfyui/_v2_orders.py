"""The order that a workflow is of, written into it for the Comfy API v2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.base.types import Json

_ORDER = "skyport_order"  # in `_meta`, which ComfyUI itself does not read


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
