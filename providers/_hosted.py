"""Files that are hosted already: the same picture goes up once while its URL lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Hosted:
    """Remembers URLs. Everything runs on the engine's loop."""

    def __init__(self) -> None:
        self._urls: dict[str, tuple[str, float]] = {}
        self._under_way: dict[str, asyncio.Future[str]] = {}

    async def url(self, place: str, upload: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """The URL of the file that `place` names; `upload` gives one and the seconds it lives.

        Callers that come while the file is on its way wait for that upload, and share its failure.
        """
        now = asyncio.get_running_loop().time()
        known, until = self._urls.get(place, ("", 0.0))
        if now < until:
            return known
        if place not in self._under_way:
            self._under_way[place] = asyncio.ensure_future(self._upload(place, upload))
        # Shielded: one caller that is stopped must not take the upload from the others.
        return await asyncio.shield(self._under_way[place])

    async def _upload(self, place: str, upload: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        try:
            url, lives = await upload()
        finally:
            del self._under_way[place]
        now = asyncio.get_running_loop().time()
        self._urls = {at: kept for at, kept in self._urls.items() if now < kept[1]}
        if lives > 0:
            self._urls[place] = (url, now + lives)
        return url
