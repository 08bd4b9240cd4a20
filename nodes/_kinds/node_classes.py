"""What this ComfyUI knows of any installed node class. Reads memory only; never raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import nodes as comfyui_nodes  # ComfyUI's own module, not this folder

_log = logging.getLogger(__name__)
_Inputs = dict[str, tuple[Any, Mapping[str, Any]]]  # (type, options) by name
_cache: ContextVar[dict[str, dict[str, _Inputs]] | None] = ContextVar("cache", default=None)


@contextmanager
def caching() -> Iterator[None]:
    """Reads each class once within the block: some list a folder whenever asked for inputs."""
    token = _cache.set({})
    try:
        yield
    finally:
        _cache.reset(token)


def is_installed(class_type: str) -> bool:
    return class_type in comfyui_nodes.NODE_CLASS_MAPPINGS


def is_output(class_type: str) -> bool:
    """Whether ComfyUI runs a node of this class for its own sake."""
    return bool(getattr(_class_of(class_type), "OUTPUT_NODE", False))


def is_api(class_type: str) -> bool:
    """Whether nodes of this class call a paid service with the account of ComfyUI's user."""
    return bool(getattr(_class_of(class_type), "API_NODE", False))


def inputs_of(class_type: str) -> _Inputs:
    """(type, options) of each required and optional input, by name; empty for an unknown class."""
    return {**_category(class_type, "required"), **_category(class_type, "optional")}


def required_of(class_type: str) -> _Inputs:
    """(type, options) of each required input, by name."""
    return _category(class_type, "required")


def has_unlisted_choice(class_type: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a combo names what is not on its list, such as a model that is not on this disk.

    Ignores files that can be uploaded, and classes that validate their own inputs.
    """
    if hasattr(_class_of(class_type), "VALIDATE_INPUTS"):
        return False
    return any(
        isinstance(inputs.get(name), str) and inputs[name] not in choices
        for name, choices in _combos(class_type)
    )


def choices_of(class_type: str, name: str) -> list[Any] | None:
    """The values that an input offers; None where it offers no list, or is not known."""
    kind, options = inputs_of(class_type).get(name, ("", {}))
    choices = options.get("options") if kind == "COMBO" else kind
    return choices if isinstance(choices, list) else None


def _combos(class_type: str) -> Iterator[tuple[str, list[Any]]]:
    """(name, choices) of each required combo."""
    for name, (kind, options) in required_of(class_type).items():
        choices = options.get("options") if kind == "COMBO" else kind
        if isinstance(choices, list) and not any(key.endswith("_upload") for key in options):
            yield name, choices


def output_type(class_type: str, index: int) -> str:
    """The type of an output as the class declares it, "" where that is unknown or there is none."""
    types = getattr(_class_of(class_type), "RETURN_TYPES", None) or ()
    kind = types[index] if 0 <= index < len(types) else ""
    return kind if isinstance(kind, str) else "COMBO"


def _class_of(class_type: str) -> Any:
    return comfyui_nodes.NODE_CLASS_MAPPINGS.get(class_type)


def _category(class_type: str, category: str) -> _Inputs:
    return _declared(class_type).get(category, {})


def _declared(class_type: str) -> dict[str, _Inputs]:
    cached = _cache.get()
    if cached is None:
        return _read(class_type)
    if class_type not in cached:
        cached[class_type] = _read(class_type)
    return cached[class_type]


def _read(class_type: str) -> dict[str, _Inputs]:
    declared = _input_types(class_type)
    return {
        category: {
            name: _spec(declared) for name, declared in (declared.get(category) or {}).items()
        }
        for category in ("required", "optional")
    }


def _input_types(class_type: str) -> Mapping[str, Any]:
    node_class = _class_of(class_type)
    if node_class is None:
        return {}
    try:
        declared = node_class.INPUT_TYPES()
    except Exception as error:  # another pack's code
        _log.warning("Skyport: %s cannot list its inputs: %s", class_type, error)
        return {}
    return declared if isinstance(declared, Mapping) else {}


def _spec(declared: Any) -> tuple[Any, Mapping[str, Any]]:
    """`("IMAGE", {...})`, `("IMAGE",)` or `(["a", "b"],)` as a pair."""
    parts = list(declared) if isinstance(declared, (tuple, list)) else [declared]
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    return (parts[0] if parts else ""), options
