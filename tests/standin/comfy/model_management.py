"""The flag that Interrupt sets."""

from __future__ import annotations

import threading

_flag = threading.Event()


class InterruptProcessingException(Exception):
    """Ends the prompt without an error."""


def interrupt_current_processing(value: bool = True) -> None:
    _flag.set() if value else _flag.clear()


def processing_interrupted() -> bool:
    """Look only."""
    return _flag.is_set()


def throw_exception_if_processing_interrupted() -> None:
    """Look, and take the flag away: only the first caller sees it."""
    if _flag.is_set():
        _flag.clear()
        raise InterruptProcessingException
