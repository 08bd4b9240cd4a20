"""The language of the editor, for texts that are made here."""

from __future__ import annotations

import json
from pathlib import Path

import folder_paths

from ..providers import _settings
from ..providers._errors import SkyportError
from ..providers._words import use_language

_browser: str | None = None


def heard(locale: str) -> None:
    """The editor says which language it speaks."""
    global _browser
    _browser = locale
    follow_host()


def follow_host() -> None:
    """Speak the language of our own setting, else the one chosen in ComfyUI or its browser."""
    try:
        own = _settings.load().language
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
