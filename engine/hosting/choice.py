"""Which media host is used: the one in the setting `media_host`, else the first one set up."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from ..base.errors import InvalidInput
from ..base.types import MediaFile, Report, Request, no_report
from ..base.words import tr
from ..platforms.media_host import MediaHost
from ..platforms.registry import public_hosts
from ..settings import keys, settings
from . import s3

if TYPE_CHECKING:
    from ..platforms.provider import Provider

Connect = Callable[[str], "Provider"]


class ChosenHost:
    """The host that is set up, chosen when the first file needs one: most tasks have no files."""

    def __init__(self, label: str, connect: Connect) -> None:
        self._label = label
        self._connect = connect

    @cached_property
    def _host(self) -> MediaHost:
        return choose(self._label, self._connect)

    @property
    def upload_scope(self) -> str:
        return self._host.upload_scope

    def upload(self, file: MediaFile, report: Report = no_report) -> str:
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
    return _first_available(label, connect, current)


def _first_available(label: str, connect: Connect, current: settings.Settings) -> MediaHost:
    """The bucket if one is set up, as only its URLs expire; else the first platform with a key.

    A bucket that cannot be used is an error: files meant for it must not become public elsewhere.
    """
    if current.s3_bucket:
        return s3.bucket(current)
    with_key = (name for name in public_hosts() if keys.find(name))
    platform = next(with_key, None)
    if platform is None:
        raise no_media_host(label)
    return PlatformHost(connect(platform))


class PlatformHost:
    """A platform whose uploads are public."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._request = Request(provider.name, provider.public_uploads, {})

    @property
    def upload_scope(self) -> str:
        return self._provider.upload_scope(self._request)

    def upload(self, file: MediaFile, report: Report = no_report) -> str:
        return self._provider.upload(file, self._request, report)

    def url_lifetime(self, url: str) -> float:
        return self._provider.url_lifetime(url, self._request)


def no_media_host(label: str) -> InvalidInput:
    """The error for a file that the platform `label` needs at a URL, with no host for it."""
    return InvalidInput(
        tr("it accepts files only by public URL, and no media host is set up."),
        do=tr(
            "Three ways: set the key of a platform that hosts files (`skyport keys set "
            "{platforms}`); or set s3_bucket in the settings and its keys (`skyport keys set "
            "s3`); or link a public URL instead of the file.",
            platforms="|".join(public_hosts()),
        ),
        platform=label,
    )
