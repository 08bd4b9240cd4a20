"""The assets of the Comfy API v2: uploads and outputs, by id and by hash, under signed URLs."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from ._files import StoredFile

URL_SECONDS = 3600.0  # how long a URL is valid


@dataclass(frozen=True)
class Asset:
    """A file under an id of its own; `file_path` as the client has named it."""

    id: str
    file: StoredFile
    file_path: str
    hash: str

    @property
    def in_workflow(self) -> str:
        """The name by which a node knows it."""
        return f"{self.id}.{self.file.ending}"


class Assets:
    """Every asset.

    blake3 is not in the standard library: the hash that a client states is believed, and that of
    SHA-256 stands in where it states none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(16)
        self._assets: dict[str, Asset] = {}
        self._targets: dict[str, tuple[str, float]] = {}

    def add(self, file: StoredFile, file_path: str, hash: str = "") -> Asset:
        asset = Asset(str(uuid.uuid4()), file, file_path, hash or hash_of(file.path))
        self._assets[asset.id] = asset
        return asset

    def get(self, id: Any) -> Asset | None:
        return self._assets.get(id) if isinstance(id, str) else None

    def with_hash(self, hash: Any) -> Asset | None:
        return next((each for each in self._assets.values() if each.hash == hash), None)

    def target(self, asset: Asset) -> tuple[str, float]:
        """Path and query of a URL that needs no key, below /api/v2, and when it ends."""
        known = self._targets.get(asset.id)
        if known is None or self._clock() >= known[1]:
            self._targets[asset.id] = known = self._new_target(asset.id)
        return known

    def _new_target(self, id: str) -> tuple[str, float]:
        ends = self._clock() + URL_SECONDS
        query = f"expires={ends:.0f}&signature={self._signature(id, f'{ends:.0f}')}"
        return f"/assets/{id}/content?{query}", ends

    def is_signed(self, id: str, query: str) -> bool:
        """Whether a query is that of a URL that still holds."""
        given = dict(parse_qsl(query))
        expires, signature = given.get("expires", ""), given.get("signature", "")
        is_ours = hmac.compare_digest(signature, self._signature(id, expires))
        return is_ours and self._clock() < float(expires)

    def _signature(self, id: str, expires: str) -> str:
        return hmac.new(self._secret, f"{id} {expires}".encode(), "sha256").hexdigest()


def hash_of(path: Path) -> str:
    return f"blake3:{hashlib.sha256(path.read_bytes()).hexdigest()}"
