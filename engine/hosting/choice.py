"""Which media host is used: what the setting `media_host` names, else the first one set up."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from ..base.errors import InvalidInput
from ..base.types import MediaFile, Report, Request, silent
from ..base.words import tr
from ..platforms.media_host import MediaHost
from ..platforms.registry import public_hosts
from ..settings import keys, settings
from . import s3

if TYPE_CHECKING:
    from ..platforms.provider import Provider

Connect = Callable[[str], "Provider"]


class ChosenHost:
    """The host that is set up, looked for when the first file needs one: most tasks have none."""

    def __init__(self, label: str, connect: Connect) -> None:
        self._label = label
        self._connect = connect

    @cached_property
    def _host(self) -> MediaHost:
        return choose(self._label, self._connect)

    @property
    def upload_scope(self) -> str:
        return self._host.upload_scope

    def upload(self, file: MediaFile, report: Report = silent) -> str:
        return self._host.upload(file, report)

    def url_lifetime(self, url: str) -> float:
        return self._host.url_lifetime(url)


def choose(label: str, connect: Connect) -> MediaHost:
    """The media host for the platform `label`. Raises InvalidInput or MissingKey without one."""
    current = settings.load()
    if current.sandbox:  # nothing leaves this machine
        return PlatformHost(connect(public_hosts()[0]))
    if current.media_host == "s3":
        return s3.bucket(current)
    if current.media_host != "auto":
        return PlatformHost(connect(current.media_host))
    return _first_set_up(label, connect, current)


def _first_set_up(label: str, connect: Connect, current: settings.Settings) -> MediaHost:
    """A bucket first: who sets one up wants it used, and only its URLs end. Then the platforms.

    Where the bucket cannot be used that is an error: what is meant for it must not become public
    elsewhere.
    """
    if current.s3_bucket:
        return s3.bucket(current)
    keyed = (name for name in public_hosts() if keys.find(name))
    platform = next(keyed, None)
    if platform is None:
        raise no_media_host(label)
    return PlatformHost(connect(platform))


class PlatformHost:
    """A platform whose uploads anyone can fetch."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._request = Request(provider.name, provider.public_uploads, {})

    @property
    def upload_scope(self) -> str:
        return self._provider.upload_scope(self._request)

    def upload(self, file: MediaFile, report: Report = silent) -> str:
        return self._provider.upload(file, self._request, report)

    def url_lifetime(self, url: str) -> float:
        return self._provider.url_lifetime(url, self._request)


def no_media_host(label: str) -> InvalidInput:
    """The refusal of a file for platform `label` where it could be put nowhere."""
    return InvalidInput(
        tr("it takes files only by public URL, and no media host is set up."),
        do=tr(
            "Three ways: set the key of a platform that hosts for others (`skyport keys set "
            "{platforms}`); or set s3_bucket in the settings and its keys (`skyport keys set "
            "s3`); or link the file's public URL instead of the file.",
            platforms="|".join(public_hosts()),
        ),
        platform=label,
    )
