"""HappyHorse's rows: which row a body matches, and what is wrong with it."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ._body import Refusal
from ._files import StoredFile

Rule = Mapping[str, Any]
_DATA_URL = re.compile(r"data:(image|video|audio)/[a-z0-9.+-]+;base64,")


@dataclass(frozen=True)
class Row:
    """One model doing one task.

    poll    the path its task is polled at, without the id
    body    "json", or "form": every value is text
    fields  rules by name; a rule of type "object" has fields of its own
    limits  rules for the files of a role: image, video, audio or mask
    equal   pairs of fields that come together and say the same
    """

    task: str
    label: str
    model: str
    submit: str
    poll: str
    body: str
    fields: Mapping[str, Rule]
    limits: Mapping[str, Rule]
    equal: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Medium:
    """A file that a body names, or holds as a data URL or a part. where: "input.media[0].url"."""

    where: str
    role: str
    source: str | StoredFile


def read_rows() -> tuple[Row, ...]:
    tables = json.loads(Path(__file__).with_name("happyhorse_models.json").read_text("utf-8"))
    limits = tables["limits"]

    def row(each: dict[str, Any]) -> Row:
        named = {role: limits[name] for role, name in each.pop("limits", {}).items()}
        return Row(**each, limits=named)

    return tuple(row(each) for each in tables["rows"])


def match_row(rows: Sequence[Row], path: str, body: Any) -> Reading:
    """The first row at `path` that `body` fits, read.

    Raises Refusal (400) that says what is wrong with the row it comes nearest to.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object.")
    here = [row for row in rows if row.submit == path]
    readings = [read(row, body) for row in here if row.model == body.get("model")]
    if not readings:
        known = ", ".join(dict.fromkeys(row.model for row in here))
        raise Refusal(400, f"Unknown model {body.get('model')!r} at {path}; known: {known}.")
    nearest = min(readings, key=lambda each: (each.mismatches, len(each.problems)))
    if nearest.problems:
        row = nearest.row
        raise Refusal(400, f"{row.model}, {row.task}: {'; '.join(nearest.problems)}.")
    return nearest


def read(row: Row, body: Mapping[str, Any]) -> Reading:
    """`body` checked against one row."""
    reading = Reading(row)
    fields = {name: value for name, value in body.items() if name != "model"}
    reading.object("", fields, {"fields": row.fields})
    reading.compare()
    return reading


