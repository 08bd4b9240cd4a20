"""The language of the editor, for texts that are made here."""

from __future__ import annotations

import json
from pathlib import Path

import folder_paths

from ...engine.base.errors import SkyportError
from ...engine.base.words import use_language
from ...engine.settings import settings

_browser: str | None = None


def heard(locale: str) -> None:
    """The editor says which language it speaks."""
    global _browser
    _browser = locale
    follow_host()


def follow_host() -> None:
    """Speak the language of our own setting, else the one chosen in ComfyUI or its browser."""
    try:
        own = settings.load().language
    except SkyportError:
        own = None
    use_language(own or _editor_language() or _browser)


def _editor_language() -> str | None:
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        chosen = json.loads(path.read_text(encoding="utf-8")).get("Comfy.Locale")
    except (OSError, ValueError, AttributeError):
        return None
    return chosen if isinstance(chosen, str) else None
