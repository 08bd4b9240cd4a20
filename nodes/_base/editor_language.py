"""The language of the editor, for texts that the server produces."""

from __future__ import annotations

import json
from pathlib import Path

import folder_paths

from ...engine.base.errors import SkyportError
from ...engine.base.words import use_language
from ...engine.settings import settings

_browser_locale: str | None = None


def set_browser_locale(locale: str) -> None:
    """Remembers the locale that the editor reports."""
    global _browser_locale
    _browser_locale = locale
    update_language()


def update_language() -> None:
    """Uses the language of our own setting, else that of ComfyUI, else that of the browser."""
    try:
        own = settings.load().language
    except SkyportError:
        own = None
    use_language(own or _editor_language() or _browser_locale)


def _editor_language() -> str | None:
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        locale = json.loads(path.read_text(encoding="utf-8")).get("Comfy.Locale")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return locale if isinstance(locale, str) else None
