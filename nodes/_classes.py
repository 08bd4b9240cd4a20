"""What this ComfyUI says of a node class, installed by whomever. Memory only; never raises."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import nodes as comfyui_nodes  # ComfyUI's own module, not this folder

_log = logging.getLogger(__name__)


def is_installed(class_type: str) -> bool:
    return class_type in comfyui_nodes.NODE_CLASS_MAPPINGS


def is_output(class_type: str) -> bool:
    """Whether ComfyUI runs a node of this class for its own sake."""
    return bool(getattr(_found(class_type), "OUTPUT_NODE", False))


def inputs_of(class_type: str) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    """(type, options) of each required and optional input, by name; none where it is unknown."""
    return {**_category(class_type, "required"), **_category(class_type, "optional")}


def required_of(class_type: str) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    """(type, options) of each input that must be there."""
    return _category(class_type, "required")


def output_type(class_type: str, index: int) -> str:
    """The type of an output as the class declares it, "" where that is unknown."""
    types = getattr(_found(class_type), "RETURN_TYPES", None) or ()
    kind = types[index] if index < len(types) else ""
    return kind if isinstance(kind, str) else "COMBO"


def _found(class_type: str) -> Any:
    return comfyui_nodes.NODE_CLASS_MAPPINGS.get(class_type)


def _category(class_type: str, category: str) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    declared = _declared(class_type).get(category) or {}
    return {name: _spec(told) for name, told in declared.items()}


def _declared(class_type: str) -> Mapping[str, Any]:
    found = _found(class_type)
    if found is None:
        return {}
    try:
        told = found.INPUT_TYPES()
    except Exception as error:  # another pack's code
        _log.warning("Skyport: %s does not tell its inputs: %s", class_type, error)
        return {}
    return told if isinstance(told, Mapping) else {}


def _spec(told: Any) -> tuple[Any, Mapping[str, Any]]:
    """`("IMAGE", {...})`, `("IMAGE",)` or `(["a", "b"],)` as a pair."""
    parts = list(told) if isinstance(told, (tuple, list)) else [told]
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    return (parts[0] if parts else ""), options
