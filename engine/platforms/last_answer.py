"""A platform's last answer as it is kept and shown: without keys and signatures, not too long."""

from __future__ import annotations

import json
import re

from ..base.json_tree import SIGNATURE_NAME
from ..base.shown_text import valid_unicode
from ..base.types import Json

MAX_ANSWER = 16 * 1024  # bytes kept of an answer
_MAX_TEXT = 2000  # characters kept of one text in it, which may be a picture
_SECRET_KEY = re.compile(r"token|secret|api_?key|authorization|password|signature|credential", re.I)
_URL = re.compile(r"(https?://[^\s\"'<>?#\\]*)\?([^\s\"'<>#\\]*)(#[^\s\"'<>\\]*)?", re.I)


def shown_answer(body: Json, most: int = MAX_ANSWER) -> str:
    """`body` as JSON text of at most `most` bytes. Addresses keep all but their signatures."""
    text = valid_unicode(json.dumps(_without_secrets(body), ensure_ascii=False))
    encoded = text.encode()
    return text if len(encoded) <= most else f"{encoded[: most - 3].decode('utf-8', 'ignore')}..."


def without_signatures(text: str) -> str:
    """`text` with the signatures of its URLs removed; the rest of a query names the file."""
    return _URL.sub(lambda url: _unsigned(url[1], url[2]), text)


def _unsigned(address: str, query: str) -> str:
    pairs = [pair for pair in query.split("&") if not SIGNATURE_NAME.search(pair.partition("=")[0])]
    return f"{address}?{'&'.join(pairs)}" if pairs else address


def _without_secrets(tree: Json) -> Json:
    if isinstance(tree, dict):
        return {
            name: "***" if _SECRET_KEY.search(name) else _without_secrets(value)
            for name, value in tree.items()
        }
    if isinstance(tree, list):
        return [_without_secrets(value) for value in tree]
    if isinstance(tree, str):
        text = without_signatures(tree)
        return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}... ({len(text)})"
    return tree
