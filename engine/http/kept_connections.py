"""Which requests may use a connection that was kept from an earlier one."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, ClassVar

from urllib3.connectionpool import HTTPConnectionPool

_READS = frozenset({"GET", "HEAD"})
_IDLE = 30.0  # seconds; a router on the way may forget a connection without a word to either end

_is_read: ContextVar[bool] = ContextVar("skyport_is_read", default=False)


class KeptForReads(HTTPConnectionPool):
    """Mixed into pools: only reads use a connection again, and what others opened serves them too.

    The platform may close a connection that was kept alive just as a request goes out, and then
    nobody knows whether an order was accepted, and charged. A read is simply repeated.
    """

    clock: ClassVar[staticmethod[[], float]] = staticmethod(time.monotonic)  # in seconds

    def urlopen(self, method: str, *args: Any, **more: Any) -> Any:
        before = _is_read.set(method in _READS)
        try:
            return super().urlopen(method, *args, **more)
        finally:
            _is_read.reset(before)

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        idle = self.clock() - getattr(connection, "idle_since", -_IDLE)
        if not _is_read.get() or idle > _IDLE:
            connection.close()  # it connects again by itself
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = self.clock()
        super()._put_conn(conn)
