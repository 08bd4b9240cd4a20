"""Texts people read: English stands in the code, Chinese in locales/zh/messages.json."""

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
    """Speak `code` ("en", "zh", "zh-CN"...); None goes back to what the environment says."""
    global _chosen
    _chosen = _known(code) if code else None


def language() -> str:
    """The language in use: SKYPORT_LANG, what the host told us, the system's locale, English."""
    return _known(os.environ.get("SKYPORT_LANG")) or _chosen or _known(_system_locale()) or "en"


def _known(code: str | None) -> str | None:
    short = (code or "")[:2].lower()
    return short if short in LANGUAGES else None


def _system_locale() -> str:
    return os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""


@lru_cache(maxsize=1)
def _chinese() -> dict[str, str]:
    catalogue: dict[str, str] = json.loads(_MESSAGES.read_text(encoding="utf-8"))
    return catalogue
