"""Strict checks against a document: the fields of an object or a form, public URLs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ._body import Refusal
from ._files import StoredFile
from ._multipart import FormPart

Rule = Mapping[str, Any]
_MEDIA = ("image", "video", "audio")


def exactly(value: Any, names: Sequence[str], where: str = "") -> Mapping[str, Any]:
    """`value` as an object with these fields, all of them and no others. where: "model."."""
    if not isinstance(value, dict):
        raise Refusal(400, f"{where.rstrip('.') or 'The body'} must be a JSON object.")
    only(value, names, "field", where)
    for name in names:
        if name not in value:
            raise Refusal(400, f"Field {where + name!r} is required.")
    return value


def only(given: Iterable[str], names: Sequence[str], noun: str, where: str = "") -> None:
    """Raises Refusal (400) for the first of `given` that is not among `names`."""
    for name in given:
        if name not in names:
            raise Refusal(400, f"Unknown {noun} {where + name!r}; known: {', '.join(names)}.")


def form_text(parts: Mapping[str, FormPart], name: str, required: bool = True) -> str:
    """The text of a form's field, "" where it may be absent and is."""
    part = parts.get(name)
    if part and part.filename is not None:
        raise Refusal(400, f"Form field {name!r} must be text, not a file.")
    if required and not (part and part.text):
        raise Refusal(400, f"Form field {name!r} is required.")
    return part.text if part else ""


def form_files(
    rules: Sequence[Rule], parts: Mapping[str, FormPart], store: Callable[[FormPart], StoredFile]
) -> list[StoredFile]:
    """A form checked against `rules`; its files, in the order of the rules."""
    only(parts, [rule["name"] for rule in rules], "parameter")
    files = []
    for rule in rules:
        part = parts.get(rule["name"])
        if not part and rule["required"]:
            raise Refusal(400, f"Parameter {rule['name']!r} is required.")
        if part and rule["type"] in _MEDIA:
            files.append(_of_kind(rule, store(part)))
        elif part:
            _check_text(rule, part)
    return files


def check_public(url: str) -> None:
    """Raises Refusal (400) for a URL that cannot be reached from the internet."""
    host = urlsplit(url).hostname or ""
    try:
        public = ipaddress.ip_address(host).is_global
    except ValueError:
        public = "." in host and not host.endswith((".local", ".localhost", ".internal"))
    if not public:
        raise Refusal(400, f"{url.split('?')[0]} cannot be reached from the internet.")


def _of_kind(rule: Rule, file: StoredFile) -> StoredFile:
    if file.kind != rule["type"]:
        raise Refusal(400, f"Parameter {rule['name']!r} is {rule['type']}, not {file.mime}.")
    return file


def _check_text(rule: Rule, part: FormPart) -> None:
    if part.filename is not None:
        raise Refusal(400, f"Parameter {part.name!r} is {rule['type']}, not a file.")
    if rule["type"] != "number":
        return
    try:
        number = float(part.text)
    except ValueError:
        raise Refusal(400, f"Parameter {part.name!r} must be a number.") from None
    if not rule["min"] <= number <= rule["max"]:
        raise Refusal(400, f"Parameter {part.name!r} is from {rule['min']} to {rule['max']}.")
