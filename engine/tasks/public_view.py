"""A job of the ledger as others may see it. Nothing here shows a key or the query of a URL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ..base.errors import SkyportError
from ..base.types import Json, ResultFile
from ..base.words import tr
from ..ledger.ledger import Row, State
from ..platforms import registry
from ..settings import keys

_PROMPTS = ("prompt", "text", "content")  # names under which requests hold what people wrote


def state_of(state: State) -> str:
    """The state in the user's language."""
    return {
        State.INTENT: lambda: tr("being submitted"),
        State.SUBMITTED: lambda: tr("submitted"),
        State.RUNNING: lambda: tr("running"),
        State.DETACHED: lambda: tr("detached"),
        State.SUCCEEDED: lambda: tr("succeeded"),
        State.DELIVERED: lambda: tr("delivered"),
        State.FAILED: lambda: tr("failed"),
        State.CANCELLED: lambda: tr("cancelled"),
        State.UNKNOWN: lambda: tr("outcome unknown"),
    }[state]()


def tree_of(row: Row) -> dict[str, Any]:
    """Everything of a row, without secrets."""
    result = row.result
    told: dict[str, Any] = public(
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
            "error": row.error,
            "node": row.record.source.node_id,
            "prompt": row.record.source.prompt_id,
            "fingerprint": row.record.fingerprint,
            "request": row.record.request,
            "files": [_file(file) for file in result.files] if result else [],
            "texts": list(result.texts) if result else [],
            "warnings": list(result.warnings) if result else [],
        }
    )
    return told


def prompt_of(request: Json) -> str:
    """The first text in `request` that a person wrote for the platform, "" where there is none."""
    return next((text for text in _written(request) if text.strip()), "")


def _written(tree: Json) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from (tree[name] for name in _PROMPTS if isinstance(tree.get(name), str))
        yield from (text for value in tree.values() for text in _written(value))
    elif isinstance(tree, list):
        yield from (text for value in tree for text in _written(value))


def _file(file: ResultFile) -> dict[str, Any]:
    return {**asdict(file), "path": str(file.path), "kind": file.kind.value}


def public(tree: Any) -> Any:
    """`tree` with no URL's query in it, where signatures are, and none of the keys set here."""
    return _without(_keys_set(), tree)


def _without(secrets: Sequence[str], tree: Any) -> Any:
    from ..base.shown_text import scrub

    if isinstance(tree, str):
        text = scrub(tree)
        for secret in secrets:
            text = text.replace(secret, "...")
        return text
    if isinstance(tree, dict):
        return {name: _without(secrets, value) for name, value in tree.items()}
    return [_without(secrets, value) for value in tree] if isinstance(tree, list) else tree


def _keys_set() -> list[str]:
    found = []
    for name in registry.names():
        with suppress(SkyportError):  # what cannot be a key is none to hide
            found.append(keys.find(name))
    with suppress(SkyportError):
        found += keys.s3() or ()
    return [key.value for key in found if key is not None]
