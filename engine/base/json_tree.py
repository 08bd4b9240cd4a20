"""Walking JSON trees; in a request, a MediaFile stands for a file still to be hosted."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .shown_text import valid_unicode
from .types import Field, Json, MediaFile

MAX_DEPTH = 100  # levels of JSON that are read; no platform and no workflow has nearly as many
_MAX_DIGITS = 400
# A text, also one without an end, or a bracket.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_MAX_INNER = 1_000_000  # characters of JSON in a text
_SIGNATURE = r"sig|token|expire|auth|credential|access_?key|secret"
_SIGNED = re.compile(rf"(^|[&?])[^=&]*({_SIGNATURE})[^=&]*=", re.IGNORECASE)
# Names of the parameters of a query that belong to its signature, with all that a cloud adds.
SIGNATURE_NAME = re.compile(rf"{_SIGNATURE}|^x-(amz|oss|tos|cos)-", re.IGNORECASE)


def parse(text: bytes | str, *, keep_halves: bool = False) -> Json:
    """The JSON in `text`, with valid Unicode and finite numbers only.

    Numbers that are none (NaN, 1e999) and what is nested deeper than MAX_DEPTH become None; whole
    numbers of more than 400 digits become text. Raises ValueError if it is not JSON.

    keep_halves  whether a lone half of a surrogate pair stays, as the other one may still come
    """
    return _loaded(_shallow(_decoded(text, "replace")), lambda word: None, keep_halves)


class RepeatedName(ValueError):
    """An object has a name twice, so that one of its values would be lost. It says the name."""


def parse_strict(text: bytes | str, *, unique: bool = False) -> Json:
    """The JSON in `text`, with valid Unicode only; for what a person's own page has sent.

    Raises ValueError if it is not JSON, is nested deeper than MAX_DEPTH, or holds numbers that are
    not finite; with `unique`, RepeatedName.
    """
    decoded = _decoded(text, "strict")
    if is_deep(decoded):
        raise ValueError("nested too deeply")
    return _loaded(decoded, _refuse_number, pairs=_with_unique_names if unique else None)


def _with_unique_names(pairs: list[tuple[str, Json]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        raise RepeatedName(next(name for name, count in counted.items() if count > 1))
    return found


def is_deep(text: str) -> bool:
    """Whether the JSON in `text` is nested deeper than MAX_DEPTH."""
    return _shallow(text) != text


def is_cut(tree: Json) -> bool:
    """Whether what `parse` has read may lack something that was nested deeper than MAX_DEPTH."""
    level, depth = [tree], 0
    while level := [one for one in level if isinstance(one, (dict, list))]:
        depth += 1
        level = [x for one in level for x in (one.values() if isinstance(one, dict) else one)]
    return depth >= MAX_DEPTH


def _decoded(text: bytes | str, errors: str) -> str:
    if isinstance(text, str):
        return valid_unicode(text)
    return text.decode(json.detect_encoding(text), errors)


def _loaded(
    text: str,
    not_finite: Callable[[str], Json],
    keep_halves: bool = False,
    pairs: Callable[[list[tuple[str, Json]]], Json] | None = None,
) -> Json:
    def read_float(digits: str) -> Json:
        value = float(digits)
        return value if math.isfinite(value) else not_finite(digits)

    tree = json.loads(
        text,
        parse_float=read_float,
        parse_int=_whole_number,
        parse_constant=not_finite,
        object_pairs_hook=pairs,
    )
    return tree if keep_halves or "\\ud" not in text.lower() else _with_valid_texts(tree)


def _refuse_number(digits: str) -> Json:
    raise ValueError("a number that is not finite")


def _whole_number(digits: str) -> Json:
    """Python itself refuses to read, and to write, a number of some thousand digits."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _shallow(text: str) -> str:
    """JSON with null in the place of everything that is nested deeper than MAX_DEPTH.

    How deep the standard library reads, and when it fails, differs with Python and the stack.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return text
    kept: list[str] = []
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += (text[begin : token.start()], "null")
        elif first in "]}":
            begin = token.end() if depth == MAX_DEPTH + 1 else begin
            depth -= 1
    return "".join((*kept, text[begin:])) if depth <= MAX_DEPTH else text[:begin]


def parse_object(text: str) -> Json:
    """The object or list that `text` holds as JSON or as Python shows it, else `text` itself."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > _MAX_INNER:
        return text
    for read in (parse, _parse_python):
        try:
            tree = read(text.strip())
        except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return tree if isinstance(tree, (dict, list)) else text
    return text


def _parse_python(text: str) -> Json:
    """What Python shows, as JSON has it: keys are text. Raises what `ast.literal_eval` does."""
    return parse(json.dumps(ast.literal_eval(text)))


def lookup(tree: Json, path: str) -> Json:
    """The value at the dotted `path`, None if there is none; JSON in a text is read."""
    for name in filter(None, path.split(".")):
        tree = parsed(tree)
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def find_key(layer: Mapping[str, Any], name: str) -> Json:
    """The value of the key that reads as `name` without case, `_` and `-`; None without one."""
    for key, value in layer.items():
        if plain_key(key) == name and value not in (None, ""):
            return value
    return None


def plain_key(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def parsed(value: Json) -> Json:
    """`value`, or the object or list that it holds as text."""
    return parse_object(value) if isinstance(value, str) else value


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
