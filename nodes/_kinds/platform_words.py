"""What platforms say of their parameters, in the language of the interface where it is known."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from ...engine.base.words import language, tr

_ENGLISH = Path(__file__).parents[2] / "locales" / "en" / "platforms.json"
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_SENTENCE = re.compile(r"[A-Za-z']+,? [A-Za-z']+,? [A-Za-z']+")


def translated(text: str) -> str:
    """`text` with each line of a platform's document in the interface's language."""
    if language() != "en" or not _CHINESE.search(text):
        return text
    return "\n".join(_english().get(line.strip(), line) for line in text.splitlines())


def readable(label: str) -> str:
    """`label` in the interface's language, "" where it is known in Chinese only."""
    found = translated(label)
    return "" if language() == "en" and _CHINESE.search(found) else found


def shown_name(label: str, name: str) -> str | None:
    """The name of a field in the editor: a Chinese label in a Chinese interface, else its own."""
    is_ours = language() == "zh" and _CHINESE.search(label)
    return f"{label} ({name})" if is_ours else None


def foreign_note(text: str) -> str:
    """Says so where `text`, a platform's, is in the other language; else ""."""
    if language() == "en" and _CHINESE.search(text):
        return tr("In the platform's own words, which are Chinese.")
    if language() == "zh" and _SENTENCE.search(text) and not _CHINESE.search(text):
        return tr("In the platform's own words, which are English.")
    return ""


@lru_cache(maxsize=1)
def _english() -> dict[str, str]:
    texts: dict[str, str] = json.loads(_ENGLISH.read_text(encoding="utf-8"))
    return texts