@dataclass
class Reading:
    """What a body holds by a row's rules: plain values by their own name, texts, files, faults.

    mismatches counts the faults that speak for another row: names and types this one does not know.
    """

    row: Row
    values: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    media: list[Medium] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    mismatches: int = 0

    def object(self, where: str, value: Any, rule: Rule) -> None:
        fields = rule["fields"]
        if not isinstance(value, dict):
            return self._wrong(where, "an object", value)
        before = f"{where}." if where else ""
        for name in value:
            if name not in fields:
                self.problems.append(_unknown(before, name, fields))
                self.mismatches += 1
        for name, inner in fields.items():
            if name in value:
                _TYPES[inner["type"]](self, before + name, value[name], inner)
            elif _is_required(inner):
                self.problems.append(f"{before + name} is required")

    def compare(self) -> None:
        for one, other in self.row.equal:
            first, second = self.values.get(one), self.values.get(other)
            if (first is None) != (second is None) or str(first) != str(second):
                self.problems.append(f"{one} and {other} must come together and say the same")

    def text(self, where: str, value: Any, rule: Rule) -> None:
        if not isinstance(value, str):
            self._wrong(where, "a string", value)
        elif rule.get("required") and not value.strip():
            self.problems.append(f"{where} must not be empty")
        else:
            self.texts.append(value)

    def string(self, where: str, value: Any, rule: Rule) -> None:
        options = rule.get("options", ())
        if not isinstance(value, str) or not value.strip():
            self._wrong(where, "a string that is not empty", value)
        elif options and value not in options:
            self._wrong(where, f"one of {', '.join(options)}", value)
        else:
            self._keep(where, value)

    def number(self, where: str, value: Any, rule: Rule) -> None:
        found = self._plain(value)
        most = rule.get("most", math.inf)
        if type(found) is not int and not (isinstance(found, float) and math.isfinite(found)):
            self._wrong(where, "a number", value)
        elif found > most:
            self._wrong(where, f"at most {most}", value)
        else:
            self._keep(where, found)

    def count(self, where: str, value: Any, rule: Rule) -> None:
        found = self._plain(value)
        if type(found) is not int or found < 1:
            return self._wrong(where, "a whole number from 1", value)
        self._keep(where, found)

    def boolean(self, where: str, value: Any, rule: Rule) -> None:
        if not isinstance(value, bool):
            return self._wrong(where, "true or false", value)
        self._keep(where, value)

    def url(self, where: str, value: Any, rule: Rule) -> None:
        if not isinstance(value, StoredFile) and not _is_url(value) and data_in(value) is None:
            wanted = "the http(s) URL of a file on the web, or a data URL"
            return self._wrong(where, wanted, value)
        self.media.append(Medium(where, rule["role"], value))
        self._keep(where, value)

    def urls(self, where: str, value: Any, rule: Rule) -> None:
        if not isinstance(value, list):
            return self._wrong(where, "an array", value)
        self._counted(where, len(value), {"least": 1, **rule})
        for index, entry in enumerate(value):
            self.url(f"{where}[{index}]", entry, rule)

    def entries(self, where: str, value: Any, rule: Rule) -> None:
        """Wan's media: objects of a type and a URL."""
        kinds = rule["entries"]
        if not isinstance(value, list):
            return self._wrong(where, "an array", value)
        types = [entry.get("type") if isinstance(entry, dict) else None for entry in value]
        for index, (entry, kind) in enumerate(zip(value, types, strict=True)):
            if isinstance(kind, str) and kind in kinds:
                self._entry(f"{where}[{index}]", entry, kinds[kind])
            else:
                self._wrong(f"{where}[{index}].type", f"one of {', '.join(kinds)}", kind)
                self.mismatches += 1
        for kind, limits in kinds.items():
            self._counted(f"{where} of type {kind}", types.count(kind), limits)

    def messages(self, where: str, value: Any, rule: Rule) -> None:
        """One message of the user: text alone, or parts with at least one image."""
        if not isinstance(value, list) or len(value) != 1:
            return self._wrong(where, "an array of one object", value)
        content = value[0].get("content") if isinstance(value[0], dict) else None
        kind = "parts" if isinstance(content, list) else "text"
        role = {"type": "string", "options": ["user"], "required": True}
        fields = {"role": role, "content": {"type": kind, "required": True}}
        self.object(f"{where}[0]", value[0], {"fields": fields})

    def parts(self, where: str, value: Any, rule: Rule) -> None:
        for index, part in enumerate(value):
            kind = part.get("type") if isinstance(part, dict) else None
            if not isinstance(kind, str) or kind not in _PARTS:
                self._wrong(f"{where}[{index}].type", "text or image_url", kind)
            else:
                self.object(f"{where}[{index}]", part, {"fields": _PARTS[kind]})
        types = [part.get("type") for part in value if isinstance(part, dict)]
        if "text" not in types or "image_url" not in types:
            self.problems.append(f"{where} must be a string, or parts with words and a picture")

    def _entry(self, where: str, entry: Any, kind: Rule) -> None:
        beside = {
            name: {"type": "url", "role": role} for name, role in kind.get("beside", {}).items()
        }
        url = {"type": "url", "role": kind["role"], "required": True}
        self.object(where, entry, {"fields": {"type": {"type": "string"}, "url": url, **beside}})

    def _counted(self, where: str, count: int, rule: Rule) -> None:
        least, most = rule.get("least", 0), rule.get("most", math.inf)
        if count < least:
            self.problems.append(f"{where}: at least {least} must be given, not {count}")
        elif count > most:
            self.problems.append(f"{where}: at most {most} can be given, not {count}")

    def _plain(self, value: Any) -> Any:
        """A number of a form, which is text there; anything else as it is."""
        if self.row.body != "form":
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None

    def _keep(self, where: str, value: Any) -> None:
        self.values[where.rpartition(".")[2]] = value

    def _wrong(self, where: str, wanted: str, value: Any) -> None:
        shown = json.dumps(value, ensure_ascii=True)
        self.problems.append(f"{where} must be {wanted}, not {shown[:100]}")


_TYPES: Mapping[str, Callable[[Reading, str, Any, Rule], None]] = {
    "object": Reading.object,
    "text": Reading.text,
    "string": Reading.string,
    "number": Reading.number,
    "count": Reading.count,
    "boolean": Reading.boolean,
    "url": Reading.url,
    "urls": Reading.urls,
    "media": Reading.entries,
    "messages": Reading.messages,
    "parts": Reading.parts,
}
_PICTURE = {"url": {"type": "url", "role": "image", "required": True}}
_PARTS: Mapping[str, Mapping[str, Rule]] = {
    "text": {"type": {"type": "string"}, "text": {"type": "text", "required": True}},
    "image_url": {
        "type": {"type": "string"},
        "image_url": {"type": "object", "fields": _PICTURE},
    },
}


def _unknown(before: str, name: str, fields: Mapping[str, Rule]) -> str:
    hint = " (the brackets in the document mean an array)" if name.endswith("[]") else ""
    return f"unknown field {before + name!r}{hint}; known: {', '.join(fields)}"


def _is_required(rule: Rule) -> bool:
    inner = rule.get("fields", {}).values()
    return bool(rule.get("required")) or any(_is_required(each) for each in inner)


def data_in(value: Any) -> bytes | None:
    """The bytes of a data URL in base64, None where `value` is none."""
    match = _DATA_URL.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        return base64.b64decode(value[match.end() :], validate=True)
    except ValueError:
        return None


def _is_url(value: Any) -> bool:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
