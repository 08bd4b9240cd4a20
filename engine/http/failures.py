"""What went wrong with a connection, in words: the exceptions' own texts hold full URLs."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import requests
import urllib3.exceptions

from ..base.install import pip
from ..base.words import tr
from .slow_answers import TooSlow

# OpenSSL's codes for a certificate whose issuer is not among the known authorities.
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})
_PROXY_ERRORS = (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)
_SOCKS_ERRORS = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)
_TLS_ERRORS = (ssl.SSLError, requests.exceptions.SSLError)
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class SetupFault(requests.RequestException):
    """A fault of this machine's proxy or CA certificates; the text says which, and what to do."""


def describe_failure(error: BaseException) -> str:
    """What went wrong with the connection."""
    first = _Causes(error).first
    if fault := first(SetupFault):
        return str(fault)
    if first(ssl.SSLCertVerificationError):
        return _untrusted(first(ssl.SSLCertVerificationError))
    if first(*_TLS_ERRORS):
        reason = getattr(first(ssl.SSLError), "reason", None) or "TLS"
        return tr("no secure connection could be established ({reason})", reason=reason)
    if first(TooSlow):
        return tr("its answer came too slowly")
    if first(socket.gaierror):
        return tr("the host name could not be resolved")
    if first(ConnectionRefusedError):
        return tr("the connection was refused")
    if first(urllib3.exceptions.ConnectTimeoutError):
        return tr("the connection timed out")
    if first(TimeoutError, socket.timeout, urllib3.exceptions.ReadTimeoutError):
        return tr("it did not answer in time")
    if first(urllib3.exceptions.NewConnectionError):
        return tr("no connection could be established")
    return tr("the connection was cut")


def setup_fault(
    error: BaseException, proxy: str | None, verify: bool | str | None
) -> SetupFault | None:
    """The fault of this machine behind `error`, None where it is somebody else's.

    proxy   the proxy that the request was sent through
    verify  the file or folder of CA certificates, else True
    """
    words = _ca_fault(error, verify) or (_proxy_fault(error, proxy) if proxy else "")
    return SetupFault(words) if words else None


# -- proxies ------------------------------------------------------------------------------------


def _proxy_fault(error: BaseException, proxy: str) -> str:
    if isinstance(error, ValueError):  # requests' exceptions for addresses are ValueErrors
        return _unusable_proxy(proxy, lacks_package="SOCKS support" in str(error))
    causes = _Causes(error)
    if not causes.first(*_PROXY_ERRORS, *(_SOCKS_ERRORS if _is_socks(proxy) else ())):
        return ""
    if refusal := causes.matching(r"Tunnel connection failed: (\d+)"):
        return _refusal(proxy, refusal[1])
    if causes.matching("use HTTP and not HTTPS"):
        return tr(
            "the proxy {proxy} speaks http itself: its address must begin with http://",
            proxy=_shown(proxy),
        )
    return tr(
        "the proxy {proxy} cannot be used: {why}. Check HTTPS_PROXY and HTTP_PROXY",
        proxy=_shown(proxy),
        why=describe_failure(error),
    )


def _unusable_proxy(proxy: str, lacks_package: bool) -> str:
    if lacks_package and re.match(r"socks[45]", proxy, re.IGNORECASE):
        return tr(
            "the proxy {proxy} needs another package: run {command} and restart",
            proxy=_shown(proxy),
            command=pip("pysocks"),
        )
    return tr(
        "{proxy} is not the address of a proxy: correct HTTPS_PROXY or HTTP_PROXY, as in "
        "http://host:port",
        proxy=_shown(proxy),
    )


def _is_socks(proxy: str) -> bool:
    return proxy.lower().startswith("socks")


def _refusal(proxy: str, status: str) -> str:
    if status == "407":
        return tr(
            "the proxy {proxy} asks for a user name and a password (407): write them into its "
            "address, as in http://name:password@host:port",
            proxy=_shown(proxy),
        )
    return tr(
        "the proxy {proxy} refused the connection ({status})", proxy=_shown(proxy), status=status
    )


def _shown(proxy: str) -> str:
    """The address without the user name and password in it."""
    return re.sub(r"[^/]*@", "", proxy)


# -- certificates -------------------------------------------------------------------------------


def _untrusted(error: Any) -> str:
    reason = getattr(error, "verify_message", "") or "TLS"
    if getattr(error, "verify_code", 0) not in _UNKNOWN_ISSUER:
        return tr("no secure connection could be established ({reason})", reason=reason)
    return tr(
        "its certificate is of an unknown authority ({reason}): where a company's network opens "
        "secure connections, set REQUESTS_CA_BUNDLE to the file of the company's CA certificate",
        reason=reason,
    )


def _ca_fault(error: BaseException, verify: bool | str | None) -> str:
    """What is wrong with the CA certificates that the environment names, "" if nothing is."""
    # requests raises a bare OSError where they do not exist.
    is_bare = not isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError))
    if not isinstance(verify, str) or not (is_bare or _Causes(error).first(*_TLS_ERRORS)):
        return ""
    where = {"cafile": None, "capath": verify} if os.path.isdir(verify) else {"cafile": verify}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**where)
    except ssl.SSLError:
        return _bad_bundle(verify, tr("it holds no certificate"))
    except OSError as error:
        return _bad_bundle(verify, error.strerror or str(error))
    return ""


def _bad_bundle(path: str, why: str) -> str:
    named = [name for name in _CA_VARIABLES if os.environ.get(name) == path]
    return tr(
        "the CA certificates in {path}, which {variable} names, cannot be used: {why}",
        path=path,
        variable=named[0] if named else _CA_VARIABLES[0],
        why=why,
    )


# -- causes -------------------------------------------------------------------------------------


class _Causes:
    """An exception and all its causes: urllib3 also keeps causes in args and `reason`."""

    def __init__(self, error: BaseException) -> None:
        self._all = list(_causes(error))

    def first(self, *kinds: type[BaseException]) -> Any:
        return next((e for e in self._all if isinstance(e, kinds)), None)

    def matching(self, pattern: str) -> re.Match[str] | None:
        return next((found for e in self._all if (found := re.search(pattern, str(e)))), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (*link.args, getattr(link, "reason", None), link.__cause__, link.__context__)
        waiting.extend(e for e in inner if isinstance(e, BaseException))
