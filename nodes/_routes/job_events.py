"""Tells the open pages of what changes in the jobs; says nothing while nothing does.

The event `skyport.jobs` carries {"live": jobs this process carries, "rows": rows of the ledger that
have changed, "notices": [{"mark", "message"}]}.
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
_PAUSE = 0.35  # seconds in which changes are gathered: three events a second at most
_log = logging.getLogger(__name__)


class _Events:
    """Gathers changes from any thread, and sends them from the engine's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: set[str] = set()
        self._notices: list[dict[str, str]] = []
        self._due = False
        self._sending: set[asyncio.Future[None]] = set()  # a loop holds its tasks only weakly

    def hear(self, mark: str, notice: str = "") -> None:
        with self._lock:
            if mark:
                self._marks.add(mark)
            if notice:
                self._notices.append({"mark": mark, "message": notice})
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
            marks, notices = self._marks, self._notices
            self._marks, self._notices, self._due = set(), [], False
        if PromptServer.instance.sockets:
            await providers.runner().engine.blocking(lambda: _tell(marks, notices))


def _tell(marks: set[str], notices: list[dict[str, str]]) -> None:
    """Send what is known now. What is no JSON would end ComfyUI's server, so it is left out."""
    try:
        told = {
            "live": job_views.on_the_way(),
            "rows": job_views.briefs(_rows(marks)),
            "notices": notices,
        }
        json.dumps(told, allow_nan=False)
    except Exception:
        _log.exception("Skyport could not tell the browser of its jobs")
        return
    PromptServer.instance.send_sync(EVENT, told)


def _rows(marks: set[str]) -> list[Row]:
    ledger = providers.ledger()
    found = [history.read(ledger, lambda store, mark=mark: store.find(mark)) for mark in marks]
    return [row for row in found if row is not None]


_events = _Events()


def begin() -> None:
    """Watch the jobs of this process, for its life."""
    events.listen(_events.hear)


def notice(mark: str, message: Any) -> None:
    """Say something of a job to whoever looks at the list."""
    _events.hear(mark, str(message))
