"""Which hosts a platform may send us to, and requests that reach them byte for byte as given."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection

from ..base.errors import BadResult
from ..base.words import tr
from .session import Session, Timeout, origin, origin_text, plain_host

_IP = ipaddress.IPv4Address | ipaddress.IPv6Address

# Proxy tools common in China answer every public name with an address of this benchmarking block
# ("fake-ip") and carry the connection to the real one. Nothing else lives there.
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
) -> Iterator[requests.Response]:
    """Send `request` to the very address in its URL and yield the answer, its body not yet read.

    Signed URLs are opaque: path and query go out byte for byte; only what cannot travel (spaces,
    controls, non-ASCII) is percent-encoded. The platform's own host may be anywhere; any other must
    be public, checked on the address that is connected to. Raises BadResult for a host refused.
    """
    where, target = _split(request.url, label)
    guarded = plain_host(urlsplit(where).hostname or "") != plain_host(own_host)
    if guarded and select_proxy(where, get_environ_proxies(where)):
        _refuse_local_name(where, label)
    request.url = where
    with Session() as session:
        adapter = _ExactAdapter(target, label if guarded else None)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        with session.exchange(request, key, timeout) as response:
            yield response


def permitted(address: str) -> bool:
    """Whether a public host may live at this IP address."""
    ip = _inner(ipaddress.ip_address(address.split("%")[0]))
    if ip in _FAKE_IP:
        return True
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _inner(ip: _IP) -> _IP:
    """The IPv4 address that an IPv6 one stands for: the packet ends there."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _split(url: str, label: str) -> tuple[str, str]:
    """("https://host/", "/path?query"): whom to ask, as requests will spell it, and for what.

    Raises BadResult for what is no http or https address.
    """
    sendable = re.sub(
        r"[^\x21-\x7e]", lambda char: quote(char.group(), errors="replace"), url.strip()
    )
    cut = re.match(r"https?://[^/?#]*([^#]*)", sendable, re.IGNORECASE)
    where = _spelled(origin_text(url.strip()))
    if cut is None or where is None:
        raise BadResult(
            tr("The address given for a result is not one of the web."),
            do=tr("Ask the platform: a result must be an http or https address."),
            platform=label,
        )
    target = cut.group(1)
    return where, target if target.startswith("/") else f"/{target}"


def _spelled(where: str) -> str | None:
    """`where` with its host in the form that is looked up (IDNA, lower case), or None."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(where, None)
    except (requests.RequestException, ValueError):
        return None
    return prepared.url if origin(prepared.url or "") else None


# -- connections --------------------------------------------------------------------------------


class _ExactAdapter(HTTPAdapter):
    """Carries one request, whose target is `target` whatever requests and urllib3 make of it.

    guard  label of the platform whose results must not come from private addresses; None: no guard
    """

    def __init__(self, target: str, guard: str | None) -> None:
        self._target = target
        self._guard = guard
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _refit(
            self.poolmanager, [_Exact] if self._guard is None else [_Exact, _Guarded], self._facts
        )

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """A proxy resolves the name itself, and may well live on this machine: no guard here."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _refit(manager, [_Exact], self._facts)
        return manager

    @property
    def _facts(self) -> dict[str, Any]:
        return {"exact_target": self._target, "guard": self._guard or ""}


def _refit(manager: Any, mixins: list[type], facts: dict[str, Any]) -> None:
    """Have every connection that `manager` opens behave like `mixins`."""
    validated = {}
    for scheme, pool in manager.pool_classes_by_scheme.items():
        connection = type("Connection", (*mixins, pool.ConnectionCls), facts)
        validated[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = validated


class _Exact(HTTPConnection):
    """Sends the target as given. urllib3 rewrites it: %2f to %2F, brackets to %5B."""

    exact_target: ClassVar[str] = "/"

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        through_proxy = "" if url.startswith("/") else url[: url.index("/", url.index("://") + 3)]
        super().putrequest(method, through_proxy + self.exact_target, *args, **kwargs)


class _Guarded(HTTPConnection):
    """Connects to public addresses only. The name is resolved once, and the address checked is the
    one connected to: a second look-up could be answered differently."""

    guard: ClassVar[str] = ""
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        addresses = _resolved(name, self.port)
        public = [address for address in addresses if permitted(address)]
        if addresses and not public:
            raise _refused(name, addresses[0], self.guard)
        try:
            return self._first_of(public)
        finally:
            self._dns_host = name

    def _first_of(self, addresses: list[str]) -> socket.socket:
        for address in addresses[:-1]:
            self._dns_host = address
            try:
                return super()._new_conn()
            except Exception:  # the next address may do; the last one's error is raised
                continue
        self._dns_host = addresses[-1]
        return super()._new_conn()


def _resolved(host: str, port: int | None) -> list[str]:
    literal = _literal(host)
    if literal is not None:
        return [literal]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# -- names, where a proxy does the resolving ----------------------------------------------------


def _refuse_local_name(where: str, label: str) -> None:
    """Raises BadResult for a name or literal address that says itself that it is not public."""
    host = plain_host(urlsplit(where).hostname or "")
    literal = _literal(host)
    if literal is not None and not permitted(literal):
        raise _refused(host, literal, label)
    if literal is None and ("." not in host or host.endswith(_LOCAL_NAMES)):
        raise _refused(host, tr("a name of the local network"), label)


def _literal(host: str) -> str | None:
    """The address a host name spells out, in any form resolvers take (127.1, 0x7f000001)."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").split("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _refused(host: str, address: str, label: str) -> BadResult:
    return BadResult(
        tr("{host} is not a public host ({address}): refused.", host=host, address=address),
        do=tr(
            "Results are fetched only from public hosts and from the platform's own: if you run "
            "{platform} yourself, set {name}_BASE_URL to that host.",
            platform=label,
            name=label.upper(),
        ),
        platform=label,
    )
