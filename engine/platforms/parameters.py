"""A model's parameters: every value is checked against the model before anything is sent."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..base.errors import InvalidInput
from ..base.json_tree import is_deep, leaves
from ..base.shown_text import shorten, valid_unicode
from ..base.types import Json, MediaFile, Model, Param
from ..base.words import tr
from ..media.limits import check, recommendations
from . import counts

_UNSENDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def fill(model: Model, values: Mapping[str, Any]) -> dict[str, Json]:
    """The parameters to send for `values`, in the model's order.

    None, "" and empty lists count as omitted. A required parameter that is omitted is sent with
    its default. Raises InvalidInput with the parameter, the value and what is accepted, and for a
    model whose parameters are not known: it would be paid for without its prompt.
    """
    if model.unread:
        raise InvalidInput(
            tr("The parameters of {model} could not be read from the platform.", model=model.id),
            do=tr("Refresh the models. Nothing was sent."),
        )
    unknown = [name for name in values if model.param(name) is None]
    if unknown:
        known = ", ".join(param.name for param in model.params)
        raise _refused(
            model, unknown[0], tr("the model has no such parameter; it has: {known}", known=known)
        )
    parameters = {}
    for param in model.params:
        value = values.get(param.name)
        if _is_omitted(value):
            value = param.default if param.required else None
        if not _is_omitted(value):
            parameters[param.name] = _validated(model, param, value)
        elif param.required:
            raise _refused(model, param.name, tr("it is required"))
    for param in model.params:
        if param.name in parameters:
            _check_against_others(model, param, parameters)
            _check_count(model, param, parameters[param.name])
    return parameters


def warnings(model: Model, parameters: Mapping[str, Json]) -> tuple[str, ...]:
    """One text for each recommended limit that a file in `parameters` breaks."""
    return tuple(
        text
        for param in model.params
        for file in leaves(parameters.get(param.name), MediaFile)
        for text in recommendations(file, param.media, param.name)
    )


def prompt_param(model: Model) -> Param | None:
    """The parameter that takes the node's prompt: `prompt`, else the first required text."""
    texts = [param for param in model.params if param.type == "text" and param.required]
    named = model.param("prompt")
    return named or (texts[0] if texts else None)


def seed_param(model: Model) -> Param | None:
    """The parameter that takes the node's seed, None where the model has none."""
    param = model.param("seed")
    return param if param is not None and param.type in ("int", "float") else None


def seed_for(param: Param, seed: int) -> int:
    """`seed` folded into the range of `param`."""
    low = int(param.min or 0)
    high = int(param.max) if param.max is not None else max(seed, low)
    return low + (seed - low) % (high - low + 1)


def is_free(param: Param) -> bool:
    """Whether the type is in no table: text is sent as the JSON that it holds, else as text."""
    is_media = param.media_kind is not None and param.type.startswith(("array[", "dict["))
    return not is_media and param.type not in (*_PARSERS, "array[string]", "array[number]")


def has_odd_default(param: Param) -> bool:
    """Whether the default breaks the type, the options or the range; it can be sent all the same.

    That of a free type or of a medium is not judged.
    """
    if param.default is None or param.media_kind is not None or is_free(param):
        return False
    try:
        _parsed(param, param.default)
    except InvalidParameter:
        return True
    return False


def json_list(param: Param, text: str) -> list[Json] | None:
    """The list that `text` is in JSON, else None: for texts `["a"]` is one, `[1]` is a line."""
    found = _from_json(text)
    if not isinstance(found, list):
        return None
    if param.type == "array[string]" and not all(isinstance(item, str) for item in found):
        return None
    return found


def _check_count(model: Model, param: Param, value: Json) -> None:
    own = [(param.name, value)] if counts.is_count(param) else []
    for name, asked in (*own, *counts.counted(value)):
        if why := counts.refusal(name, asked):
            raise _refused(model, param.name, why, counts.how_to_allow())


