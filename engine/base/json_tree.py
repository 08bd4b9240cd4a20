"""Walking JSON trees; in a request, a MediaFile stands for a file still to be hosted."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .shown_text import valid_unicode
from .types import Field, Json, MediaFile

_MAX_INNER = 1_000_000  # characters of JSON in a text
_SIGNATURE = r"sig|token|expire|auth|credential|access_?key|secret"
_SIGNED = re.compile(rf"(^|[&?])[^=&]*({_SIGNATURE})[^=&]*=", re.IGNORECASE)
# Names of the parameters of a query that belong to its signature, with all that a cloud adds.
SIGNATURE_NAME = re.compile(rf"{_SIGNATURE}|^x-(amz|oss|tos|cos)-", re.IGNORECASE)


def parse(text: bytes | str) -> Json:
    """The JSON in `text`, with valid Unicode only. Raises ValueError if it is not JSON."""
    try:
        tree = json.loads(text)
        plain = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        return _with_valid_texts(tree) if b"\\ud" in plain.lower() else tree
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_object(text: str) -> Json:
    """The object or list that `text` holds as JSON or as Python shows it, else `text` itself."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > _MAX_INNER:
        return text
    for read in (parse, ast.literal_eval):
        try:
            tree = read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return tree if isinstance(tree, (dict, list)) else text
    return text


def _with_valid_texts(tree: Json) -> Json:
    if isinstance(tree, dict):
        return {valid_unicode(key): _with_valid_texts(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_valid_texts(value) for value in tree]
    return valid_unicode(tree) if isinstance(tree, str) else tree


def files_in(tree: Json) -> list[MediaFile]:
    """The distinct files in `tree`, in order."""
    return list({(file.sha256, file.name): file for file in leaves(tree, MediaFile)}.values())


def with_files(tree: Json, replace: Callable[[MediaFile], Json]) -> Json:
    """A copy of `tree` with every file replaced by `replace(file)`."""
    return with_leaves(tree, MediaFile, replace)


def with_leaves(tree: Json, leaf_type: type[Any], replace: Callable[[Any], Json]) -> Json:
    """A copy of `tree` with every value of type `leaf_type` replaced by `replace(value)`."""
    if isinstance(tree, leaf_type):
        return replace(tree)
    if isinstance(tree, dict):
        return {key: with_leaves(value, leaf_type, replace) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [with_leaves(value, leaf_type, replace) for value in tree]
    return tree


def leaves(tree: Json, leaf_type: type[Any]) -> Iterator[Any]:
    """Every value of type `leaf_type` in `tree`, depth first."""
    if isinstance(tree, leaf_type):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value, leaf_type)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from leaves(value, leaf_type)


def number(value: Any) -> float | None:
    """`value`, a number or its text, as a float; None if it is no finite number."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def share(value: Any, *, percent: bool = False) -> float | None:
    """0..1 from a percentage (42, "42%") or a fraction (0.42, "0.42").

    A whole 1.0 is a fraction, too, unless `percent`; no platform reports parts of a percent.
    """
    text = value.strip() if isinstance(value, str) else ""
    amount = number(text.rstrip("%") if text else value)
    if amount is None or amount < 0:
        return None
    is_decimal = isinstance(value, float) or ("." in text and not text.endswith("%"))
    is_fraction = is_decimal and amount <= 1 and not (percent and amount == 1)
    return min(1.0, amount if is_fraction else amount / 100)


def urls_in(tree: Json) -> frozenset[str]:
    """Every value in `tree` that is an http(s) URL."""
    return frozenset(text for text in leaves(tree, str) if text.startswith(("http://", "https://")))


def without_signature(url: str) -> str:
    """`url` without the query if that holds a signature; any other query is part of the name."""
    base, _, query = url.partition("?")
    return base if _SIGNED.search(query) else url


def form_fields(tree: Mapping[str, Json]) -> list[tuple[str, Field]]:
    """The fields of a form, in order: files as they are, everything else as text."""
    return [(name, v if isinstance(v, MediaFile) else as_text(v)) for name, v in tree.items()]


def as_text(value: Json) -> str:
    """`value` as a form field: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
