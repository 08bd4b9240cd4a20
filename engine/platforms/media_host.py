"""Where media are put for a platform that has no upload of its own; which one: _media_choice.py."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from ..base.errors import InvalidInput
from ..base.types import MediaFile, Report, Request, silent
from ..base.words import say

if TYPE_CHECKING:
    from .provider import Provider


class MediaHost(Protocol):
    """Gives files public URLs. Every method may be called from any thread, and may block."""

    @property
    def shelf(self) -> str:
        """Names the place, its address first, and whose it is, without a secret: one shelf holds a
        file once.

        Raises InvalidInput or MissingKey, ahead of any upload, where it cannot be used.
        """

    def upload(self, file: MediaFile, report: Report = silent) -> str:
        """The public URL of `file`. One attempt; safe to repeat."""

    def lives(self, url: str) -> float:
        """Seconds for which `url` may be handed out again: a queued task needs it later still."""


class PlatformHost:
    """A platform whose uploads anyone can fetch."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._request = Request(provider.name, provider.public_uploads, {})

    @property
    def shelf(self) -> str:
        return self._provider.shelf(self._request)

    def upload(self, file: MediaFile, report: Report = silent) -> str:
        return self._provider.upload(file, self._request, report)

    def lives(self, url: str) -> float:
        return self._provider.lives(url, self._request)


def account(*secrets: str) -> str:
    """Tells two accounts apart, far too short to tell anything of their keys."""
    return hashlib.sha256("\n".join(secrets).encode()).hexdigest()[:8]


def no_media_host(label: str) -> InvalidInput:
    """The refusal of a file for platform `label` where it could be put nowhere."""
    from .registry import public_hosts  # here: a platform is what this module serves

    return InvalidInput(
        say("it takes files only by public URL, and no media host is set up."),
        do=say(
            "Three ways: set the key of a platform that hosts for others (`skyport keys set "
            "{platforms}`); or set s3_bucket in the settings and its keys (`skyport keys set "
            "s3`); or link the file's public URL instead of the file.",
            platforms="|".join(public_hosts()),
        ),
        platform=label,
    )
