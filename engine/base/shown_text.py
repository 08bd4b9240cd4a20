"""Text of platforms made fit to be shown: in one line, without markup, without signatures."""

from __future__ import annotations

import html
import re

MOST_WORDS = 500  # characters of a platform's text worth showing


_QUERY = re.compile(r"(https?://[^\s\"'<>?#]*)[?#][^\s\"'<>]*", re.IGNORECASE)


_UNSEEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)


_TAG = re.compile(r"<[^>]*>")


def visible_text(body: bytes, most: int = MOST_WORDS) -> str:
    """What a person would read in `body`: without tags, in one line, at most `most` characters."""
    text = body[:65536].decode("utf-8", "replace")
    return shortened(html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text))), most)


def shortened(text: str, most: int = MOST_WORDS) -> str:
    """`text` in one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def scrub(text: str) -> str:
    """`text` with every URL cut before its query: signatures and tokens live there."""
    return _QUERY.sub(r"\1", text)
