"""What the ledger's file is asked: rows and sums of it. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Sequence

from .budget import Limit, Use
from .database import Database
from .ledger import (
    ATTACHABLE,
    EVERYTHING,
    UNDER_WAY,
    Charge,
    Finished,
    Query,
    Row,
    Spending,
    Spent,
    State,
)
from .sql import BOUNDED_COST, CAN_BE_LOOKED_UP, HAVE_RESULT, IS_PARTIAL, in_states, where_clause

_AT_ONCE = 100  # orders that are looked up by one statement
_SCANNED_ROWS = 2000  # newest rows that are searched for past durations
_MAX_ID = 2**63 - 1  # what SQLite can hold
_MAX_DURATIONS = 20  # durations returned at most
_LOOKED_FOR = 2 * 86400.0  # seconds from then on when it was found what an order lacks


class Queries(Database):
    """The questions of a Ledger that change nothing."""

    def get(self, row_id: int) -> Row | None:
        if not 0 < row_id <= _MAX_ID:
            return None
        return self._fetch_one("SELECT * FROM tasks WHERE id = ?", row_id)

    def find(self, fingerprint: str) -> Row | None:
        return self._fetch_one(
            "SELECT * FROM tasks WHERE mark = ? ORDER BY id DESC LIMIT 1", fingerprint
        )

    def find_all(self, fingerprints: Sequence[str]) -> list[Row]:
        """The latest row of each of these orders that has one, oldest first."""
        found: list[Row] = []
        for start in range(0, len(fingerprints), _AT_ONCE):
            some = fingerprints[start : start + _AT_ONCE]
            found += self._fetch_all(
                "SELECT * FROM tasks WHERE id IN (SELECT max(id) FROM tasks WHERE mark IN "
                f"({', '.join('?' * len(some))}) GROUP BY mark) ORDER BY id",
                *some,
            )
        return found

    def latest_unknown(self, fingerprint: str) -> Row | None:
        return self._fetch_one(
            "SELECT * FROM tasks WHERE mark = ? AND state = 'unknown' AND id > (SELECT coalesce("
            "max(id), 0) FROM tasks WHERE mark = ? AND state = 'delivered') "
            "ORDER BY id DESC LIMIT 1",
            fingerprint,
            fingerprint,
        )

    def has_accepted(self, base_url: str) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM tasks WHERE place = ? AND task_id != '')"
        with self._lock:
            return bool(self._db.execute(sql, (base_url,)).fetchone()[0])

    def is_any_under_way(self, base_url: str) -> bool:
        sql = (
            f"SELECT EXISTS (SELECT 1 FROM tasks WHERE state {in_states(UNDER_WAY)} AND place = ?)"
        )
        with self._lock:
            return bool(self._db.execute(sql, (base_url,)).fetchone()[0])

    def known_room(self, scope: str) -> int | None:
        with self._lock:
            row = self._db.execute("SELECT most FROM rooms WHERE scope = ?", (scope,)).fetchone()
        return None if row is None else int(row[0])

    def past_durations(self, platform: str, endpoint: str, title: str) -> list[float]:
        # Only the newest rows: a ledger grows large, and the speed of a model changes.
        with self._lock:
            found = self._db.execute(
                "SELECT ended - submitted FROM "
                "(SELECT * FROM tasks ORDER BY id DESC LIMIT ?) AS newest "
                "WHERE platform = ? AND ? IN ('', endpoint) AND title = ? AND submitted > 0 "
                f"AND state {in_states((State.SUCCEEDED, State.DELIVERED))} LIMIT ?",
                (_SCANNED_ROWS, platform, endpoint, title, _MAX_DURATIONS),
            ).fetchall()
        return [seconds for (seconds,) in found]

    def rows(self, query: Query) -> list[Row]:
        """The rows that match `query`, newest first."""
        where, values = where_clause(query)
        sql = f"SELECT * FROM tasks {where} ORDER BY id DESC LIMIT ? OFFSET ?"
        limit = _MAX_ID if query.limit < 0 else query.limit
        return self._fetch_all(sql, *values, limit, query.offset)

    def count(self, query: Query) -> int:
        where, values = where_clause(query)
        with self._lock:
            return int(
                self._db.execute(f"SELECT count(*) FROM tasks {where}", values).fetchone()[0]
            )

    def abandoned(self) -> list[Row]:
        """Orders that lack results, or an answer, and belong to this process or to a dead one.

        Oldest first.
        """
        newest = f"id > (SELECT coalesce(max(id), 0) - {_SCANNED_ROWS} FROM tasks)"
        rows = self._fetch_all(
            f"SELECT * FROM tasks WHERE state {in_states(ATTACHABLE)} "
            f"OR ({newest} AND ended > ? AND (({IS_PARTIAL}) OR ({CAN_BE_LOOKED_UP}))) ORDER BY id",
            self._now() - _LOOKED_FOR,
        )
        return [row for row in rows if self.is_own(row) or not self._owner.is_alive(row.owner)]

    def spent(self, query: Query = EVERYTHING) -> list[Spent]:
        """Cost per day and platform of the rows that match `query`, newest day first."""
        where, values = where_clause(query, "cost IS NOT NULL")
        with self._lock:
            found = self._db.execute(
                "SELECT date(submitted, 'unixepoch', 'localtime') AS day, platform, count(*), "
                f"sum({BOUNDED_COST}), unit FROM tasks {where} GROUP BY day, platform, unit "
                "ORDER BY day DESC, platform, unit",
                values,
            ).fetchall()
        return [Spent(*row) for row in found]

    def reserved(self) -> list[str]:
        """The orders that something is reserved for, by their fingerprints."""
        with self._lock:
            return self._charges.reserved()

    def spending(self, since: float) -> list[Spending]:
        """What orders made since then count for, newest day first."""
        with self._lock:
            return self._charges.since(since)

    def used(
        self, limit: Limit, local: bool, queue: str = "", asked: frozenset[str] = frozenset()
    ) -> Sequence[Use]:
        """What counts against `limit` now, other than reservations of the orders `asked` for."""
        with self._transaction("DEFERRED"):  # rows and reservations of one moment
            return self._charges.used(limit, local, queue, asked)

    def charges(self, platform: str, newest: int) -> list[Charge]:
        """What the platform's newest tasks with a result and a known cost were charged."""
        with self._lock:
            found = self._db.execute(
                f"SELECT platform, place, request, {BOUNDED_COST}, unit FROM tasks "
                "WHERE platform = ? AND cost IS NOT NULL AND state IN ('succeeded', 'delivered') "
                "ORDER BY id DESC LIMIT ?",
                (platform, newest),
            ).fetchall()
        return [Charge(*row) for row in found]

    def finished(self, newest: int, longest: int) -> list[Finished]:
        """The newest tasks that brought their result, newest first.

        longest  characters of the requests to read: those of workflows are longer than any other
        """
        with self._lock:
            found = self._db.execute(
                "SELECT tasks.id, platform, place, request, "
                "CASE WHEN submitted > 0 AND ended >= submitted THEN ended - submitted END, "
                "files.path, files.sha256 FROM tasks LEFT JOIN files ON files.task = tasks.id "
                "AND files.number = (SELECT min(number) FROM files AS pictures WHERE "
                "pictures.task = tasks.id AND number >= 0 AND pictures.kind IN ('image', 'video')) "
                f"WHERE state {in_states(HAVE_RESULT)} AND length(request) <= ? "
                "ORDER BY tasks.id DESC LIMIT ?",
                (longest, newest),
            ).fetchall()
        return [
            Finished(number, platform, base_url, request, seconds, (path, sha256) if path else None)
            for number, platform, base_url, request, seconds, path, sha256 in found
        ]

    def changes(self) -> tuple[object, ...]:
        """Differs after each write, by this process or by another."""
        with self._lock:
            by_others = self._db.execute("PRAGMA data_version").fetchone()[0]
            return int(by_others), self._db.total_changes
