"""Which prompts a person has interrupted: ComfyUI takes its flag away once a node has seen it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import comfy.model_management as host

from . import prompt_queue

_log = logging.getLogger(__name__)
_interrupted: frozenset[str] = frozenset()  # ids of prompts
_watching = False


def watch() -> None:
    """From now on, notes which prompts are running when ComfyUI is asked to interrupt."""
    global _watching
    if not _watching:
        _watching = True
        host.interrupt_current_processing = _noting(host.interrupt_current_processing)


def was_interrupted(prompt_id: str) -> bool:
    """Whether the running prompt with this id has been interrupted since it was started."""
    return host.processing_interrupted() or prompt_id in _interrupted


def _noting(interrupt: Callable[..., None]) -> Callable[..., None]:
    """ComfyUI calls it with True to interrupt, and with False as a prompt starts."""

    @functools.wraps(interrupt)
    def noting(value: bool = True, *others: Any, **more: Any) -> None:
        global _interrupted
        _interrupted = _running() if value else frozenset()
        return interrupt(value, *others, **more)

    return noting


def _running() -> frozenset[str]:
    try:
        return prompt_queue.running()
    except Exception:  # an interrupt must get through
        _log.exception("Skyport could not read ComfyUI's queue")
        return frozenset()
