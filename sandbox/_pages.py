"""Answers that no platform gives: a gateway's pages, texts and JSON of another kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

HTML = b"<!DOCTYPE html><html><body><h1>SANDBOX</h1><p>A page, not what you asked for.</p></html>"
BAD_JSON = b'{"code": 0, "data": {"task_id": 2431'
_DEPTH = 100_000  # more than any parser goes down
_DEEP = b"[" * _DEPTH + b"]" * _DEPTH
_JSON = "application/json"

Page = tuple[int, dict[str, str], bytes]
Error = Callable[[int, str], Any]


def _html(status: int, words: str) -> tuple[str, bytes]:
    title = f"{status} {words}"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center>"
    return "text/html", f"{page}<hr><center>nginx</center></body></html>".encode()


# What a gateway says: (Content-Type, body). "own" is the platform's form, and so not here.
_BODIES: dict[str, Callable[[int, str], tuple[str, bytes]]] = {
    "html": _html,
    "text": lambda status, words: ("text/plain", words.encode()),
    "empty": lambda status, words: ("", b""),
    "json": lambda status, words: (_JSON, b'{"message": "no Route matched with those values"}'),
    "list": lambda status, words: (_JSON, b"[]"),
    "half": lambda status, words: (_JSON, BAD_JSON),
    "deep": lambda status, words: (_JSON, b'{"data": ' + _DEEP + b"}"),
}
FORMS = (*_BODIES, "own")


def page(
    error: Error, status: int, form: str = "html", retry_after: int | None = None, **_: Any
) -> Page:
    """(status, headers, body) of an answer in one of FORMS; error words the platform's own."""
    words = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
    if form == "own":
        tree = error(status if status >= 400 else 500, words)
        kind, body = _JSON, json.dumps(tree, ensure_ascii=False).encode()
    else:
        kind, body = _BODIES[form](status, words)
    headers = {"Content-Type": kind} if kind else {}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return status, headers, body
