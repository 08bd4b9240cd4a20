"""Which prompts were queued in practice mode: no platform gets their orders once it is left."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.words import tr
from ...engine.settings import settings
from . import prompt_queue

_MARK = "skyport_practice"


def note(data: Any) -> None:
    """Mark `data`, a request to queue a prompt, where practice mode is on."""
    extra_data = data.setdefault("extra_data", {})
    with suppress(SkyportError):  # settings that are broken are told by what needs them
        if isinstance(extra_data, dict) and settings.load().sandbox:
            extra_data[_MARK] = True


def check(prompt_id: str) -> None:
    """Raises InvalidInput where the prompt was queued in practice mode, which has been left."""
    if not settings.load().sandbox and prompt_queue.extra_data_of(prompt_id).get(_MARK):
        raise InvalidInput(
            tr("This was queued in practice mode, which has been left. Nothing was sent."),
            do=tr("Queue it again: it is sent to the platform then, and charged."),
        )
