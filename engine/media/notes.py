"""What a person should know of a file that could be read only in part."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_log = logging.getLogger("skyport")
_collecting: ContextVar[list[str] | None] = ContextVar("skyport_notes", default=None)


def note(text: str) -> None:
    """Logs `text`, and adds it to what `collected` collects in this thread."""
    _log.warning(text)
    texts = _collecting.get()
    if texts is not None and text not in texts:
        texts.append(text)


@contextmanager
def collected() -> Iterator[list[str]]:
    """The notes that are made inside, in order, each once."""
    texts: list[str] = []
    token = _collecting.set(texts)
    try:
        yield texts
    finally:
        _collecting.reset(token)
        outer = _collecting.get()
        if outer is not None:
            outer.extend(text for text in texts if text not in outer)
