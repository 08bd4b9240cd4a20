"""Files that are hosted already: each is uploaded once while its URL is valid."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ..base import forks
from ..base.background import Engine
from ..base.errors import SkyportError
from ..base.lifetime import Lifetime
from ..base.types import ReusedUrl
from ..http.public_hosts import exact_exchange
from ..http.session import WIRE_ERRORS

_log = logging.getLogger(__name__)

_MIN_LIFETIME = 900.0  # seconds; shorter-lived URLs are not worth storing
_BUSY = 2.0  # seconds to wait for another process; then the file is uploaded again
_TIMEOUT = (5.0, 10.0)
_TOLERANCE = 60.0  # seconds by which another process may have read a later time

_one_at_a_time = forks.Lock(waits=True)  # SQLite must not be at work

Upload = Callable[[], Awaitable[tuple[str, float]]]


@dataclass(frozen=True, eq=False)
class _Hosted:
    """A URL that was hosted or found on disk, and the rest of its life."""

    url: str
    lifetime: Lifetime


class UploadCache:
    """Caches URLs, in an UploadUrlStore across processes. Runs on the engine's loop."""

    def __init__(self, engine: Engine, store: UploadUrlStore | None = None) -> None:
        self._engine = engine
        self._store = store
        self._hosted: dict[str, _Hosted] = {}
        self._under_way: dict[str, _Upload] = {}

    async def url(self, key: str, upload: Upload) -> str:
        """The URL stored under `key`, else the one from `upload`, which also returns its lifetime.

        A stored one is a ReusedUrl. Callers that come during an upload of the file wait for it,
        and share its failure.
        """
        hosted = self._hosted.get(key)
        if hosted is not None and not hosted.lifetime.is_over:
            return self._reused(key, hosted)
        if key not in self._under_way:
            self._under_way[key] = _Upload(asyncio.ensure_future(self._find_or_upload(key, upload)))
        under_way = self._under_way[key]
        try:
            return await under_way.join()
        finally:
            if under_way.is_over() and self._under_way.get(key) is under_way:
                del self._under_way[key]

    async def _find_or_upload(self, key: str, upload: Upload) -> str:
        found = await self._find_stored(key)
        url, lifetime = found or await self._upload_and_store(key, upload)
        hosted = _Hosted(url, self._lifetime(lifetime))
        self._drop_ended()
        if lifetime > 0:
            self._hosted[key] = hosted
        return self._reused(key, hosted) if found else url

    def _lifetime(self, seconds: float) -> Lifetime:
        monotonic = asyncio.get_running_loop().time
        return Lifetime(seconds, self._store.now if self._store else monotonic, monotonic)

    def _drop_ended(self) -> None:
        for key, hosted in list(self._hosted.items()):
            if hosted.lifetime.is_over:
                self._hosted.pop(key, None)

    def _reused(self, key: str, hosted: _Hosted) -> ReusedUrl:
        return ReusedUrl(hosted.url, lambda: self._forget(key, hosted))

    def _forget(self, key: str, hosted: _Hosted) -> None:
        """Drop `hosted`, unless another request has done so: then the file is hosted anew."""
        if self._hosted.get(key) is not hosted:
            return
        del self._hosted[key]
        if self._store:
            self._store.forget(key)

    async def _find_stored(self, key: str) -> tuple[str, float] | None:
        store = self._store
        return await self._engine.blocking(lambda: store.find(key)) if store else None

    async def _upload_and_store(self, key: str, upload: Upload) -> tuple[str, float]:
        url, lifetime = await upload()
        store = self._store
        if store and lifetime > _MIN_LIFETIME:
            await self._engine.blocking(lambda: store.note(key, url, lifetime))
        return url, lifetime


class _Upload:
    """An upload under way; the last caller to be cancelled cancels it."""

    def __init__(self, url: asyncio.Future[str]) -> None:
        self._url = url
        self._callers = 0

    async def join(self) -> str:
        self._callers += 1
        try:
            # Shielded: cancelling one caller must not cancel the upload for the others.
            return await asyncio.shield(self._url)
        finally:
            self._callers -= 1
            if not self._callers:
                self._url.cancel()

    def is_over(self) -> bool:
        """Whether it has ended, or nobody waits for it."""
        return self._url.done() or not self._callers


def is_fetchable(url: str, own_host: str) -> bool:
    """Whether `url` can be fetched. Requests its first byte, as HEAD would break a signature.

    `own_host` may be anywhere; any other host must be public.
    """
    request = requests.Request("GET", url, headers={"Range": "bytes=0-0"})
    exchange = exact_exchange(request, key={}, own_host=own_host, label="", timeout=_TIMEOUT)
    try:
        with exchange as answer:
            return answer.status_code in (200, 206)
    except (SkyportError, *WIRE_ERRORS):
        return False


class UploadUrlStore:
    """URLs in an SQLite file, for all current and future processes on this disk.

    Never raises: a URL that cannot be read or stored costs an upload, and a broken file is
    replaced. It holds no keys, but whoever reads it can fetch what was uploaded.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time.time,
        is_fetchable: Callable[[str, str], bool] = is_fetchable,
    ) -> None:
        self.now = now
        self._path = path
        self._is_fetchable = is_fetchable

    def find(self, key: str) -> tuple[str, float] | None:
        """The URL stored under `key` and the seconds it stays valid; None if there is none.

        Checks that the file is still there: hosts delete files, and a sandbox ends.
        """
        # After the clock was set back, a row may be from the future: it is not trusted.
        sql = "SELECT url, until FROM hosted WHERE place = ? AND noted <= ? AND until > ?"
        now = self.now()
        found = self._execute(sql, key, now, now) if self._path.exists() else []
        own_host = urlsplit(key.split()[0]).hostname or ""
        if not found or not self._is_fetchable(found[0][0], own_host):
            return None
        return found[0][0], found[0][1] - now

    def note(self, key: str, url: str, lifetime: float) -> None:
        now = self.now()
        # One of the future was noted with a wrong clock, which would prolong its life.
        self._execute("DELETE FROM hosted WHERE until <= ? OR noted > ?", now, now + _TOLERANCE)
        sql = "INSERT OR REPLACE INTO hosted (place, url, noted, until) VALUES (?, ?, ?, ?)"
        self._execute(sql, key, url, now, now + lifetime)

    def forget(self, key: str) -> None:
        """Drop the URL stored under `key`: the next request uploads the file."""
        if self._path.exists():
            self._execute("DELETE FROM hosted WHERE place = ?", key)

    def _execute(self, sql: str, *values: str | float) -> list[tuple[str, float]]:
        try:
            with _one_at_a_time, closing(self._connect()) as db, db:
                return db.execute(sql, values).fetchall()
        except (sqlite3.OperationalError, OSError) as error:  # busy, full, of a newer Skyport
            _log.debug("%s: %s", self._path, error)
        except sqlite3.DatabaseError as error:
            _log.debug("%s: %s", self._path, error)
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        return []

    def _connect(self) -> sqlite3.Connection:
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
