"""Marks in the prompt what a node can only learn from the whole graph, before it is validated.

`annotate` adds a key of ours to a node's inputs. ComfyUI passes unknown keys to no node, yet they
are part of the node's cache key: linking `frames` runs the node again, and then it decodes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...engine.base.words import tr
from ...engine.workflows.api_format import is_link

_KEY = "skyport_linked"
# Outputs that cost time to make, by class type: (index, name). Filled as the pack is loaded.
_costly: dict[str, list[tuple[int, str]]] = {}
_models_offered: dict[str, Callable[[], set[str]]] = {}
_not_offered: dict[str, str] = {}


def watch(class_type: str, outputs: list[tuple[int, str]]) -> None:
    """From now on, notes on nodes of this class which of these outputs are linked."""
    _costly[class_type] = outputs


def watch_model(class_type: str, offered: Callable[[], set[str]]) -> None:
    """From now on, notes when a node of this class names a model that `offered` lacks."""
    _models_offered[class_type] = offered


def linked_outputs(prompt: Mapping[str, Any] | None, node_id: str) -> frozenset[str]:
    """The costly outputs of the node that the graph uses, as `annotate` noted them."""
    node = (prompt or {}).get(node_id) or {}
    names = node.get("inputs", {}).get(_KEY, "")
    return frozenset(part for part in str(names).split(",") if part)


def missing_model(class_type: str) -> str:
    """Why a node of this class has no model: none chosen, or one that is not offered."""
    name = _not_offered.get(class_type)
    if name is None:
        return tr("Choose a model.")
    return tr(
        'The model "{name}" is not offered. Choose another one, or refresh the list of models.',
        name=name,
    )


def annotate(prompt: Mapping[str, Any]) -> None:
    """Notes on each node which of its costly outputs are linked, and which models are missing."""
    used = {
        (value[0], value[1])
        for node in prompt.values()
        for value in _inputs(node).values()
        if is_link(value)
    }
    _not_offered.clear()
    for node_id, node in prompt.items():
        if not isinstance(node, dict):
            continue
        outputs = _costly.get(str(node.get("class_type")), [])
        linked = [name for index, name in outputs if (node_id, index) in used]
        _inputs(node).pop(_KEY, None)
        if linked:
            node["inputs"][_KEY] = ",".join(linked)
        _note_missing_model(node)


def _note_missing_model(node: Mapping[str, Any]) -> None:
    class_type = str(node.get("class_type"))
    offered = _models_offered.get(class_type)
    name = _inputs(node).get("model")
    if offered is not None and isinstance(name, str) and name not in offered():
        _not_offered[class_type] = name


def _inputs(node: Any) -> dict[str, Any]:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}
