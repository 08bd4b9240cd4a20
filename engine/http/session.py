"""One HTTP exchange through `requests`, with everything it does behind our back switched off."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from importlib import metadata
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions
from requests.auth import AuthBase

from ..base.words import tr

Timeout = tuple[float, float]  # seconds to connect, seconds without a byte
Origin = tuple[str, str, int]  # scheme, host, port

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5

# What a dead wire can raise out of requests, urllib3 and the socket below them.
WIRE_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Session(requests.Session):
    """A session without cookies, redirects or ~/.netrc; HTTP(S)_PROXY and NO_PROXY are honoured."""

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"ComfyUI-Skyport/{version()}"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def exchange(
        self, request: requests.Request, key: Mapping[str, str], timeout: Timeout
    ) -> requests.Response:
        """Send `request` with the `key` headers; the body of the answer is not read yet."""
        request.auth = _Key(key)
        prepared = self.prepare_request(request)
        settings = self.merge_environment_settings(prepared.url or "", {}, True, None, None)
        return self.send(prepared, timeout=timeout, allow_redirects=False, **settings)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: requests would read a redirect's whole body and prepare the next request."""
        return None


class _Key(AuthBase):
    """Puts the key headers on a request. Without an auth object, even an empty one, requests looks
    into ~/.netrc and replaces our Authorization with what it finds there."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


@lru_cache(maxsize=1)
def version() -> str:
    """Skyport's version; "0" where it runs from a plain folder, as under ComfyUI."""
    try:
        return metadata.version("skyport")
    except metadata.PackageNotFoundError:
        return "0"


def origin(url: str) -> Origin | None:
    """Whom a URL talks to; None when that cannot be told or is not http."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return (
        parts.scheme,
        plain_host(parts.hostname),
        port or {"http": 80, "https": 443}[parts.scheme],
    )


def plain_host(host: str) -> str:
    """A host name in the one form in which two of them can be compared."""
    return host.lower().rstrip(".")


def origin_text(url: str) -> str:
    """The part of a URL that may be shown: scheme, host and port. A query may hold a signature."""
    found = origin(url)
    if found is None:
        return tr("an address that is not http")
    scheme, host, port = found
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{shown}" if port == usual else f"{scheme}://{shown}:{port}"


def redirect_target(url: str, response: requests.Response) -> str | None:
    """Where a redirect of `url` leads, byte for byte as the host wrote it; None when it is none."""
    location = response.headers.get("Location")
    if response.status_code not in REDIRECTS or not location:
        return None
    # Header bytes arrive as Latin-1; what hosts put there unquoted is UTF-8.
    location = location.encode("latin-1", "replace").decode("utf-8", "replace").strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        return location
    parts = urlsplit(url)
    if location.startswith("//"):
        return f"{parts.scheme}:{location}"
    if location.startswith("/"):
        return f"{parts.scheme}://{parts.netloc}{location}"
    return urljoin(url, location)


def cut_short(response: requests.Response) -> bool:
    """True when fewer bytes came than Content-Length promised: older urllib3 does not tell."""
    promised = response.headers.get("Content-Length", "")
    return promised.isdigit() and int(response.raw.tell()) < int(promised)


def describe_failure(error: BaseException) -> str:
    """What went wrong on the wire, in plain words: the exceptions' own texts hold whole URLs."""
    chain = list(_chain(error))

    def met(*kinds: type[BaseException]) -> Any:
        return next((e for e in chain if isinstance(e, kinds)), None)

    if met(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return tr("the proxy did not let the connection through")
    if met(ssl.SSLError, requests.exceptions.SSLError):
        reason = getattr(met(ssl.SSLError), "reason", None) or "TLS"
        return tr("no secure connection could be made ({reason})", reason=reason)
    if met(socket.gaierror):
        return tr("the host name could not be resolved")
    if met(ConnectionRefusedError):
        return tr("the connection was refused")
    if met(urllib3.exceptions.ConnectTimeoutError):
        return tr("no connection could be made in time")
    if met(TimeoutError, socket.timeout, urllib3.exceptions.ReadTimeoutError):
        return tr("no answer came in time")
    if met(urllib3.exceptions.NewConnectionError):
        return tr("no connection could be made")
    return tr("the connection was cut")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and all it was made of: urllib3 keeps causes in args and `reason` as well."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (*link.args, getattr(link, "reason", None), link.__cause__, link.__context__)
        waiting.extend(e for e in inner if isinstance(e, BaseException))
