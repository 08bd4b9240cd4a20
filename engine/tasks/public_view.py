"""Ledger rows made safe to show or export: without keys and without the queries of URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import chain
from typing import Any

from ..base.errors import SkyportError
from ..base.shown_text import scrub, spellings
from ..base.types import Json, Result, ResultFile
from ..base.words import tr
from ..ledger.ledger import Row, State
from ..platforms import registry
from ..settings import keys, notify_urls

_PROMPTS = ("prompt", "text", "content")  # keys under which requests hold a prompt
_SHORT = 80  # characters of a detail beside its name
_SECRET = r"(?:[\w-]*[_-])?(?:api[_-]?key|secret|secret[_-]?key|password|token|authorization)"
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
# In a JSON text, such as that of a workflow; its quotes may be escaped.
_SECRET_FIELD = re.compile(
    rf'(?P<name>(?P<quote>\\*"){_SECRET}(?P=quote)\s*:\s*(?P=quote)).+?(?<!\\)(?=(?P=quote))',
    re.IGNORECASE,
)


def state_of(state: State) -> str:
    """`state` in the user's language."""
    return {
        State.INTENT: lambda: tr("being submitted"),
        State.SUBMITTED: lambda: tr("submitted"),
        State.RUNNING: lambda: tr("running"),
        State.DETACHED: lambda: tr("detached"),
        State.SUCCEEDED: lambda: tr("succeeded"),
        State.DELIVERED: lambda: tr("delivered"),
        State.UNRESOLVED: lambda: tr("unresolved"),
        State.FAILED: lambda: tr("failed"),
        State.CANCELLED: lambda: tr("cancelled"),
        State.UNKNOWN: lambda: tr("outcome unknown"),
    }[state]()


def row_to_json(row: Row) -> dict[str, Any]:
    """`row` as a JSON object, without secrets."""
    result = row.result
    view: dict[str, Any] = redact(
        {
            "job": row.id,
            "state": row.state.value,
            "platform": row.record.platform,
            "place": row.record.base_url,
            "endpoint": row.record.endpoint,
            "title": row.record.title,
            "task": row.task.id if row.task else None,
            **{name: getattr(row, name) for name in ("created", "submitted", "ended", "delivered")},
            "cost": row.cost,
            "unit": row.unit,
            "error": row.error,
            "node": row.record.source.node_id,
            "prompt": row.record.source.prompt_id,
            "person": row.person,
            "fingerprint": row.record.fingerprint,
            "request": without_secret_fields(row.record.request),
            **_contents(result or Result("")),
        }
    )
    # Without signatures already; the rest of its addresses is what a person looks for.
    return {**view, "answer": without_keys(row.answer)}


def result_to_json(result: Result) -> dict[str, Any]:
    """`result` as a JSON object, without secrets: the fields that its row has too."""
    view: dict[str, Any] = redact(
        {
            "task": result.task_id or None,
            "cost": result.cost,
            "unit": result.unit,
            "reused": result.reused,
            **_contents(result),
        }
    )
    return view


def _contents(result: Result) -> dict[str, Any]:
    return {
        "files": [_file(file) for file in result.files],
        "texts": list(result.texts),
        "warnings": list(result.warnings),
        "details": [list(detail) for detail in result.details],
        **_missing_of(result),
    }


def is_short(detail: str) -> bool:
    """Whether the value of a detail fits beside its name, as a model's reasoning does not."""
    return len(detail) <= _SHORT and "\n" not in detail


def first_prompt(request: Json) -> str:
    """The first prompt in `request`, "" if there is none."""
    return next((text for text in _prompt_texts(request) if text.strip()), "")


def _prompt_texts(tree: Json) -> Iterator[str]:
    """All prompts in `tree`."""
    if isinstance(tree, dict):
        yield from (tree[name] for name in _PROMPTS if isinstance(tree.get(name), str))
        yield from (text for value in tree.values() for text in _prompt_texts(value))
    elif isinstance(tree, list):
        yield from (text for value in tree for text in _prompt_texts(value))


def _file(file: ResultFile) -> dict[str, Any]:
    return {**asdict(file), "path": str(file.path), "kind": file.kind.value}


def _missing_of(result: Result) -> dict[str, Any]:
    """{"missing": what has not come}; {} where everything has."""
    listed = [
        {"number": one.number, "url": one.url, "reason": one.reason} for one in result.missing
    ]
    return {"missing": listed} if listed else {}


def redact(tree: Any) -> Any:
    """`tree` without URL queries, which may hold signatures, and without any key in use."""
    return _redact(keys_in_use(), tree)


def without_keys(text: str) -> str:
    """`text` without any key in use."""
    for secret in keys_in_use():
        text = text.replace(secret, "...")
    return text


def _redact(secrets: Sequence[str], tree: Any) -> Any:
    if isinstance(tree, str):
        text = scrub(tree)
        for secret in secrets:
            text = text.replace(secret, "...")
        return text
    if isinstance(tree, dict):
        return {name: _redact(secrets, value) for name, value in tree.items()}
    return [_redact(secrets, value) for value in tree] if isinstance(tree, list) else tree


def without_secret_fields(tree: Json) -> Json:
    """`tree` without the texts of fields whose names say that they are secrets."""
    if isinstance(tree, str):
        return _SECRET_FIELD.sub(r"\g<name>...", tree)
    if isinstance(tree, list):
        return [without_secret_fields(value) for value in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: "..." if is_secret(name, value) else without_secret_fields(value)
        for name, value in tree.items()
    }


def is_secret(name: str, value: Json) -> bool:
    """Whether `value` is a text, and its name says that it is a secret."""
    return isinstance(value, str) and value != "" and bool(_SECRET_NAME.fullmatch(name))


def keys_in_use() -> list[str]:
    """The keys of all platforms and of the bucket, as they are set now, in all their spellings."""
    found = []
    for platform in registry.names():
        for name in registry.provider_class(platform).key_names():
            with suppress(SkyportError):  # a broken key cannot leak
                found.append(keys.find(name))
    with suppress(SkyportError):
        found += keys.s3() or ()
    values = [key.value for key in found if key is not None]
    secrets = [*values, *chain.from_iterable(map(spellings, values))]
    with suppress(SkyportError):
        secrets += notify_urls.secrets()
    return secrets
