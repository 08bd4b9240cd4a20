"""Answers that trickle are broken off, and so are those that nobody waits for any more."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter

from ..base.background import current_call
from .kept_connections import KeptForReads
from .tls import SharedTrust

_KEPT = 48  # idle connections kept for each host, as many as there are threads for a platform


@dataclass(frozen=True)
class MinimumRate:
    """The least that an answer must bring: `size` bytes in every `seconds` of waiting for them.

    Its headers must be complete within `seconds`. The time before its first byte is not counted:
    the read timeout covers it. `clock` is in seconds.
    """

    seconds: float = 60.0
    size: int = 60 * 1024
    clock: Callable[[], float] = time.monotonic


class TooSlow(OSError):
    """An answer brought less than its MinimumRate."""


class Abandoned(OSError):
    """Nobody waits for the answer any more."""


class _Meter:
    """How long an answer has been waited for since it last brought enough."""

    def __init__(self, rate: MinimumRate) -> None:
        self._rate = rate
        self._begun = False
        self._waited, self._received = 0.0, 0
        self.counts_bytes = False  # not before the headers are complete, nor while lines count

    def restart(self) -> None:
        self._waited, self._received = 0.0, 0

    def add(self, size: int, seconds: float) -> None:
        if self._begun:
            self._waited += seconds
        self._begun = True
        self._received += size
        if self.counts_bytes and self._received >= self._rate.size:
            self.restart()
        elif size and self._waited > self._rate.seconds:
            raise TooSlow("too slow")


class _MeteredReader(io.RawIOBase):
    """The bytes of one answer as they come from its socket."""

    def __init__(self, raw: Any, sock: Any, rate: MinimumRate) -> None:
        self.meter = _Meter(rate)
        self._raw, self._sock = raw, sock
        self._clock = rate.clock
        self._call = current_call()
        if self._call is not None:
            self._call.on_abandoned(self._shut_down)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = self._clock()
        size: int | None = self._raw.readinto(buffer)
        if self._call is not None and self._call.abandoned:
            raise Abandoned("abandoned")
        self.meter.add(size or 0, self._clock() - began)
        return size

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def close(self) -> None:
        if self._call is not None:  # another answer may come over this socket
            self._call.forget(self._shut_down)
        self._raw.close()
        super().close()

    def _shut_down(self) -> None:
        """Wake the thread that reads."""
        with suppress(OSError):
            if isinstance(self._sock, socket.socket):
                # Not SSLSocket's own method: it takes the TLS object away from that thread.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
            else:
                self._sock.shutdown(socket.SHUT_RDWR)


class MeteredResponse(HTTPResponse):
    """An answer that must not trickle."""

    rate: ClassVar[MinimumRate]

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reader = _MeteredReader(self.fp.detach(), sock, self.rate)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.meter.counts_bytes = True
        self._reader.meter.restart()

    def line_read(self) -> None:
        """A line of a stream is complete, or the first is awaited: from now on lines count."""
        self._reader.meter.counts_bytes = False
        self._reader.meter.restart()


class MeteredAdapter(HTTPAdapter):
    """Opens connections whose answers are a MeteredResponse of `rate`.

    mixins        classes mixed into every connection straight to a host
    proxy_mixins  the same for connections through a proxy
    attributes    class attributes of all of them
    """

    def __init__(
        self,
        rate: MinimumRate,
        mixins: Sequence[type] = (),
        proxy_mixins: Sequence[type] = (),
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self._mixins, self._proxy_mixins = mixins, proxy_mixins
        response_class = type("Response", (MeteredResponse,), {"rate": rate})
        self._attributes = {**(attributes or {}), "response_class": response_class}
        self._pool_attributes = {"clock": staticmethod(rate.clock)}
        super().__init__(pool_maxsize=_KEPT)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._patch_connections(self.poolmanager, self._mixins)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            self._patch_connections(manager, self._proxy_mixins)
        return manager

    def _patch_connections(self, manager: Any, mixins: Sequence[type]) -> None:
        """Mix `mixins` and the attributes into the class of every connection of `manager`."""
        pools = {}
        for scheme, pool in manager.pool_classes_by_scheme.items():
            secure = (SharedTrust,) if scheme == "https" else ()
            bases = (*mixins, *secure, pool.ConnectionCls)
            connection = type("Connection", bases, self._attributes)
            attributes = {**self._pool_attributes, "ConnectionCls": connection}
            pools[scheme] = type("Pool", (KeptForReads, pool), attributes)
        manager.pool_classes_by_scheme = pools
