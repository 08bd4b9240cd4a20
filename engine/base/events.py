"""Notifies subscribers that a job or the ledger has changed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress

Subscriber = Callable[[str], None]

_log = logging.getLogger(__name__)
_subscribers: list[Subscriber] = []

if hasattr(os, "register_at_fork"):  # a child would write into the connections of its parent
    os.register_at_fork(after_in_child=_subscribers.clear)


def subscribe(call: Subscriber) -> Callable[[], None]:
    """Call `call` with the fingerprint of an order whose row has changed, or with "" if only a job
    in progress has. On any thread, many times a second: it must return at once.

    The returned function unsubscribes it.
    """
    _subscribers.append(call)
    return lambda: _unsubscribe(call)


def _unsubscribe(call: Subscriber) -> None:
    with suppress(ValueError):  # in a forked process
        _subscribers.remove(call)


def notify(fingerprint: str = "") -> None:
    """Notify all subscribers of a change. Never raises: the change has already happened."""
    for call in tuple(_subscribers):
        try:
            call(fingerprint)
        except Exception:
            _log.exception("Skyport could not notify a subscriber of a change")
