"""Secure connections: certificates read once, and sessions taken up again on new connections."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from typing import Any, ClassVar

from urllib3.connection import HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from ..base import forks

_MOST_SESSIONS = 256  # hosts

_Sessions = dict[tuple[str | None, int], ssl.SSLSession]


class SharedTrust(HTTPSConnection):
    """Mixed into connections: those that trust the same CA certificates share one context.

    Reading the certificates takes tens of milliseconds of CPU, and urllib3 would do it for every
    connection. A context changes with the files it was read from.
    """

    def connect(self) -> None:
        named = self.ssl_context, self.ca_certs, self.ca_cert_dir
        proxy: Any = getattr(self, "proxy", None)
        if proxy is None or proxy.scheme == "http":  # a proxy's own certificate needs the files
            self._share_context()
        try:
            super().connect()
        finally:  # it may connect again once the files have changed
            self.ssl_context, self.ca_certs, self.ca_cert_dir = named

    def _share_context(self) -> None:
        # What is wrong with the files is found, and raised, by urllib3 where it reads them.
        with suppress(OSError, ValueError):
            context = _context(self.ca_certs, self.ca_cert_dir)
            if context is not None:
                self.ssl_context, self.ca_certs, self.ca_cert_dir = context, None, None


class _ResumingSocket(ssl.SSLSocket):
    """Takes up the last session with its host: without another check of its certificate."""

    sessions: ClassVar[_Sessions]
    _peer: tuple[str | None, int] | None = None  # until its session is kept

    def do_handshake(self, block: bool = False) -> None:
        peer = self.server_hostname, int(self.getpeername()[1])
        if session := self.sessions.get(peer):
            self.session = session
        try:
            super().do_handshake(block)
        except BaseException:
            self.sessions.pop(peer, None)  # the host may not be able to take it up
            raise
        self._peer = peer

    def recv_into(self, *args: Any, **more: Any) -> int:
        size = super().recv_into(*args, **more)
        if self._peer is not None:  # a TLS 1.3 session comes with the first bytes of an answer
            self._keep_session(self._peer)
            self._peer = None
        return size

    def _keep_session(self, peer: tuple[str | None, int]) -> None:
        session = self.session
        if session is not None and (session.has_ticket or session.id):
            if len(self.sessions) >= _MOST_SESSIONS:
                self.sessions.clear()
            self.sessions[peer] = session


_contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}
_making = forks.Lock()


def _context(file: str | None, folder: str | None) -> ssl.SSLContext | None:
    """The context of these CA certificates as they are now; None where none are named.

    Raises OSError or ValueError where they cannot be read.
    """
    named = [path for path in (file, folder) if path]
    if not named:
        return None
    stats = [os.stat(path) for path in named]
    key = (file, folder, *((each.st_mtime_ns, each.st_size, each.st_ino) for each in stats))
    with _making:
        if key not in _contexts:
            _contexts[key] = _new_context(file, folder)
        return _contexts[key]


def _new_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(file, folder)
    context.options &= ~ssl.OP_NO_TICKET  # TLS 1.2 takes a session up by its ticket, as browsers do
    sessions: _Sessions = {}
    context.sslsocket_class = type("Socket", (_ResumingSocket,), {"sessions": sessions})
    return context
