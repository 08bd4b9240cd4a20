"""Which pages of the editor are open, and whether somebody looks at one of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from server import PromptServer

from ...engine.notices.message import Message

EVENT = "skyport.notice"
_MOST = 200  # pages that are remembered


@dataclass(frozen=True)
class Page:
    """What a page has reported of itself.

    can_show  whether the browser allows it to show notices
    """

    visible: bool
    can_show: bool


class OpenPages:
    """The pages by the ids of their WebSockets: one whose socket is gone is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[str, Page] = {}

    def report(self, client: str, page: Page) -> None:
        """Remember what a page says; the latest report is last."""
        with self._lock:
            self._pages.pop(client, None)
            self._pages[client] = page
            while len(self._pages) > _MOST:
                del self._pages[next(iter(self._pages))]

    def is_watched(self) -> bool:
        return any(page.visible for page in self._open().values())

    def show(self, message: Message) -> bool:
        hidden = [client for client, page in self._open().items() if page.can_show]
        if hidden:
            payload = {"title": message.title, "body": message.body}
            PromptServer.instance.send_sync(EVENT, payload, hidden[-1])
        return bool(hidden)

    def _open(self) -> dict[str, Page]:
        sockets = PromptServer.instance.sockets
        with self._lock:
            return {client: page for client, page in self._pages.items() if client in sockets}


pages = OpenPages()
