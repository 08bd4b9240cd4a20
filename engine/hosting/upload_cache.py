"""Files that are hosted already: the same picture goes up once while its URL lives."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ..base.background import Engine
from ..base.errors import SkyportError
from ..http.public_hosts import exact_exchange
from ..http.session import WIRE_ERRORS

_log = logging.getLogger(__name__)

_LEAST_LIFETIME = 900.0  # seconds; what lives no longer is not worth the disk
_BUSY = 2.0  # seconds to wait for another process; after that the file goes up once more
_TIMEOUT = (5.0, 10.0)

Upload = Callable[[], Awaitable[tuple[str, float]]]


class UploadCache:
    """Remembers URLs, and those of earlier processes by a Book. Runs on the engine's loop."""

    def __init__(self, engine: Engine, store: UploadUrlStore | None = None) -> None:
        self._engine = engine
        self._store = store
        self._urls: dict[str, tuple[str, float]] = {}
        self._under_way: dict[str, asyncio.Future[str]] = {}

    async def url(self, key: str, upload: Upload) -> str:
        """The URL of the file that `place` names; `upload` gives one and the seconds it lives.

        Callers that come while the file is on its way wait for that upload, and share its failure.
        """
        now = self._now()
        known, until = self._urls.get(key, ("", 0.0))
        if now < until:
            return known
        if key not in self._under_way:
            self._under_way[key] = asyncio.ensure_future(self._found(key, upload))
        # Shielded: one caller that is stopped must not take the upload from the others.
        return await asyncio.shield(self._under_way[key])

    async def _found(self, key: str, upload: Upload) -> str:
        try:
            url, lifetime = await self._remembered(key) or await self._uploaded(key, upload)
        finally:
            del self._under_way[key]
        now = self._now()
        self._urls = {at: kept for at, kept in self._urls.items() if now < kept[1]}
        if lifetime > 0:
            self._urls[key] = (url, now + lifetime)
        return url

    def _now(self) -> float:
        # A loop's clock may stand still while the machine sleeps: a URL's does not.
        return self._store.now() if self._store else asyncio.get_running_loop().time()

    async def _remembered(self, key: str) -> tuple[str, float] | None:
        store = self._store
        return await self._engine.blocking(lambda: store.find(key)) if store else None

    async def _uploaded(self, key: str, upload: Upload) -> tuple[str, float]:
        url, lifetime = await upload()
        store = self._store
        if store and lifetime > _LEAST_LIFETIME:
            await self._engine.blocking(lambda: store.note(key, url, lifetime))
        return url, lifetime


def is_there(url: str, own_host: str) -> bool:
    """Whether anyone can fetch `url`: its first byte is asked for, as HEAD would break a signature.

    `own_host` may be anywhere; any other must be public.
    """
    request = requests.Request("GET", url, headers={"Range": "bytes=0-0"})
    asking = exact_exchange(request, key={}, own_host=own_host, label="", timeout=_TIMEOUT)
    try:
        with asking as answer:
            return answer.status_code in (200, 206)
    except (SkyportError, *WIRE_ERRORS):
        return False


class UploadUrlStore:
    """URLs on this disk, for every process that uses it and for those to come.

    Never raises: what it cannot tell or keep costs an upload, and a file of it that is broken is
    begun again. It holds no keys; but whoever reads it can fetch what was uploaded.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time.time,
        is_there: Callable[[str, str], bool] = is_there,
    ) -> None:
        self.now = now
        self._path = path
        self._is_there = is_there

    def find(self, key: str) -> tuple[str, float] | None:
        """The URL kept for `place` and the seconds it lives on, None where there is none.

        It is asked whether the file is there still: hosts clear up, and a sandbox ends.
        """
        # A clock that was set back makes a note from the future, which is not believed.
        sql = "SELECT url, until FROM hosted WHERE place = ? AND noted <= ? AND until > ?"
        now = self.now()
        found = self._done(sql, key, now, now) if self._path.exists() else []
        own_host = urlsplit(key.split()[0]).hostname or ""
        if not found or not self._is_there(found[0][0], own_host):
            return None
        return found[0][0], found[0][1] - now

    def note(self, key: str, url: str, lifetime: float) -> None:
        now = self.now()
        self._done("DELETE FROM hosted WHERE until <= ?", now)
        sql = "INSERT OR REPLACE INTO hosted (place, url, noted, until) VALUES (?, ?, ?, ?)"
        self._done(sql, key, url, now, now + lifetime)

    def _done(self, sql: str, *values: str | float) -> list[tuple[str, float]]:
        try:
            with closing(self._opened()) as db, db:
                return db.execute(sql, values).fetchall()
        except (sqlite3.OperationalError, OSError) as error:  # busy, full, of a newer Skyport
            _log.debug("%s: %s", self._path, error)
        except sqlite3.DatabaseError as error:
            _log.debug("%s: %s", self._path, error)
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        return []

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self._path, timeout=_BUSY)
        try:
            db.execute(
                "CREATE TABLE IF NOT EXISTS hosted (place TEXT PRIMARY KEY, url TEXT NOT NULL, "
                "noted REAL NOT NULL, until REAL NOT NULL)"
            )
        except BaseException:
            db.close()
            raise
        return db
