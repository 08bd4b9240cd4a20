"""The services that notices are sent to, each an address of the library Apprise, and sending."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ..base import forks, install
from ..base.errors import InvalidInput, TransportError
from ..base.shown_text import shorten
from ..base.words import tr
from ..settings import keys, notify_urls
from ..tasks.public_view import redact

REQUIREMENT = "apprise>=1.7.6"  # the first with Feishu
_MOST = 20  # services
_PAGE = "https://github.com/caronc/apprise/wiki"


@dataclass(frozen=True, repr=False)
class Channel:
    """One service. Printing, formatting or logging it is safe.

    url     holds a token or a password
    source  "environment" or "file"
    """

    url: str
    source: str

    @property
    def id(self) -> str:
        """By which it is known without its address."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:12]

    def masked(self) -> str:
        """Its kind and its end, to recognise it by: "tgram://...1234"."""
        schema, _, rest = self.url.partition("://")
        return f"{schema}://{keys.Key(rest, self.source).masked()}"

    def __repr__(self) -> str:
        return f"Channel({self.masked()}, {self.source})"


def is_installed() -> bool:
    """Whether the library that sends to them is installed."""
    return find_spec("apprise") is not None


def how_to_install() -> str:
    """The command that installs it."""
    return install.pip(f'"{REQUIREMENT}"')


def listed() -> list[Channel]:
    """Those of the environment, then those that were added. Raises InvalidInput."""
    named = [Channel(url, "environment") for url in notify_urls.from_environment()]
    added = [Channel(url, "file") for url in notify_urls.stored()]
    return list({channel.url: channel for channel in (*added, *named)}.values())


def add(url: str) -> Channel:
    """Store a service; nothing is sent to it.

    Raises InvalidInput where Apprise cannot use the address, which is not repeated.
    """
    channel = Channel("".join(url.split()), "file")
    _service(channel)
    with notify_urls.updating() as stored:
        if channel.url not in stored:
            if len(stored) >= _MOST:
                raise InvalidInput(tr("At most {count} services can be kept.", count=_MOST))
            stored.append(channel.url)
    return channel


def require(id: str) -> Channel:
    """The service with this id or this number in the list. Raises InvalidInput."""
    for number, channel in enumerate(listed(), 1):
        if id in (channel.id, str(number)):
            return channel
    raise InvalidInput(
        tr("There is no such service."), do=tr("`skyport notify list` shows their numbers.")
    )


def remove(channel: Channel) -> None:
    """Forget a service. Raises InvalidInput where it is the environment that names it."""
    if channel.source == "environment":
        variable = notify_urls.VARIABLE
        raise InvalidInput(
            tr("It is set in the environment variable {variable}.", variable=variable)
        )
    with notify_urls.updating() as stored:
        if channel.url in stored:
            stored.remove(channel.url)


def send(channel: Channel, title: str, body: str) -> None:
    """Send one notice; proxies are those of the environment.

    Raises InvalidInput where nothing can be sent, TransportError where it has not arrived.
    """
    service = _service(channel)
    import apprise

    with _silenced(channel) as words:
        try:
            arrived = service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
        except Exception as error:  # of the library's plugin
            words.append(type(error).__name__)
            arrived = False
    if not arrived:
        reason = _reason(channel, words) or tr("no reason is known")
        raise TransportError(
            tr("The notice was not sent: {reason}", reason=reason), platform=channel.masked()
        )


def _service(channel: Channel) -> Any:
    if not is_installed():
        raise InvalidInput(
            tr("Notices to other services need the Python package apprise."),
            do=tr("Run {command} and restart.", command=how_to_install()),
        )
    import apprise

    service = apprise.Apprise()
    with _silenced(channel) as words:
        is_known = bool(channel.url) and service.add(channel.url)
    if not is_known:
        reason = _reason(channel, words) or tr("no reason is known")
        raise InvalidInput(
            tr("Apprise cannot use this address: {reason}", reason=reason),
            do=tr("How each service's address is written: {page}", page=_PAGE),
        )
    return service


def _reason(channel: Channel, words: list[str]) -> str:
    text = "; ".join(dict.fromkeys(words))
    for secret in notify_urls.secrets_in(channel.url):
        text = text.replace(secret, "...")
    return shorten(str(redact(text)))


# -- what the library and its connections log may hold a token ----------------------------------


class _Silencer(logging.Filter):
    """Keeps what the library logs while we send, whichever of its threads does.

    The library's errors become ours; of its connections, only what shows no secret is logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sending = forks.Lock()  # one at a time, so that an error has one service
        self.words: list[str] | None = None
        self.secrets: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if self.words is None:
            return True
        text = record.getMessage()
        if record.name != _LIBRARY:
            return not any(secret in text for secret in self.secrets)
        if record.levelno >= logging.WARNING:
            self.words.append(text)
        return False


_LIBRARY = "apprise"
_silencer = _Silencer()


@contextmanager
def _silenced(channel: Channel) -> Iterator[list[str]]:
    """The errors that the library reports in here."""
    with _silencer.sending:
        for name in (_LIBRARY, "urllib3.connectionpool"):
            logging.getLogger(name).addFilter(_silencer)
        _silencer.secrets = notify_urls.secrets_in(channel.url)
        words: list[str] = []
        _silencer.words = words
        try:
            yield words
        finally:
            _silencer.words = None
