"""Which prompt is an earlier one that is queued again, as ComfyUI ended before it had run."""

from __future__ import annotations

import uuid

_SPACE = uuid.UUID("6f0c5a0e-5d5b-4b0e-9c1c-7d0c8f1f2a63")
_MOST = 32  # ends of ComfyUI that one prompt is followed over


def next_id(prompt_id: str) -> str:
    """The id under which a prompt that did not run is queued again; always the same one."""
    return str(uuid.uuid5(_SPACE, prompt_id))


def is_same_prompt(earlier: str, now: str) -> bool:
    """Whether `now` is the id of the prompt `earlier`, or of that prompt queued again."""
    for _ in range(_MOST if earlier and now else 0):
        if earlier == now:
            return True
        earlier = next_id(earlier)
    return False
