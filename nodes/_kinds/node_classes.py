"""What this ComfyUI says of a node class, installed by whomever. Memory only; never raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import nodes as comfyui_nodes  # ComfyUI's own module, not this folder

_log = logging.getLogger(__name__)
_Inputs = dict[str, tuple[Any, Mapping[str, Any]]]  # (type, options) by name
_remembered: ContextVar[dict[str, dict[str, _Inputs]] | None] = ContextVar("told", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Asks each class once in here: some read a folder each time they tell their inputs."""
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def is_installed(class_type: str) -> bool:
    return class_type in comfyui_nodes.NODE_CLASS_MAPPINGS


def is_output(class_type: str) -> bool:
    """Whether ComfyUI runs a node of this class for its own sake."""
    return bool(getattr(_found(class_type), "OUTPUT_NODE", False))


def inputs_of(class_type: str) -> _Inputs:
    """(type, options) of each required and optional input, by name; none where it is unknown."""
    return {**_category(class_type, "required"), **_category(class_type, "optional")}


def required_of(class_type: str) -> _Inputs:
    """(type, options) of each input that must be there."""
    return _category(class_type, "required")


def refused_choice(class_type: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a combo names what is not on its list, such as a model that is not on this disk.

    No file that can be uploaded counts, and no class that has a check of its own.
    """
    if hasattr(_found(class_type), "VALIDATE_INPUTS"):
        return False
    return any(
        isinstance(inputs.get(name), str) and inputs[name] not in choices
        for name, choices in _lists(class_type)
    )


def _lists(class_type: str) -> Iterator[tuple[str, list[Any]]]:
    """(name, choices) of each combo that must be there."""
    for name, (kind, options) in required_of(class_type).items():
        choices = options.get("options") if kind == "COMBO" else kind
        if isinstance(choices, list) and not any(key.endswith("_upload") for key in options):
            yield name, choices


def output_type(class_type: str, index: int) -> str:
    """The type of an output as the class declares it, "" where that is unknown or there is none."""
    types = getattr(_found(class_type), "RETURN_TYPES", None) or ()
    kind = types[index] if 0 <= index < len(types) else ""
    return kind if isinstance(kind, str) else "COMBO"


def _found(class_type: str) -> Any:
    return comfyui_nodes.NODE_CLASS_MAPPINGS.get(class_type)


def _category(class_type: str, category: str) -> _Inputs:
    return _declared(class_type).get(category, {})


def _declared(class_type: str) -> dict[str, _Inputs]:
    remembered = _remembered.get()
    if remembered is None:
        return _read(class_type)
    if class_type not in remembered:
        remembered[class_type] = _read(class_type)
    return remembered[class_type]


def _read(class_type: str) -> dict[str, _Inputs]:
    declared = _asked(class_type)
    return {
        category: {name: _spec(told) for name, told in (declared.get(category) or {}).items()}
        for category in ("required", "optional")
    }


def _asked(class_type: str) -> Mapping[str, Any]:
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
