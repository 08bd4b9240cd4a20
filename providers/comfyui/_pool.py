"""The servers as this process speaks to them, and which one is to take the next task."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ...engine.base import forks
from ...engine.base.errors import AuthRejected, SkyportError, TransportError
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.session import origin
from . import _servers
from ._detect import DetectedDialect
from ._dialect import Dialect
from ._native import NativeDialect
from ._servers import LABEL, Server
from ._v2 import V2Dialect

_DIALECTS: Mapping[str, Callable[[Http], Dialect]] = {
    "auto": DetectedDialect,
    "native": NativeDialect,
    "v2": V2Dialect,
}
_TIMEOUT = (5.0, 60.0)  # seconds to connect, and without a byte
_UNSEEN_FOR = 60.0  # seconds within which a task on its way is in the queue of its server


class Pool:
    """The servers of servers.json. May be used from any thread."""

    def __init__(self) -> None:
        self._dialects: dict[tuple[Server, tuple[str, ...]], Dialect] = {}

    def dialect(self, server: Server) -> Dialect:
        """What speaks to `server`, as its address and key are now."""
        headers = server.auth_headers()
        key = server, tuple(headers.values())
        if key not in self._dialects:
            http = Http(LABEL, server.address, headers, timeout=_TIMEOUT)
            self._dialects[key] = _DIALECTS[server.dialect](http)
        return self._dialects[key]

    def http_at(self, url: str) -> Http | None:
        """The server that serves `url`; None where none does."""
        own = (one for one in _servers.listed() if origin(one.address) == origin(url))
        server = next(own, None)
        return self.dialect(server).http if server else None

    def least_busy(self, servers: Sequence[Server]) -> Server:
        """The one of these with the shortest queue. Raises the first error where none answers."""
        if not servers:
            raise _servers.no_server()
        if len(servers) == 1:
            return servers[0]
        with ThreadPoolExecutor(len(servers), "skyport-comfyui") as threads:
            queues = list(threads.map(self._queue, servers))
        errors = [one for one in queues if isinstance(one, SkyportError)]
        if len(errors) == len(servers):
            raise errors[0]
        lengths = {
            server: queue
            for server, queue in zip(servers, queues, strict=True)
            if isinstance(queue, int)
        }
        return ON_THEIR_WAY.pick(lengths)

    def _queue(self, server: Server) -> int | SkyportError:
        try:
            with naming(server):
                return self.dialect(server).queue_length()
        except SkyportError as error:
            return error


@contextmanager
def naming(server: Server) -> Iterator[None]:
    """Errors say which server it is, and what to do about it."""
    try:
        yield
    except SkyportError as error:
        error.platform = f"{LABEL} ({server.name})"
        if isinstance(error, TransportError):
            error.do = tr(
                "Check that ComfyUI is running at {address} and takes connections from other "
                "machines (--listen), then queue again.",
                address=server.address,
            )
        elif isinstance(error, AuthRejected):
            error.do = tr(
                "Check the key of the server {name}, and how it is sent: {header}.",
                name=server.name,
                header=server.header,
            )
        raise


class OnTheirWay:
    """Tasks that were given a server and are not in its queue yet: their files are going up."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = forks.Lock()
        self._picked: defaultdict[str, list[float]] = defaultdict(list)  # by the server's name

    def pick(self, queues: Mapping[Server, int]) -> Server:
        """The server with the shortest queue, those on their way included; the first of equals."""
        with self._lock:
            chosen = min(queues, key=lambda server: queues[server] + self._count(server.name))
            self._picked[chosen.name].append(self._now())
            return chosen

    def arrived(self, name: str) -> None:
        """One of them has been sent to the server of this name."""
        with self._lock:
            if self._picked[name]:
                self._picked[name].pop(0)

    def _count(self, name: str) -> int:
        oldest = self._now() - _UNSEEN_FOR
        self._picked[name] = [moment for moment in self._picked[name] if moment >= oldest]
        return len(self._picked[name])


ON_THEIR_WAY = OnTheirWay()
