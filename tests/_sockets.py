"""Follows the websockets of a host: its events, progress texts and preview pictures."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
from _waiting import PATIENCE

_TEXT, _PREVIEW = 3, 4  # kinds of binary messages


class Sockets:
    """One thread that follows the websocket of every running prompt."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="test-sockets", daemon=True
        )
        self._thread.start()

    def follow(self, url: str, client_id: str, on_event: Callable[[str, Any], None]) -> Any:
        """Calls `on_event` from the thread; returns once connected, with a thing to `cancel()`."""
        connected = threading.Event()
        work = self._follow(f"{url}/ws?clientId={client_id}", on_event, connected)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while not connected.wait(0.05):
            if future.done():
                future.result()
        return future

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _follow(self, url: str, on_event: Callable[[str, Any], None], connected: Any) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0) as socket,
        ):
            # Without this ComfyUI sends no preview pictures.
            wants = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
            await socket.send_json(wants)
            async for message in socket:
                for name, data in _read(message.data):
                    on_event(name, data)
                connected.set()  # the first message says that we are registered

    async def _cancel_all(self) -> None:
        others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _read(message: str | bytes) -> Iterator[tuple[str, Any]]:
    if isinstance(message, str):
        body = json.loads(message)
        yield body["type"], body["data"]
        return
    kind, length = struct.unpack(">II", message[:8])
    head, rest = message[8 : 8 + length], message[8 + length :]
    if kind == _TEXT:
        yield "text", {"node": head.decode(), "text": rest.decode()}
    elif kind == _PREVIEW:
        yield "preview", {**json.loads(head), "picture": rest}