def _check_against_others(model: Model, param: Param, parameters: Mapping[str, Json]) -> None:
    """Check the limits of a parameter that depend on the values of others."""
    others = [name for name in param.together if name in parameters]
    count = sum(_count(parameters[name]) for name in (param.name, *others))
    if others and param.max_items is not None and count > param.max_items:
        raise _refused(
            model,
            param.name,
            tr(
                "it has {count} entries, counting those of {others}; it takes {most} at most",
                count=count,
                others=", ".join(others),
                most=param.max_items,
            ),
        )
    mask, image = parameters[param.name], parameters.get(param.mask_of)
    if isinstance(mask, MediaFile) and isinstance(image, MediaFile) and not _same_size(mask, image):
        raise _refused(
            model,
            param.name,
            tr(
                "it is {mask} pixels and {name} is {image}; both must have the same size",
                mask=f"{mask.width} x {mask.height}",
                name=param.mask_of,
                image=f"{image.width} x {image.height}",
            ),
        )


def _count(value: Json) -> int:
    return len(value) if isinstance(value, list) else 1


def _same_size(one: MediaFile, other: MediaFile) -> bool:
    return (one.width, one.height) == (other.width, other.height)


def _is_omitted(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_omitted, value))
    if isinstance(value, Mapping):
        return all(map(_is_omitted, value.values()))
    return value is None or value == ""


def _validated(model: Model, param: Param, value: Any) -> Json:
    try:
        return _parsed(param, value)
    except InvalidParameter as invalid:
        if _is_default(param, value):
            return param.default
        raise _refused(model, param.name, str(invalid)) from None


def _is_default(param: Param, value: Any) -> bool:
    """Whether `value`, from a form or a file, is the platform's own default."""
    return param.default is not None and (
        value == param.default or _as_texts(value) == _as_texts(param.default)
    )


