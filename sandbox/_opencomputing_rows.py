"""The tables of OpenComputing's document: which fields a model takes, as JSON and as a form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._body import Refusal
from ._fields import only
from ._files import StoredFile
from ._multipart import FormPart

Rule = Mapping[str, Any]
Rules = Mapping[str, Rule]
_FIXED = ("model", "catelogid")
_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
}


@dataclass(frozen=True)
class Tables:
    """Every row: (category, model) -> its fields."""

    rows: Mapping[tuple[str, str], Rules]

    @classmethod
    def read(cls, path: Path) -> Tables:
        tables = json.loads(path.read_text(encoding="utf-8"))
        return cls({(t["catelogid"], name): t["fields"] for t in tables for name in t["models"]})

    def models(self, category: str) -> list[tuple[str, str]]:
        """(category, model) of one category, of all where it is ""."""
        return [row for row in self.rows if category in ("", row[0])]

    def fields(self, category: Any, model: Any, taken: Sequence[str]) -> Rules:
        """The fields of a model, where `taken` categories are served."""
        if category not in taken:
            raise Refusal(400, f"catelogid must be one of {', '.join(taken)}, not {category!r}.")
        if (category, model) not in self.rows:
            raise Refusal(400, f"Unknown model {model!r} of catelogid {category!r}.")
        return self.rows[category, model]


def check_json(body: Mapping[str, Any], rules: Rules) -> None:
    """A JSON body to the letter. Raises Refusal (400) for the first field that is wrong."""
    only(body, [*_FIXED, *rules], "parameter")
    for name, rule in rules.items():
        if name in body:
            _check_value(name, body[name], rule)
    _check_complete(body, rules)


def check_form(
    parts: Mapping[str, Sequence[FormPart]], rules: Rules, store: Callable[[FormPart], StoredFile]
) -> tuple[dict[str, Any], list[StoredFile]]:
    """The values of a form, numbers read, and its files in the order of the rules."""
    only(parts, [*_FIXED, *rules], "parameter")
    values: dict[str, Any] = {}
    files: list[StoredFile] = []
    for name, rule in rules.items():
        found = parts.get(name, ())
        if rule["type"] == "file":
            files += _files(name, found, rule, store)
        elif found:
            values[name] = _form_value(name, text_of(name, found), rule)
    _check_complete({**dict.fromkeys(parts, True), **values}, rules)
    return values, files


def text_of(name: str, parts: Sequence[FormPart]) -> str:
    """The text of a form's field that is given once."""
    if len(parts) != 1 or parts[0].filename is not None:
        raise Refusal(400, f"Form field {name!r} must be one text.")
    return parts[0].text


def _check_complete(values: Mapping[str, Any], rules: Rules) -> None:
    for name, rule in rules.items():
        if rule["required"] and values.get(name) in (None, ""):
            raise Refusal(400, f"Missing required parameter: {name}")


def _check_value(name: str, value: Any, rule: Rule) -> None:
    if not _PLAIN[rule["type"]](value):
        raise Refusal(400, f"Parameter {name!r} must be of type {rule['type']}, not {value!r}.")
    options = rule.get("options")
    if options and value not in options:
        raise Refusal(400, f"Parameter {name!r} must be one of {options}, not {value!r}.")
    if "min" in rule and not rule["min"] <= value <= rule["max"]:
        raise Refusal(400, f"Parameter {name!r} is from {rule['min']} to {rule['max']}.")


def _form_value(name: str, text: str, rule: Rule) -> Any:
    value: Any = text
    if rule["type"] == "integer":
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            raise Refusal(400, f"Parameter {name!r} must be a whole number, not {text!r}.")
        value = int(text)
    _check_value(name, value, rule)
    return value


def _files(
    name: str, parts: Sequence[FormPart], rule: Rule, store: Callable[[FormPart], StoredFile]
) -> list[StoredFile]:
    many = rule.get("many", 1)
    if many is not True and len(parts) > many:
        raise Refusal(400, f"Parameter {name!r} takes at most {many} files, not {len(parts)}.")
    found = [store(part) for part in parts]
    for file in found:
        if file.kind != rule["kind"]:
            raise Refusal(400, f"Parameter {name!r} is {rule['kind']}, not {file.mime}.")
    return found
