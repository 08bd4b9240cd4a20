"""Texts for users: English is in the code, Chinese in locales/zh/messages.json."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("en", "zh")
_MESSAGES = Path(__file__).parents[2] / "locales" / "zh" / "messages.json"
_language = ""


def tr(text: str, /, **values: object) -> str:
    """`text` in the user's language with its `{placeholders}` filled in.

    `text` must be a literal: a test reads every call and checks that the Chinese catalogue has it.
    """
    return (_chinese().get(text, text) if language() == "zh" else text).format(**values)


def use_language(code: str | None) -> None:
    """Use SKYPORT_LANG, the language `code` ("en", "zh-CN"...), the system's locale or English.

    The first of these that there is; the environment is read here, not for each text.
    """
    global _language
    wanted = (os.environ.get("SKYPORT_LANG"), code, _system_locale())
    _language = next(filter(None, map(_supported, wanted)), "en")


def language() -> str:
    """The language in use, "en" or "zh"."""
    if not _language:
        use_language(None)
    return _language


def _supported(code: str | None) -> str | None:
    short = (code or "")[:2].lower()
    return short if short in LANGUAGES else None


def _system_locale() -> str:
    return os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""


@lru_cache(maxsize=1)
def _chinese() -> dict[str, str]:
    catalogue: dict[str, str] = json.loads(_MESSAGES.read_text(encoding="utf-8"))
    return catalogue
