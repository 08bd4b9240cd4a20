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
_SILENT_FOR = (
    60.0  # seconds for which a server that did not answer gets no task that may go elsewhere
)


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
        """The one of these with the shortest queue. Raises SkyportError where none answers."""
        if not servers:
            raise _servers.no_server()
        if len(servers) == 1:
            return servers[0]
        queues = self._queues(servers)
        lengths = {one: queue for one, queue in queues.items() if isinstance(queue, int)}
        if not lengths:
            raise none_answers([one for one in queues.values() if isinstance(one, SkyportError)])
        return ON_THEIR_WAY.pick(lengths)

    def any_answers(self, servers: Sequence[Server]) -> bool:
        """Whether at least one of these tells its queue now."""
        return any(isinstance(queue, int) for queue in self._queues(servers).values())

    def _queues(self, servers: Sequence[Server]) -> dict[Server, int | SkyportError]:
        """How long the queue of each is, or why that is not known."""
        if not servers:
            return {}
        with ThreadPoolExecutor(len(servers), "skyport-comfyui") as threads:
            return dict(zip(servers, threads.map(self._queue, servers), strict=True))

    def _queue(self, server: Server) -> int | SkyportError:
        try:
            with naming(server):
                length = self.dialect(server).queue_length()
        except SkyportError as error:
            SILENT.add(server)
            return error
        SILENT.discard(server)
        return length


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


def none_answers(errors: Sequence[SkyportError]) -> SkyportError:
    """The error where no server answers: that of the first, and what the others say."""
    first, *others = errors
    if others:
        said = "; ".join(f"{error.platform}: {error.what}" for error in others)
        first.what = tr("{what} No other server answers either: {said}", what=first.what, said=said)
    return first


class Silent:
    """The servers that have not answered lately: left out while there are others."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[Server, float] = {}

    def add(self, server: Server) -> None:
        self._since[server] = self._now()

    def discard(self, server: Server) -> None:
        self._since.pop(server, None)

    def left_out_of(self, servers: Sequence[Server]) -> list[Server]:
        """`servers` without those that are silent; all of them where all are."""
        lately = self._now() - _SILENT_FOR
        return [one for one in servers if self._since.get(one, -1e9) < lately] or list(servers)


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
SILENT = Silent()
