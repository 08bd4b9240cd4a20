"""Where media are put for a platform that has no upload of its own; which one: engine/hosting."""

from __future__ import annotations

import hashlib
from typing import Protocol

from ..base.types import MediaFile, Report, silent


class MediaHost(Protocol):
    """Gives files public URLs. Every method may be called from any thread, and may block."""

    @property
    def upload_scope(self) -> str:
        """Names the place, its address first, and whose it is, without a secret: one shelf holds a
        file once.

        Raises InvalidInput or MissingKey, ahead of any upload, where it cannot be used.
        """

    def upload(self, file: MediaFile, report: Report = silent) -> str:
        """The public URL of `file`. One attempt; safe to repeat."""

    def url_lifetime(self, url: str) -> float:
        """Seconds for which `url` may be handed out again: a queued task needs it later still."""


def account(*secrets: str) -> str:
    """Tells two accounts apart, far too short to tell anything of their keys."""
    return hashlib.sha256("\n".join(secrets).encode()).hexdigest()[:8]
