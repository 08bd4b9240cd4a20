"""The prompt hook: splits and annotates each prompt before ComfyUI validates it."""

from __future__ import annotations

import logging
from typing import Any

from ...engine.workflows.api_format import Workflow
from ...engine.workflows.split import refused_node
from .._base import editor_language, head_start, kept_queue, practice, prompt_marks, queued_again
from .request import not_ready
from .split_prompt import split_prompt

_log = logging.getLogger(__name__)


def on_prompt(data: Any) -> Any:
    """`data`, a request to queue a prompt, with its prompt split and annotated.

    Anything malformed is left to ComfyUI, which reports it itself.
    """
    editor_language.update_language()
    prompt = data.get("prompt") if isinstance(data, dict) else None
    if isinstance(prompt, dict):
        queued_again.use_id_in(data)
        practice.note(data)
        kept_queue.note(data)  # as it was queued, not as it is split
        data["prompt"] = prompt = _refuse_unready(split_prompt(data))
        try:
            prompt_marks.annotate(prompt)
        except Exception:
            _log.exception("Skyport could not read the prompt")
        head_start.note(data)
    return data


def _refuse_unready(prompt: Workflow) -> Workflow:
    """What could not be sent is refused now, not after everything else has run."""
    refused = {k: refused_node(prompt[k], reason) for k, reason in not_ready(prompt).items()}
    return {**prompt, **refused} if refused else prompt
