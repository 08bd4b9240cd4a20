"""What an answer says in words, wherever platforms put them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..base.json_tree import find_key, lookup, parsed
from ..base.shown_text import shorten
from ..base.types import Json

INNER = ("data", "output", "task", "result", "response")  # objects that may describe the task
_KEYS = (
    *("failreason", "failurereason", "failmsg", "failmessage", "errormessage", "errormsg"),
    *("errmsg", "error", "message", "msg", "reason", "detail"),
)
_SAYS_NOTHING = frozenset(
    ("success", "succeed", "succeeded", "ok", "none", "null", "failed", "fail")
)
_WHOLE_PARTS = ("body", "query", "path", "header")  # the parts of a request, in a `loc` of FastAPI
_LAYERS = 3  # objects inside each other that may describe the task
_DEPTH = 6  # of messages inside messages


def layers(body: Json, home: str = "", depth: int = _LAYERS) -> Iterator[Mapping[str, Any]]:
    """The objects that may describe the task itself: its home, the body, and those inside."""
    at_home = parsed(lookup(body, home))
    if home and isinstance(at_home, dict):
        yield from layers(at_home, depth=depth)
    body = parsed(body)
    if not isinstance(body, dict):
        return
    yield body
    for key in INNER if depth else ():
        yield from layers(body.get(key), depth=depth - 1)


def reason_in(body: Json, home: str = "") -> str:
    """Everything that the answer says about a failure, "" if that is nothing or "failed"."""
    return _joined(text for text in _messages(body, home) if text.lower() not in _SAYS_NOTHING)


def message_in(body: Json) -> str:
    """Everything that the body of an error says, be it only "failed"; "" if it says nothing."""
    return reason_in(body) or _joined(_messages(body))


def _joined(texts: Iterator[str]) -> str:
    return shorten("; ".join(dict.fromkeys(texts)))


def _messages(body: Json, home: str = "") -> Iterator[str]:
    if not isinstance(parsed(body), dict):
        yield from _texts(body)
    for layer in layers(body, home):
        yield from _texts_under(layer, _DEPTH)


def _texts_under(layer: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key in (*_KEYS, "loc", "type") if "loc" in layer else _KEYS:
        found = _texts(find_key(layer, key), depth - 1)
        yield from (text for text in found if key != "loc" or text not in _WHOLE_PARTS)


def _texts(value: Json, depth: int = _DEPTH) -> Iterator[str]:
    tree = parsed(value)
    if isinstance(tree, dict) and depth:
        texts = list(_texts_under(tree, depth))
    elif isinstance(tree, list) and depth:
        texts = [text for entry in tree[:5] for text in _texts(entry, depth - 1)]
    else:
        texts = []
    if isinstance(value, str) and not texts and tree:  # plain, or an object without a message
        texts = [" ".join(value.split()).rstrip(";")]
    yield from filter(None, texts)
