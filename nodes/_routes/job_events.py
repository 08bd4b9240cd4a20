"""Notifies open pages of changes in the jobs; sends nothing while nothing changes.

The event `skyport.jobs` has {"live": jobs running in this process, "running": how many there
are, "rows": ledger rows that have changed, "notices": [{"mark", "message", "severity"}]};
severity is "info", "warn" or "error".
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

from server import PromptServer

from ... import providers
from ...engine.base import events
from ...engine.ledger.ledger import Row
from ...engine.tasks import history
from . import job_views

EVENT = "skyport.jobs"
_PAUSE = 0.35  # seconds for which changes are collected: three events a second at most
_log = logging.getLogger(__name__)


class _Events:
    """Collects changes from any thread, and sends them from the engine's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fingerprints: set[str] = set()
        self._notices: list[dict[str, str]] = []
        self._due = False
        self._sending: set[asyncio.Future[None]] = set()  # a loop holds its tasks only weakly

    def gather(self, fingerprint: str, notice: dict[str, str] | None = None) -> None:
        with self._lock:
            if fingerprint:
                self._fingerprints.add(fingerprint)
            if notice:
                self._notices.append({"mark": fingerprint, **notice})
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
            await providers.runner().engine.blocking(lambda: _send_event(fingerprints, notices))


def _send_event(fingerprints: set[str], notices: list[dict[str, str]]) -> None:
    """Sends the current state; never invalid JSON, which would stop ComfyUI's server."""
    try:
        payload = {
            **job_views.running_jobs(),
            "rows": job_views.briefs(_rows(fingerprints)),
            "notices": notices,
        }
        json.dumps(payload, allow_nan=False)
    except Exception:
        _log.exception("Skyport could not send the browser its jobs")
        return
    PromptServer.instance.send_sync(EVENT, payload)


def _rows(fingerprints: set[str]) -> list[Row]:
    asked = sorted(fingerprints)
    return history.read(providers.ledger(), lambda view: view.find_all(asked))


_events = _Events()


def begin() -> None:
    """Watches the jobs of this process until it ends."""
    events.subscribe(_events.gather)


def notice(fingerprint: str, message: Any, severity: str = "error") -> None:
    """Shows a message about a job on every open list."""
    _events.gather(fingerprint, {"message": str(message), "severity": severity})
