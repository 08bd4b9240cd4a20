"""To whom rows in PostgreSQL belong: a process holds a lease, judged by the database's clock."""

from __future__ import annotations

import uuid

from .ledger import OPEN
from .postgres import Connection
from .sql import in_states

LEASE = 60.0  # seconds for which an owner counts as alive after its last write
BEAT = 15.0  # seconds between two writes of a process that has nothing else to write

# A server that was down has let nobody renew: all leases of before go on for one more time.
_IS_ALIVE = (
    "(until > clock_timestamp() OR (until <= pg_postmaster_start_time() AND clock_timestamp() < "
    f"pg_postmaster_start_time() + interval '{LEASE} seconds'))"
)
LIVING_OWNERS = f"SELECT owner FROM leases WHERE {_IS_ALIVE}"
_UNTIL = f"clock_timestamp() + interval '{LEASE} seconds'"
_KEPT = "interval '1 day'"  # after its end


class Lease:
    """The id of this process while it holds its lease.

    Whoever holds none any more, as it was paused or cut off, gets another id by its next write:
    the rows that others have taken over meanwhile are theirs, and refuse the id of before.
    """

    def __init__(self, db: Connection, holder: str) -> None:
        self._db = db
        self._holder = holder
        self._id = uuid.uuid4().hex
        self._past: list[str] = []

    @property
    def id(self) -> str:
        return self._id

    def hold(self) -> None:
        """Renew the lease or take a new one. A part of each transaction that writes."""
        renewed = self._db.execute(
            f"UPDATE leases SET until = {_UNTIL} WHERE owner = ? AND {_IS_ALIVE}", (self._id,)
        )
        if not renewed.rowcount:
            self._take()

    def _take(self) -> None:
        self._past.append(self._id)
        self._id = uuid.uuid4().hex
        self._db.execute(f"DELETE FROM leases WHERE until < clock_timestamp() - {_KEPT}")
        self._db.execute(f"INSERT INTO leases VALUES (?, ?, {_UNTIL})", (self._id, self._holder))
        # What nobody has taken over is still this process's.
        past = ", ".join("?" * len(self._past))
        for rows in (
            f"tasks SET owner = ? WHERE state {in_states(OPEN)} AND",
            "reservations SET owner = ? WHERE",
        ):
            self._db.execute(f"UPDATE {rows} owner IN ({past})", (self._id, *self._past))

    def end(self) -> None:
        """This process writes no more: what it has left is any other's from now on."""
        self._db.execute("DELETE FROM leases WHERE owner = ?", (self._id,))

    def is_alive(self, owner: str) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM leases WHERE owner = ? AND {_IS_ALIVE})"
        return bool(self._db.execute(sql, (owner,)).fetchone()[0])

    def forget(self) -> None:
        """In a forked process: the lease is its parent's."""
        self._id, self._past = uuid.uuid4().hex, []


class LeaseSeen(Lease):
    """The same lease, by a connection that holds none."""

    def __init__(self, db: Connection, lease: Lease) -> None:
        self._db = db
        self._lease = lease

    @property
    def id(self) -> str:
        return self._lease.id
