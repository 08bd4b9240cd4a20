"""Texts for users: English is in the code, Chinese in locales/zh/messages.json."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("en", "zh")
_MESSAGES = Path(__file__).parents[2] / "locales" / "zh" / "messages.json"
_chosen: str | None = None


def tr(text: str, /, **values: object) -> str:
    """`text` in the user's language with its `{placeholders}` filled in.

    `text` must be a literal: a test reads every call and checks that the Chinese catalogue has it.
    """
    return (_chinese().get(text, text) if language() == "zh" else text).format(**values)


def use_language(code: str | None) -> None:
    """Use the language `code` ("en", "zh", "zh-CN"...); None restores the environment's."""
    global _chosen
    _chosen = _supported(code) if code else None


def language() -> str:
    """The language in use: from SKYPORT_LANG, the host, the system's locale, else English."""
    return (
        _supported(os.environ.get("SKYPORT_LANG"))
        or _chosen
        or _supported(_system_locale())
        or "en"
    )


def _supported(code: str | None) -> str | None:
    short = (code or "")[:2].lower()
    return short if short in LANGUAGES else None


def _system_locale() -> str:
    return os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""


@lru_cache(maxsize=1)
def _chinese() -> dict[str, str]:
    catalogue: dict[str, str] = json.loads(_MESSAGES.read_text(encoding="utf-8"))
    return catalogue
