"""Requests to URLs that a platform gives: public hosts only, sent byte for byte as given."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection

from ..base.errors import BadResult
from ..base.words import tr
from .session import (
    NORMAL_RATE,
    Session,
    Timeout,
    origin,
    origin_text,
    plain_host,
    shared_session,
)
from .slow_answers import MeteredAdapter, MinimumRate

_IP = ipaddress.IPv4Address | ipaddress.IPv6Address

# Proxy tools common in China answer every public name with an address of this benchmarking block
# ("fake-ip") and forward the connection to the real one. Nothing else uses that block.
_FAKE_IP = ipaddress.ip_network("198.18.0.0/15")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAMES = (".localhost", ".local", ".localdomain", ".internal", ".lan", ".home.arpa")


@contextmanager
def exact_exchange(
    request: requests.Request,
    *,
    key: Mapping[str, str],
    own_host: str,
    label: str,
    timeout: Timeout,
    rate: MinimumRate = NORMAL_RATE,
    kept: set[Session] | None = None,
) -> Iterator[requests.Response]:
    """Send `request` to the exact URL it has and yield the answer, its body not yet read.

    kept  the sessions of a client, for whose life connections are kept; None ends this one with the
          answer

    Signed URLs are opaque: path and query are sent byte for byte; only characters that cannot be
    sent (spaces, controls, non-ASCII) are percent-encoded. The platform's own host may be anywhere;
    any other must be public: the IP address connected to is checked. Raises BadResult otherwise.
    """
    server, target = _split_url(request.url, label)
    guarded = plain_host(urlsplit(server).hostname or "") != plain_host(own_host)
    if guarded and select_proxy(server, get_environ_proxies(server)):
        _refuse_local_name(server, label)
    request.url = server
    adapter = partial(_exact_adapter, label if guarded else None, rate)
    if kept is None:
        with Session(adapter) as session, _exchange(session, request, target, key, timeout) as own:
            yield own
        return
    key_of_session = (origin(server), label if guarded else None, rate)
    session = shared_session(key_of_session, adapter, kept)
    with _exchange(session, request, target, key, timeout) as response:
        yield response


def _exchange(
    session: Session,
    request: requests.Request,
    target: str,
    key: Mapping[str, str],
    timeout: Timeout,
) -> requests.Response:
    before = _target.set(target)
    try:
        return session.exchange(request, key, timeout)
    finally:
        _target.reset(before)


def is_public_address(address: str) -> bool:
    """Whether this IP address may be the one of a public host."""
    ip = _embedded_ipv4(ipaddress.ip_address(address.split("%")[0]))
    if ip in _FAKE_IP:
        return True
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_local_host(host: str) -> bool:
    """Whether `host`, a name or an IP address, is evidently in a local network or this machine."""
    literal = _parse_ip(plain_host(host))
    return _is_local_name(plain_host(host)) if literal is None else not is_public_address(literal)


def _is_local_name(host: str) -> bool:
    return "." not in host or host.endswith(_LOCAL_NAMES)


def _embedded_ipv4(ip: _IP) -> _IP:
    """The IPv4 address that an IPv6 address embeds, where packets to it end up; else `ip`."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _split_url(url: str, label: str) -> tuple[str, str]:
    """("https://host/", "/path?query"): the server, as requests will write it, and the target.

    Raises BadResult for anything but an http or https URL.
    """
    sendable = re.sub(
        r"[^\x21-\x7e]", lambda char: quote(char.group(), errors="replace"), url.strip()
    )
    match = re.match(r"https?://[^/?#]*([^#]*)", sendable, re.IGNORECASE)
    server = _normalized(origin_text(url.strip()))
    if match is None or server is None:
        raise BadResult(
            tr("The platform gave a result address that is not a web address."),
            do=tr("Report it to the platform: a result must be an http or https address."),
            platform=label,
        )
    target = match.group(1)
    return server, target if target.startswith("/") else f"/{target}"


def _normalized(server: str) -> str | None:
    """`server` with its host in the form that is resolved (IDNA, lower case); None if invalid."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(server, None)
    except (requests.RequestException, ValueError):
        return None
    return prepared.url if origin(prepared.url or "") else None


# -- connections --------------------------------------------------------------------------------


_target: ContextVar[str] = ContextVar("skyport_target", default="/")  # of the request being sent


def _exact_adapter(guard: str | None, rate: MinimumRate) -> MeteredAdapter:
    """Sends each request with exactly its `_target`, whatever requests and urllib3 make of it.

    guard  label of the platform whose URL must lead to a public address; None allows any address.
           A proxy resolves the name itself and may run on this machine, so it is not guarded.
    """
    mixins = [_ExactTarget] if guard is None else [_ExactTarget, _PublicOnly]
    return MeteredAdapter(rate, mixins, [_ExactTarget], {"guard": guard or ""})


class _ExactTarget(HTTPConnection):
    """Sends the target as given, where urllib3 would rewrite it: %2f to %2F, brackets to %5B."""

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        through_proxy = "" if url.startswith("/") else url[: url.index("/", url.index("://") + 3)]
        super().putrequest(method, through_proxy + _target.get(), *args, **kwargs)


class _PublicOnly(HTTPConnection):
    """Connects to public addresses only.

    The name is resolved once, and the address checked is the one connected to: a second lookup
    could be answered differently.
    """

    guard: ClassVar[str] = ""
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        addresses = _resolve(name, self.port)
        public = [address for address in addresses if is_public_address(address)]
        if addresses and not public:
            raise _not_public(name, addresses[0], self.guard)
        try:
            return self._connect_to_first(public)
        finally:
            self._dns_host = name

    def _connect_to_first(self, addresses: list[str]) -> socket.socket:
        for address in addresses[:-1]:
            self._dns_host = address
            try:
                return super()._new_conn()
            except Exception:  # try the next address; the error of the last is raised
                continue
        self._dns_host = addresses[-1]
        return super()._new_conn()


def _resolve(host: str, port: int | None) -> list[str]:
    ip = _parse_ip(host)
    if ip is not None:
        return [ip]
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


# -- names that a proxy resolves ----------------------------------------------------------------


def _refuse_local_name(server: str, label: str) -> None:
    """Raises BadResult for a name or literal IP address that is evidently not public."""
    host = plain_host(urlsplit(server).hostname or "")
    literal = _parse_ip(host)
    if literal is not None and not is_public_address(literal):
        raise _not_public(host, literal, label)
    if literal is None and _is_local_name(host):
        raise _not_public(host, tr("a name in the local network"), label)


def _parse_ip(host: str) -> str | None:
    """The IP address that `host` spells out, in any form resolvers accept (127.1, 0x7f000001)."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").split("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _not_public(host: str, address: str, label: str) -> BadResult:
    return BadResult(
        tr("{host} is not a public host ({address}): refused.", host=host, address=address),
        do=tr(
            "Results are fetched only from public hosts and the platform's own host: if you run "
            "{platform} yourself, set {name}_BASE_URL to that host.",
            platform=label,
            name=label.upper(),
        ),
        platform=label,
    )
