"""HaiYi's model rows and parameter rules, parsed tolerantly into Model and Param."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.base.errors import BadResult
from ...engine.base.json_tree import number
from ...engine.base.types import Choice, Json, MediaRule, Model, Param
from ...engine.base.words import tr

_MB = 1024 * 1024
_TYPES = {
    "integer": "int",
    "number": "float",
    "double": "float",
    "bool": "boolean",
    "str": "string",
}
_ENTRIES = {"int": "number", "float": "number", "text": "string"}  # inside of array[] and dict[]


def rows_in(answer: Json) -> list[dict[str, Any]]:
    """The usable rows of a model/list answer: those with a provider, a model and a type."""
    if isinstance(answer, dict):
        answer = next((answer[key] for key in ("models", "list", "data") if key in answer), [])
    rows = [_row(item) for item in answer] if isinstance(answer, list) else []
    return [row for row in rows if row["provider"] and row["model"] and row["type"]]


def merged(row: Mapping[str, Any], info: Json) -> dict[str, Any]:
    """`row` with the additions of model/info. Raises BadResult where that has no list of rules."""
    rules = info.get("parameter_rules") if isinstance(info, dict) else None
    if not isinstance(rules, list):
        raise BadResult(
            tr("The details of the model have no parameter_rules."),
            do=tr("Refresh the models later."),
            platform="HaiYi",
        )
    added = {key: info[key] for key in ("label", "description") if info.get(key)}
    return {**row, **added, "parameter_rules": rules}


def read(row: Mapping[str, Any]) -> Model:
    """`row` as a Model; rules without a name are left out.

    An empty list says that the model takes nothing. No list at all, or none that can be used, says
    nothing: the model is unread.
    """
    rules = row.get("parameter_rules")
    listed = rules if isinstance(rules, list) else None
    usable = [rule for rule in listed or () if isinstance(rule, dict) and rule.get("name")]
    return Model(
        platform="haiyi",
        id=f"{row['provider']}/{row['model']}",
        task=str(row["type"]),
        label=str(row.get("label") or row["model"]),
        params=tuple(_param(rule) for rule in usable),
        help=str(row.get("description") or ""),
        retired=bool(row.get("retired")),
        unread=listed is None or bool(listed and not usable),
    )


def _row(item: Json) -> dict[str, Any]:
    """`type` in the list is `model_type` in the info; `provider` is text here, an object there."""
    if not isinstance(item, dict):
        return {"provider": "", "model": "", "type": ""}
    provider = item.get("provider")
    if isinstance(provider, dict):
        provider = provider.get("provider")
    kind = item.get("type") or item.get("model_type")
    return {
        **item,
        "provider": provider or "",
        "model": item.get("model") or "",
        "type": kind or "",
    }


def _param(rule: Mapping[str, Any]) -> Param:
    kind = _type(str(rule.get("type") or "string").lower().replace(" ", ""))
    size = number(rule.get("size"))
    return Param(
        name=str(rule["name"]),
        type=kind,
        label=str(rule.get("label") or ""),
        required=rule.get("required") in (True, "true", 1),
        default=_default(kind, rule.get("default")),
        min=number(rule.get("min")),
        max=number(rule.get("max")),
        choices=tuple(_choices(rule.get("options"))),
        keys=tuple(_keys(rule.get("keys"))),
        max_items=None if size is None or size < 1 else int(size),
        media=_media_rule(rule.get("image_config")),
        help=str(rule.get("help") or ""),
    )


def _type(kind: str) -> str:
    """The document's word for a type; one that it does not have stays as it is."""
    match = re.fullmatch(r"(array|list|dict)\[(\w+)\]", kind)
    if match is None:
        return _TYPES.get(kind, kind)
    inner = _TYPES.get(match[2], match[2])
    outer = "dict" if match[1] == "dict" else "array"
    return f"{outer}[{_ENTRIES.get(inner, inner)}]"


def _default(kind: str, value: Json) -> Json:
    """The default; that of a number as a number, also where the platform writes it as text."""
    amount = number(value) if kind in ("int", "float") and isinstance(value, str) else None
    if amount is None:
        return value
    return int(amount) if amount.is_integer() else amount


def _choices(options: Json) -> Iterator[Choice]:
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict):
            if "value" in option:
                yield Choice(option["value"], str(option.get("label") or ""))
        elif option is not None:
            yield Choice(option)


def _keys(keys: Json) -> Iterator[tuple[str, bool, str]]:
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and key.get("key"):
            yield (
                str(key["key"]),
                key.get("required") in (True, "true", 1),
                str(key.get("label") or ""),
            )
        elif isinstance(key, str):
            yield key, False, ""


def _media_rule(config: Json) -> MediaRule:
    """The recognisable limits in image_config, whose keys are not documented; the rest as notes."""
    if not isinstance(config, dict):
        return MediaRule()
    limits: dict[str, Any] = {}
    rest = []
    for key, value in config.items():
        limit = _limit(re.sub(r"[^a-z]", "", str(key).lower()), value)
        if limit:
            limits.update([limit])
        else:
            rest.append(f"{key}: {value}")
    return MediaRule(**limits, notes="; ".join(rest))


def _limit(key: str, value: Any) -> tuple[str, Any] | None:
    """The MediaRule field and value of an image_config entry; None where it is not recognised."""
    side = re.fullmatch(r"(min|max)(?:image|img)?(width|height)", key)
    if side and number(value) is not None:
        return f"{side[1]}_{side[2]}", int(number(value) or 0)
    if key in ("formats", "format", "allowedformats", "types", "accept") and isinstance(
        value, list
    ):
        return "formats", tuple(str(item).lower().split("/")[-1].lstrip(".") for item in value)
    if (
        re.fullmatch(r"(max)?(image|img)?(file)?size(limit)?(mb|kb|bytes)?", key)
        or key == "maxbytes"
    ):
        size = _bytes(key, value)
        return ("max_bytes", size) if size else None
    return None


def _bytes(key: str, value: Any) -> int | None:
    """A size limit in bytes. Key or text names the unit; a bare number below 4096 counts MB."""
    match = re.fullmatch(r"\s*([\d.]+)\s*([kmg]?)b?\s*", str(value).lower())
    amount = number(match[1]) if match else None
    if match is None or amount is None or amount <= 0:
        return None
    unit = match[2] or ("k" if key.endswith("kb") else "m" if key.endswith("mb") else "")
    if not unit and not key.endswith("bytes") and amount < 4096:
        unit = "m"
    return int(amount * {"": 1, "k": 1024, "m": _MB, "g": 1024 * _MB}[unit])
