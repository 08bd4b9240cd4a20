"""The recent jobs as choices of a widget. Cheap, never an error: ComfyUI calls it all the time."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from typing import Any

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.ledger.ledger import Query
from ...engine.tasks import history

_MAX_AGE = 2.0  # seconds for which a list is used
_TIMEOUT = 0.2  # seconds that a form waits for a new one; the ledger may be locked by a writer
_MOST = 30
_log = logging.getLogger(__name__)


class _Recent:
    """The lines of the newest jobs, as of a moment ago."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._until = 0.0
        self._pending: concurrent.futures.Future[list[str]] | None = None
        self._lock = threading.Lock()

    def lines(self) -> list[str]:
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._update()
            finally:
                self._until = time.monotonic() + _MAX_AGE
                self._lock.release()
        return self._lines

    def _update(self) -> None:
        try:
            if self._pending is None:
                engine = providers.runner().engine
                self._pending = engine.start(engine.blocking(_newest))
            self._lines, self._pending = self._pending.result(_TIMEOUT), None
        except concurrent.futures.TimeoutError:
            return  # tried again in a moment
        except Exception as error:
            self._lines, self._pending = [], None
            _log.debug("Skyport cannot list the recent jobs: %s", error)


_recent = _Recent()


def choices() -> list[str]:
    """The choice for the newest job, then a line for each job that has or will have a result."""
    return [history.LATEST, *_recent.lines()]


def name_of(value: Any) -> str:
    """The value of a widget or a link as the name of a job."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def fingerprint_of(value: Any) -> Any:
    """Equal as long as `value` names the same job; None is a link, whose value is not known yet."""
    if value is not None and name_of(value) != history.LATEST:
        return name_of(value)
    try:
        row = history.latest(providers.ledger())
    except SkyportError:
        return float("nan")  # equal to nothing
    return row.id if row else 0


def _newest() -> list[str]:
    query = Query(states=history.RETRIEVABLE, limit=_MOST)
    return [history.line(row) for row in history.rows(providers.ledger(), query)]
