"""Who wants to know that a job or the ledger has changed. What is done about it is theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable

Subscriber = Callable[[str], None]

_log = logging.getLogger(__name__)
_subscribers: list[Subscriber] = []


def subscribe(call: Subscriber) -> Callable[[], None]:
    """Have `hear` called with the fingerprint of an order whose row has changed, "" where only a
    job on its way has. On any thread, many times a second: it must return at once.

    The returned function ends it.
    """
    _subscribers.append(call)
    return lambda: _subscribers.remove(call)


def notify(fingerprint: str = "") -> None:
    """Something has changed. Never raises: what is told of is already a fact."""
    for call in tuple(_subscribers):
        try:
            call(fingerprint)
        except Exception:
            _log.exception("Skyport could not tell of a change")
