"""Leaves out of a tree of JSON what looks like a key, a password or a signature."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..base.types import Json
from .public_view import is_secret, keys_in_use, without_secret_fields

_GONE = "..."
_LEAST = 8  # characters of a secret that is looked for elsewhere in the tree
_SIGNED = re.compile(
    r"(?P<name>[?&](?:[\w-]*(?:signature|credential|token|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|secret|password|authorization)|sig|sign|key|auth)=)[^&#\s\"'<>\\]+",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"(?P<name>\b[a-z][a-z0-9+.-]*://)[^/\s\"'<>@]+@", re.IGNORECASE)
_BEARER = re.compile(
    r"(?P<name>\b(?:Bearer|Basic)\s+)(?=\S*\d)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE
)
# The forms of keys that their services document.
_KEY = re.compile(
    r"\b(?:(?:sk|rk|pk)-(?=[\w-]*\d)[\w-]{16,}|(?:hf|r8)_\w{20,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|LTAI\w{12,}|AIza[\w-]{30,}|xox[abprs]-[\w-]{10,}"
    r"|comfyui-[0-9a-f]{32,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",
)


def keyless(tree: Json) -> Any:
    """`tree` with "..." for every key in use, text of a secret's name, known form of a key and
    signature in an address; a text that has a secret's name is left out wherever else it stands."""
    named = (text for text in _secret_texts(tree) if len(text) >= _LEAST)
    secrets = sorted({*named, *keys_in_use()}, key=len, reverse=True)
    return _without(without_secret_fields(tree), secrets)


def _secret_texts(tree: Json) -> Iterator[str]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            if isinstance(value, str):
                if is_secret(name, value):
                    yield value
            else:
                yield from _secret_texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _secret_texts(value)


def _without(tree: Any, secrets: list[str]) -> Any:
    if isinstance(tree, str):
        return _without_in_text(tree, secrets)
    if isinstance(tree, dict):
        return {name: _without(value, secrets) for name, value in tree.items()}
    return [_without(value, secrets) for value in tree] if isinstance(tree, list) else tree


def _without_in_text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _GONE)
    for form in (_SIGNED, _ACCOUNT, _BEARER):
        text = form.sub(rf"\g<name>{_GONE}" + ("@" if form is _ACCOUNT else ""), text)
    return _KEY.sub(_GONE, text)
