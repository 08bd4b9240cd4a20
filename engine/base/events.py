"""Who wants to know that a job or the ledger has changed. What is done about it is theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable

Listener = Callable[[str], None]

_log = logging.getLogger(__name__)
_listeners: list[Listener] = []


def listen(hear: Listener) -> Callable[[], None]:
    """Have `hear` called with the fingerprint of an order whose row has changed, "" where only a
    job on its way has. On any thread, many times a second: it must return at once.

    The returned function ends it.
    """
    _listeners.append(hear)
    return lambda: _listeners.remove(hear)


def tell(mark: str = "") -> None:
    """Something has changed. Never raises: what is told of is already a fact."""
    for hear in tuple(_listeners):
        try:
            hear(mark)
        except Exception:
            _log.exception("Skyport could not tell of a change")
