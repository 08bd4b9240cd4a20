"""What hosts media for a platform without uploads of its own. Choosing one: engine/hosting."""

from __future__ import annotations

import hashlib
from typing import Protocol

from ..base.types import MediaFile, Report, no_report


class MediaHost(Protocol):
    """Gives files public URLs. Every method may block and may be called from any thread."""

    @property
    def upload_scope(self) -> str:
        """Names the storage, address first, and the account, without a secret.

        Within one scope, a file is uploaded once and its URL reused. Raises InvalidInput or
        MissingKey, ahead of any upload, where the host cannot be used.
        """

    def upload(self, file: MediaFile, report: Report = no_report) -> str:
        """The public URL of `file`. One attempt; safe to repeat."""

    def url_lifetime(self, url: str) -> float:
        """Seconds for which `url` may be reused, with time left for a queued task to fetch it."""


def account(*secrets: str) -> str:
    """A hash that distinguishes accounts, too short to reveal anything about their keys."""
    return hashlib.sha256("\n".join(secrets).encode()).hexdigest()[:8]
