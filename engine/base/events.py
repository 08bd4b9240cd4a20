"""Notifies subscribers that a job or the ledger has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable

Subscriber = Callable[[str], None]

_log = logging.getLogger(__name__)
_subscribers: list[Subscriber] = []


def subscribe(call: Subscriber) -> Callable[[], None]:
    """Call `call` with the fingerprint of an order whose row has changed, or with "" if only a job
    in progress has. On any thread, many times a second: it must return at once.

    The returned function unsubscribes it.
    """
    _subscribers.append(call)
    return lambda: _subscribers.remove(call)


def notify(fingerprint: str = "") -> None:
    """Notify all subscribers of a change. Never raises: the change has already happened."""
    for call in tuple(_subscribers):
        try:
            call(fingerprint)
        except Exception:
            _log.exception("Skyport could not notify a subscriber of a change")
