"""Tells the open pages of what changes in the jobs; says nothing while nothing does.

The event `skyport.jobs` carries {"live": jobs this process carries, "rows": rows of the ledger that
have changed, "notices": [{"mark", "message"}]}.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from functools import partial
from typing import Any

from server import PromptServer

from ... import providers
from ...engine.base import events
from ...engine.ledger.ledger import Row
from ...engine.ledger.sqlite_store import Store
from ...engine.tasks import history
from . import job_views

EVENT = "skyport.jobs"
_PAUSE = 0.35  # seconds in which changes are gathered: three events a second at most
_log = logging.getLogger(__name__)


class _Events:
    """Gathers changes from any thread, and sends them from the engine's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fingerprints: set[str] = set()
        self._notices: list[dict[str, str]] = []
        self._due = False
        self._sending: set[asyncio.Future[None]] = set()  # a loop holds its tasks only weakly

    def gather(self, fingerprint: str, notice: str = "") -> None:
        with self._lock:
            if fingerprint:
                self._fingerprints.add(fingerprint)
            if notice:
                self._notices.append({"mark": fingerprint, "message": notice})
            if self._due:
                return
            self._due = True
        providers.runner().engine.loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        sending = asyncio.ensure_future(self._send())
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send(self) -> None:
        await asyncio.sleep(_PAUSE)
        with self._lock:
            fingerprints, notices = self._fingerprints, self._notices
            self._fingerprints, self._notices, self._due = set(), [], False
        if PromptServer.instance.sockets:
            await providers.runner().engine.blocking(lambda: _tell(fingerprints, notices))


def _tell(fingerprints: set[str], notices: list[dict[str, str]]) -> None:
    """Send what is known now. What is no JSON would end ComfyUI's server, so it is left out."""
    try:
        told = {
            "live": job_views.running_jobs(),
            "rows": job_views.briefs(_rows(fingerprints)),
            "notices": notices,
        }
        json.dumps(told, allow_nan=False)
    except Exception:
        _log.exception("Skyport could not tell the browser of its jobs")
        return
    PromptServer.instance.send_sync(EVENT, told)


def _find(fingerprint: str, store: Store) -> Row | None:
    return store.find(fingerprint)


def _rows(fingerprints: set[str]) -> list[Row]:
    ledger = providers.ledger()
    found = [history.read(ledger, partial(_find, one)) for one in fingerprints]
    return [row for row in found if row is not None]


_events = _Events()


def begin() -> None:
    """Watch the jobs of this process, for its life."""
    events.subscribe(_events.gather)


def notice(fingerprint: str, message: Any) -> None:
    """Say something of a job to whoever looks at the list."""
    _events.gather(fingerprint, str(message))
