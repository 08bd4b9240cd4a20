"""The server object that packs reach as `PromptServer.instance`."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import struct
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from aiohttp import web

TEXT, PREVIEW = 3, 4  # kinds of binary messages


class PromptQueue:
    """What packs may read of the queue: the history by prompt id, what is running, what waits."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.history: dict[str, Any] = {}
        self.currently_running: dict[int, Any] = {}
        self.queue: list[Any] = []


class PromptServer:
    """Routes, messages to browsers, and hooks that see a prompt before it is checked."""

    instance: PromptServer

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        PromptServer.instance = self
        self.loop = loop
        self.app = web.Application()
        self.routes = web.RouteTableDef()
        self.client_id: str | None = None
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.on_prompt_handlers: list[Callable[[Any], Any]] = []
        self.prompt_queue = PromptQueue()
        self.user_manager = SimpleNamespace(get_request_user_id=lambda request: "default")
        self._messages: asyncio.Queue[tuple[Any, Any, str | None]] = asyncio.Queue()

    def add_on_prompt_handler(self, handler: Callable[[Any], Any]) -> None:
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, body: Any) -> Any:
        """Each handler in turn; one that raises is passed over."""
        for handler in self.on_prompt_handlers:
            try:
                body = handler(body)
            except Exception:
                logging.exception("a prompt handler failed")
        return body

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        """Queue a message from any thread; without `sid` for every browser."""
        self.loop.call_soon_threadsafe(self._messages.put_nowait, (event, data, sid))

    def send_progress_text(self, text: Any, node_id: str, sid: str | None = None) -> None:
        body = text.encode() if isinstance(text, str) else bytes(text)
        name = str(node_id).encode()
        self.send_sync(TEXT, struct.pack(">I", len(name)) + name + body, sid)

    async def publish(self) -> None:
        """Send what is queued. Nothing guards it: a message that cannot be sent ends the server."""
        while True:
            event, data, sid = await self._messages.get()
            message = _message(event, data)
            for name, socket in list(self.sockets.items()):
                if sid in (None, name):
                    await _send(socket, message)


def _message(event: Any, data: Any) -> str | bytes:
    if event == PREVIEW:
        about, picture = data
        head = json.dumps(about).encode()
        return struct.pack(">II", PREVIEW, len(head)) + head + _encoded(picture)
    if isinstance(data, bytes):
        return struct.pack(">I", event) + data
    return json.dumps({"type": event, "data": data})


def _encoded(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=picture.format or "JPEG")  # JPEG fails for RGBA and palettes
    return buffer.getvalue()


async def _send(socket: web.WebSocketResponse, message: str | bytes) -> None:
    try:
        if isinstance(message, str):
            await socket.send_str(message)
        else:
            await socket.send_bytes(message)
    except ConnectionError:
        logging.info("a browser went away")
