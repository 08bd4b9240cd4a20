"""Makes text from platforms fit to show and store: valid, one line, no markup, no signatures."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote

MAX_LENGTH = 500  # characters shown of a platform's text
_LEAST = 6  # characters of a secret: a shorter one would be found in words that say nothing of it

_QUERY = re.compile(r"(https?://[^\s\"'<>?#]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
# Control characters, and marks that turn the direction of what follows.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible_text(body: bytes, most: int = MAX_LENGTH) -> str:
    """The visible text of the HTML `body`, in one line of at most `most` characters."""
    text = body[:65536].decode("utf-8", "replace")
    return shorten(html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text))), most)


def shorten(text: str, most: int = MAX_LENGTH) -> str:
    """`text` in one line of at most `most` characters, without those that control a terminal."""
    line = " ".join(_CONTROLS.sub(" ", text).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def valid_unicode(text: str) -> str:
    """`text` with halves of surrogate pairs joined, and lone ones replaced by U+FFFD.

    JSON can escape half a pair. Neither SQLite nor UTF-8 takes it.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def spellings(secret: str) -> list[str]:
    """How `secret` may stand in an answer that repeats it, the longest first.

    As it is, in an address, in JSON; of a name and a password (name:password), the password too.
    """
    plain = {secret, secret.partition(":")[2]}
    in_json = {json.dumps(one)[1:-1] for one in plain}
    every = {*plain, *in_json, *(one.replace("/", "\\/") for one in in_json)}
    every |= {quote(one, safe="", errors="replace") for one in plain}
    return sorted((one for one in every if len(one) >= _LEAST), key=len, reverse=True)


def scrub(text: str) -> str:
    """`text` without the queries of URLs, which may hold signatures and tokens."""
    return _QUERY.sub(r"\1", text) if "://" in text else text
