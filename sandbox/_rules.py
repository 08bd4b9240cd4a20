"""Checks a model's parameters strictly against its parameter_rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from ._body import Refusal
from ._files import StoredFile

Rule = Mapping[str, Any]
Find = Callable[[str], StoredFile | None]

_PLAIN: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "text": lambda v: isinstance(v, str),
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "float": lambda v: _is_number(v),
    "number": lambda v: _is_number(v),
    "boolean": lambda v: isinstance(v, bool),
}
_MEDIA = ("image", "video", "audio")


def check(values: Any, rules: Sequence[Rule], find: Find) -> None:
    """Raises Refusal (400) naming the first parameter that breaks a rule.

    What has a default may be left out, as the shorter form of the document does.

    find: a URL -> the file this sandbox hosts there, None for a URL elsewhere on the web; raises
    Refusal for a URL of its own that holds nothing.
    """
    if not isinstance(values, dict):
        raise Refusal(400, "parameters must be an object.")
    known = {rule["name"]: rule for rule in rules}
    for name in values:
        if name not in known:
            raise Refusal(400, f"Unknown parameter {name!r}; known: {', '.join(known)}.")
    for name, rule in known.items():
        if name in values:
            _value(f"parameters.{name}", values[name], rule, find)
        elif rule["required"] and "default" not in rule:
            raise Refusal(400, f"Parameter {name!r} is required.")


def media(values: Mapping[str, Any], rules: Sequence[Rule]) -> list[str]:
    """The media URLs of `values`, in the order of the rules."""
    found: list[str] = []
    for rule in rules:
        value = values.get(rule["name"])
        if value is not None and _inner(rule["type"]) in _MEDIA:
            several = value.values() if isinstance(value, dict) else value
            found += [value] if isinstance(value, str) else several
    return found


def _value(name: str, value: Any, rule: Rule, find: Find) -> None:
    kind = rule["type"]
    if kind.startswith("array["):
        _array(name, value, rule, find)
    elif kind.startswith("dict["):
        _dict(name, value, rule, find)
    elif kind in _MEDIA:
        _medium(name, value, rule, find)
    else:
        _single(name, value, kind, rule)


def _single(name: str, value: Any, kind: str, rule: Rule) -> None:
    if kind in _PLAIN and not _PLAIN[kind](value):  # a type of no document takes any JSON
        raise Refusal(400, f"{name} must be of type {kind}, not {value!r}.")
    options = [option["value"] for option in rule.get("options", ())]
    if options and value not in options:
        raise Refusal(400, f"{name} must be one of {options}, not {value!r}.")
    if kind == "text" and rule["required"] and not value.strip():
        raise Refusal(400, f"{name} must not be empty.")
    low, high = rule.get("min"), rule.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        raise Refusal(400, f"{name} must be from {low} to {high}, not {value!r}.")


def _array(name: str, value: Any, rule: Rule, find: Find) -> None:
    if not isinstance(value, list):
        raise Refusal(400, f"{name} must be an array, not {value!r}.")
    if rule["required"] and not value:
        raise Refusal(400, f"{name} must not be empty.")
    if (most := rule.get("size")) is not None and len(value) > most:
        raise Refusal(400, f"{name} takes at most {most} entries, not {len(value)}.")
    inner = {**rule, "type": _inner(rule["type"])}
    for index, entry in enumerate(value):
        _value(f"{name}[{index}]", entry, inner, find)


def _dict(name: str, value: Any, rule: Rule, find: Find) -> None:
    if not isinstance(value, dict):
        raise Refusal(400, f"{name} must be an object, not {value!r}.")
    keys = {key["key"]: key for key in rule.get("keys") or ({"key": k} for k in value)}
    for key in value:
        if key not in keys:
            raise Refusal(400, f"{name} has an unknown key {key!r}; known: {', '.join(keys)}.")
    for key, key_rule in keys.items():
        if key in value:
            _value(f"{name}.{key}", value[key], {**rule, "type": _inner(rule["type"])}, find)
        elif key_rule["required"]:
            raise Refusal(400, f"{name}.{key} is required.")


def _medium(name: str, value: Any, rule: Rule, find: Find) -> None:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise Refusal(400, f"{name} must be the URL of a file on the web, not {value!r}.")
    file = find(value)
    if file and file.kind != rule["type"]:
        raise Refusal(400, f"{name} must be {rule['type']}, but the file is {file.mime}.")
    if file and file.kind == "image":
        _image_limits(name, file, rule.get("image_config", {}))


def _image_limits(name: str, file: StoredFile, limits: Mapping[str, Any]) -> None:
    """The names of these limits are the sandbox's own: the document shows none."""
    most = limits.get("max_size_mb", math.inf) * 1024 * 1024
    if file.size > most:
        raise Refusal(400, f"{name}: {file.size} bytes are more than {limits['max_size_mb']} MB.")
    try:
        with Image.open(file.path) as image:
            width, height = image.size
    except OSError:
        raise Refusal(400, f"{name}: the image {file.name!r} cannot be read.") from None
    low = limits.get("min_width", 0), limits.get("min_height", 0)
    high = limits.get("max_width", math.inf), limits.get("max_height", math.inf)
    if not (low[0] <= width <= high[0] and low[1] <= height <= high[1]):
        raise Refusal(400, f"{name}: {width} x {height} is outside of {dict(limits)}.")


def _inner(kind: str) -> str:
    return kind[kind.find("[") + 1 :].rstrip("]")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
