"""The recent jobs as choices of a widget. Cheap, and never an error: forms ask all the time."""

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

_FRESH = 2.0  # seconds for which a list serves
_PATIENCE = 0.2  # seconds that a form waits for a new one; the ledger may be locked by a writer
_MOST = 30
_log = logging.getLogger(__name__)


class _Recent:
    """The lines of the newest jobs, as of a moment ago."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._until = 0.0
        self._asking: concurrent.futures.Future[list[str]] | None = None
        self._lock = threading.Lock()

    def lines(self) -> list[str]:
        if time.monotonic() >= self._until and self._lock.acquire(blocking=False):
            try:
                self._ask()
            finally:
                self._until = time.monotonic() + _FRESH
                self._lock.release()
        return self._lines

    def _ask(self) -> None:
        try:
            if self._asking is None:
                engine = providers.runner().engine
                self._asking = engine.start(engine.blocking(_newest))
            self._lines, self._asking = self._asking.result(_PATIENCE), None
        except concurrent.futures.TimeoutError:
            return  # looked for again in a moment
        except Exception as error:
            self._lines, self._asking = [], None
            _log.debug("Skyport cannot list the recent jobs: %s", error)


_recent = _Recent()


def choices() -> list[str]:
    """The word for the newest, then a line for each job that has or will have a result."""
    return [history.LATEST, *_recent.lines()]


def name_of(value: Any) -> str:
    """What a widget or a link says, as the name of a job."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def meant_by(value: Any) -> Any:
    """Equal as long as `value` means the same job; of a link (None) the value is not known yet."""
    if value is not None and name_of(value) != history.LATEST:
        return name_of(value)
    try:
        row = history.latest(providers.ledger())
    except SkyportError:
        return float("nan")  # equal to nothing
    return row.id if row else 0


def _newest() -> list[str]:
    query = Query(states=history.FRUITFUL, limit=_MOST)
    return [history.line(row) for row in history.rows(providers.ledger(), query)]
