"""The prompt hook: sees each graph before ComfyUI validates it, cuts out what runs in a cloud, and
has noted what only a whole graph can tell."""

from __future__ import annotations

import logging
from typing import Any

from .._base import editor_language, prompt_marks
from .split_prompt import cut_prompt

_log = logging.getLogger(__name__)


def on_prompt(data: Any) -> Any:
    """`data`, a request to queue a prompt, with its prompt cut and marked.

    Whatever else is in it is left to ComfyUI, which refuses it in its own words.
    """
    editor_language.follow_host()
    prompt = data.get("prompt") if isinstance(data, dict) else None
    if isinstance(prompt, dict):
        data["prompt"] = prompt = cut_prompt(data)
        try:
            prompt_marks.fingerprint(prompt)
        except Exception:
            _log.exception("Skyport could not read the prompt")
    return data
