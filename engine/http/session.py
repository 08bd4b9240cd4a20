"""One HTTP exchange through `requests`, with its implicit behaviour switched off."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit
from weakref import WeakValueDictionary

import requests
import urllib3.exceptions
from requests.auth import AuthBase
from requests.utils import select_proxy

from ..base import forks, install
from ..base.words import tr
from .failures import setup_fault
from .slow_answers import MeteredAdapter, MinimumRate

Timeout = tuple[float, float]  # seconds to connect, seconds without a byte
Origin = tuple[str, str, int]  # scheme, host, port

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
NORMAL_RATE = MinimumRate()

# What a failed connection can raise from requests, urllib3 and the socket below them.
WIRE_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Session(requests.Session):
    """A session without cookies, redirects or ~/.netrc; HTTP(S)_PROXY and NO_PROXY are obeyed."""

    def __init__(self, adapter: Callable[[], MeteredAdapter]) -> None:
        super().__init__()
        self._adapter = adapter
        self._connect_anew()
        self.headers["User-Agent"] = f"ComfyUI-Skyport/{install.version()}"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        forks.watch(self)

    def _connect_anew(self) -> None:
        adapter = self._adapter()
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def before_fork(self) -> None:
        pass

    def after_fork(self, in_child: bool) -> None:
        if in_child:  # two processes on one connection would read each other's answers
            self._connect_anew()

    def exchange(
        self, request: requests.Request, key: Mapping[str, str], timeout: Timeout
    ) -> requests.Response:
        """Send `request` with the `key` headers; the body of the answer is not yet read."""
        request.auth = _KeyAuth(key)
        prepared = self.prepare_request(request)
        settings = self.merge_environment_settings(prepared.url or "", {}, True, None, None)
        try:
            return self.send(prepared, timeout=timeout, allow_redirects=False, **settings)
        except (*WIRE_ERRORS, ValueError) as error:
            proxy = select_proxy(prepared.url or "", settings["proxies"])
            fault = setup_fault(error, proxy, settings["verify"])
            if fault is None:
                raise
        raise fault

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Always None: requests would read a redirect's body and prepare the next request."""
        return None


class _KeyAuth(AuthBase):
    """Adds the key headers to a request.

    Without an auth object, even an empty one, requests reads ~/.netrc and replaces our
    Authorization header with what it finds there.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def shared_session(
    key: Hashable, adapter: Callable[[], MeteredAdapter], users: set[Session]
) -> Session:
    """The session of everybody who asks for `key`, so that they share its connections.

    users  the sessions that the caller uses: this one lives while one of those sets does
    """
    with _sharing:
        session = _shared.get(key) or Session(adapter)
        _shared[key] = session
    users.add(session)
    return session


_sharing = forks.Lock()
_shared: WeakValueDictionary[Hashable, Session] = WeakValueDictionary()


def origin(url: str) -> Origin | None:
    """Scheme, host and port of a URL; None if it is invalid or not http(s)."""
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
    """`host` normalised for comparison."""
    return host.lower().rstrip(".")


def origin_text(url: str) -> str:
    """The part of a URL that may be shown: scheme, host and port. A query may hold a signature."""
    parsed = origin(url)
    if parsed is None:
        return tr("an address that is not http")
    scheme, host, port = parsed
    shown = f"[{host}]" if ":" in host else host
    default_port = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{shown}" if port == default_port else f"{scheme}://{shown}:{port}"


def redirect_target(url: str, response: requests.Response) -> str | None:
    """The target of a redirect of `url`, byte for byte as sent; None if it is not a redirect."""
    location = response.headers.get("Location")
    if response.status_code not in REDIRECTS or not location:
        return None
    # requests decodes headers as Latin-1; hosts put unquoted UTF-8 there.
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
    """Whether fewer bytes came than Content-Length says: older urllib3 does not check."""
    expected = content_length(response)
    return expected is not None and int(response.raw.tell()) < expected


def content_length(response: requests.Response) -> int | None:
    """The bytes that an answer says it has; None if it does not, or nobody could count them."""
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