def _as_texts(value: Any) -> Any:
    return list(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _parsed(param: Param, value: Any) -> Json:
    if param.type.startswith("array["):
        return _array(param, value)
    if param.type.startswith("dict["):
        return _dictionary(param, value)
    return _single(param, param.type, value)


class InvalidParameter(ValueError):
    """A value that a parameter cannot take; the text says why, without naming either."""


def _array(param: Param, value: Any) -> list[Json]:
    listed = json_list(param, value) if isinstance(value, str) else value
    values = listed if isinstance(listed, (list, tuple)) else [value]
    items = [item for item in values if not _is_omitted(item)]
    if param.max_items is not None and len(items) > param.max_items:
        raise InvalidParameter(
            tr(
                "it has {count} entries; it takes {most} at most",
                count=len(items),
                most=param.max_items,
            )
        )
    inner = param.type[len("array[") : -1]
    return [_single(param, inner, item) for item in items]


def _dictionary(param: Param, value: Any) -> dict[str, Json]:
    if isinstance(value, str):
        value = _from_json(value)
    if not isinstance(value, Mapping):
        raise InvalidParameter(tr("it takes an object of named entries"))
    known = {key for key, _, _ in param.keys}
    for key in value:
        if known and key not in known:
            keys = ", ".join(sorted(known))
            raise InvalidParameter(
                tr('it has no entry "{key}"; it has: {keys}', key=key, keys=keys)
            )
    entries = {key: item for key, item in value.items() if not _is_omitted(item)}
    for key, required, label in param.keys:
        if required and key not in entries:
            raise InvalidParameter(
                tr('its entry "{key}" ({label}) is required', key=key, label=label or key)
            )
    inner = param.type[len("dict[") : -1]
    return {key: _single(param, inner, item) for key, item in entries.items()}


def _single(param: Param, kind: str, value: Any) -> Json:
    if param.choices:
        return _choice(param, kind, value)
    value = _PARSERS.get(kind, _free)(param, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(param, value)
    return value


def _choice(param: Param, kind: str, value: Any) -> Json:
    """The choice that `value` means, as listed: lists hold text for numbers, or the reverse."""
    for choice in param.choices:
        if str(choice.value) == str(value):
            return choice.value
    value = _PARSERS.get(kind, _free)(param, value)
    for choice in param.choices:
        if choice.value == value:
            return choice.value
    listed = ", ".join(str(choice.value) for choice in param.choices)
    raise InvalidParameter(
        tr('it takes one of {listed}, not "{value}"', listed=listed, value=value)
    )


def _check_range(param: Param, value: float) -> None:
    low, high = param.min, param.max
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"{'...' if low is None else f'{low:g}'} - {'...' if high is None else f'{high:g}'}"
        raise InvalidParameter(tr("{value} is outside {span}", value=value, span=span))


def _text(param: Param, value: Any) -> Json:
    if not isinstance(value, str):
        raise InvalidParameter(tr("it takes text, not {value}", value=value))
    return value


def _whole(param: Param, value: Any) -> int:
    number = _number(param, value)
    if number != int(number):
        raise InvalidParameter(tr("it takes a whole number, not {value}", value=value))
    return int(number)


def _decimal(param: Param, value: Any) -> float:
    return float(_number(param, value))


def _number(param: Param, value: Any) -> float:
    if isinstance(value, bool):
        raise InvalidParameter(tr("it takes a number, not {value}", value=value))
    for read in (int, float) if isinstance(value, (int, str)) else (float,):
        try:
            number = read(value)
            if math.isfinite(number):
                return number
        except (TypeError, ValueError, OverflowError):
            pass
    raise InvalidParameter(tr("it takes a number, not {value}", value=value))


def _boolean(param: Param, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise InvalidParameter(tr("it takes true or false, not {value}", value=value))
    return value


def _medium(param: Param, value: Any) -> Json:
    kind = param.media_kind
    if isinstance(value, MediaFile):
        if kind is not None and value.kind is not kind:
            raise InvalidParameter(
                tr("it takes {kind}, not {given}", kind=kind.value, given=value.kind.value)
            )
        check(value, param.media, param.name)
        return value
    if isinstance(value, str) and _is_web_address(value):
        scheme, colon, rest = value.partition(":")
        return f"{scheme.lower()}{colon}{rest}"
    # Behind a question mark there may be a signature.
    shown = shorten(valid_unicode(str(value).partition("?")[0]), 200)
    raise InvalidParameter(
        tr("it takes a file or a URL that begins with http, not {value}", value=shown)
    )


def _is_web_address(text: str) -> bool:
    """Whether it names a host; a path may hold anything that stands in one line."""
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(host and re.search(r"\w", host))
    return is_web and not (_UNSENDABLE.search(text) or re.search(r"\s", parts.netloc))


def _free(param: Param, value: Any) -> Json:
    """`value` of a type in no table: the JSON that its text holds, else the text."""
    if not isinstance(value, str) or value == param.default:
        return value
    found = _from_json(value)
    return value if found is _NO_JSON else found


_NO_JSON = object()


def _from_json(text: str) -> Any:
    """`text` read as JSON, _NO_JSON where it is none; NaN, Infinity and the very deep are none."""
    if is_deep(text):
        return _NO_JSON
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return _NO_JSON


def _finite(text: str) -> float:
    found = float(text)
    if math.isfinite(found):
        return found
    raise ValueError(text)


_PARSERS: dict[str, Callable[[Param, Any], Json]] = {
    "string": _text,
    "text": _text,
    "int": _whole,
    "float": _decimal,
    "number": _number,
    "boolean": _boolean,
    "image": _medium,
    "video": _medium,
    "audio": _medium,
}


def _refused(model: Model, name: str, why: str, do: str = "") -> InvalidInput:
    return InvalidInput(
        tr("{model}, parameter {name}: {why}.", model=model.id, name=name, why=why),
        do=do or tr("Nothing was sent."),
    )
