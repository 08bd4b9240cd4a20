"""Whether a request comes from ComfyUI's own page, by its Host, its Origin and Sec-Fetch-Site.

Pure, and the whole rule: see "Web pages" in docs/SECURITY.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from ...engine.base.shown_text import shorten
from ...engine.base.words import tr
from ...engine.http.session import Origin, origin

_OWN_SITE = ("same-origin", "none")  # none: the person typed the address
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?", re.ASCII)
_ORIGIN = re.compile(r"https?://[^/?#@\s]+", re.IGNORECASE)


class Headers(Protocol):
    """The headers of a request, case-insensitive; `multidict` provides them."""

    def getall(self, key: str, default: Sequence[str]) -> Sequence[str]: ...


def refusal(headers: Headers, scheme: str, *, loopback_only: bool, allowed: Collection[str]) -> str:
    """Why a request must not be answered, "" if it may be.

    scheme         of the connection: http or https
    loopback_only  whether ComfyUI listens on loopback addresses only
    allowed        further names of this ComfyUI, as in `allowed_hosts`
    """
    hosts = headers.getall("Host", ())
    host = _name(hosts[0]) if len(hosts) == 1 else ""
    if not _is_known(host, loopback_only, allowed):
        return tr(
            'Skyport does not answer under the name "{host}". Open ComfyUI at 127.0.0.1 or '
            "localhost. If a proxy or tunnel leads here, add the name to SKYPORT_ALLOWED_HOSTS and "
            "restart ComfyUI.",
            host=shorten(host or "; ".join(hosts), 100),
        )
    if not _is_own_page(headers, scheme, host):
        return tr(
            "The request came from a page of another origin. Open ComfyUI's own address. If a "
            "proxy or tunnel leads here, let it pass on Host, or X-Forwarded-Host, and "
            "X-Forwarded-Proto."
        )
    return ""


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without a port, always means this machine."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_known(host: str, loopback_only: bool, allowed: Collection[str]) -> bool:
    """Whether the name is one of ours, and not one that another site has pointed here.

    A browser lets a page read what is served under its own name, whatever machine that name leads
    to by now (DNS rebinding). Nobody can do that to an address or to localhost.
    """
    if not host:
        return False
    if is_loopback(host) or any(fnmatchcase(host, name) for name in allowed):
        return True
    return not loopback_only and (not allowed or _address(host) is not None)


def _is_own_page(headers: Headers, scheme: str, host: str) -> bool:
    if any(site not in _OWN_SITE for site in headers.getall("Sec-Fetch-Site", ())):
        return False
    ours = _own_origins(headers, scheme, host)
    return all(
        _ORIGIN.fullmatch(value) and origin(value.lower()) in ours
        for value in headers.getall("Origin", ())
    )


def _own_origins(headers: Headers, scheme: str, host: str) -> set[Origin | None]:
    """The origins under which a browser may have opened ComfyUI.

    A proxy may say under which name and scheme it was asked. A page of another origin cannot say it
    for one: a browser asks first whether it may send such a header, and ComfyUI says no.
    """
    names = [headers.getall("Host", ())[0], *_forwarded(headers, "X-Forwarded-Host")]
    schemes = _forwarded(headers, "X-Forwarded-Proto") or [scheme]
    if not is_loopback(host):
        # A proxy that ends TLS may not say so. No page of https can send to plain http itself.
        schemes.append("https")
    return {origin(f"{one}://{name}".lower()) for one in schemes for name in names} - {None}


def _forwarded(headers: Headers, name: str) -> list[str]:
    """What the outermost of several proxies has said, or nothing."""
    first = [value.partition(",")[0].strip() for value in headers.getall(name, ())[:1]]
    return [value for value in first if value]


def _name(host: str) -> str:
    """The name or address in a Host header, "" if it is none."""
    found = _HOST.fullmatch(host.strip())
    return found[1].strip("[]").lower().removesuffix(".") if found else ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
