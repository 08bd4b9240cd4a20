"""Whether a platform's words repeat what a person has written in a request."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

from ..base.json_tree import parse_object
from ..base.shown_text import shorten
from ..base.types import Json

_LETTERS = 12  # in a row, from which on words are a part of what was written
_SIGNS = 4  # of Chinese, Japanese or Korean
_FIRST_SIGN = "\u2e80"
_COMPARED = 2000  # characters of a platform's words: more than are ever shown
_ESCAPES = 3  # how often a text may have been escaped
_UNICODE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_NAMES = ("class_type", "model")  # what only names what is told of anyway
_WRITTEN = re.compile(r"prompt|text|content|lyric|caption|descri|message|query|tags", re.I)


def repeats_request(words: str, request: Json) -> bool:
    """Whether a fragment of a text of the request stands in `words`, however it is spelt there.

    Finds too much rather than too little: what it finds is only not told.
    """
    plain = _folded(shorten(words, _COMPARED))
    runs = set(_runs(_joined(plain)))
    return any(_stands_in(plain, runs, text, whole) for text, whole in _texts(request))


def _stands_in(plain: str, runs: set[str], text: str, whole: bool) -> bool:
    sent = _folded(text)
    if whole and sent and (f" {sent} " in f" {plain} " or (_has_signs(sent) and sent in plain)):
        return True
    return any(run in runs for run in _runs(_joined(sent)))


def _folded(text: str) -> str:
    """The words of `text` in one spelling, with one space between them."""
    for _ in range(_ESCAPES):
        text = html.unescape(text)
    text = _UNICODE.sub(lambda match: chr(int(match[1], 16)), text)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(one if one.isalnum() else " " for one in text).split())


def _joined(folded: str) -> str:
    return folded.replace(" ", "")


def _runs(joined: str) -> Iterator[str]:
    """All runs in a text that are long enough to be a part of another one."""
    for begin in range(len(joined)):
        signs = joined[begin : begin + _SIGNS]
        if len(signs) == _SIGNS and min(signs) >= _FIRST_SIGN:
            yield signs
        letters = joined[begin : begin + _LETTERS]
        if len(letters) == _LETTERS:
            yield letters


def _has_signs(text: str) -> bool:
    return max(text) >= _FIRST_SIGN


def _texts(tree: Json, name: str = "") -> Iterator[tuple[str, bool]]:
    """Texts that a person may have written, and whether one that is short is so, too.

    A short word by itself is rather an option, such as "1080p".
    """
    if isinstance(tree, str):
        inner = parse_object(tree)
        if not isinstance(inner, str):
            yield from _texts(inner, name)
        elif name not in _NAMES:
            yield tree, bool(_WRITTEN.search(name)) or not tree.isascii() or " " in tree.strip()
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(value, str(key))
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _texts(value, name)
