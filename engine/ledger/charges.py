"""What the orders in the ledger's file count for in limits, and what is reserved for new ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from .budget import MICRO, MOST, Limit, Period, Use, check, micros
from .ledger import Spending, State, TaskRecord, must_be_sent
from .ownership import Ownership
from .queued_again import is_same_prompt
from .rows import missing_in, storable

Others = Callable[[Limit, bool, str, frozenset[str]], Sequence[Use]]  # `used` of another store

_YEAR = 366 * 86400.0
_MICROS = f"CAST(round(min(max(charge, 0), {MOST}) * {MICRO}) AS BIGINT)"
# The sandbox: what it imitates is not paid for.
_HERE = tuple(f"http://{host}{end}" for host in ("127.0.0.1", "localhost", "[::1]") for end in ":/")
_LOCAL = "(place LIKE 'http://%' AND ({}))".format(  # real addresses soon are none of these
    " OR ".join(f"place || '/' LIKE '{start}%'" for start in _HERE)
)
_COUNTED = "NOT (state IN ('failed', 'cancelled') AND task_id = '')"
_RESERVED_ANEW = ", ".join(
    f"{name} = excluded.{name}"
    for name in ("platform", "place", "queue", "created", "charge", "charge_unit")
)
_COLUMNS = "platform, place, title, prompt_id, queue, created, cost, charge, charge_unit"


def no_others(*_: object) -> Sequence[Use]:
    """What another store counts, where there is no other."""
    return ()


class Charges:
    """Sums and reservations in the store's database. Its writes are parts of a transaction."""

    def __init__(
        self,
        db: sqlite3.Connection,
        owner: Ownership,
        now: Callable[[], float],
        person: str = "",
    ) -> None:
        self._db = db
        self._owner = owner
        self._now = now
        self._person = person

    # -- reservations -------------------------------------------------------------------------

    def reserve(
        self, records: Sequence[TaskRecord], limits: Sequence[Limit], reuse: bool, others: Others
    ) -> list[str]:
        """See `Ledger.reserve`. `others` is what counts that this store does not know."""
        unique = {record.fingerprint: record for record in records}
        asked = [record for record in unique.values() if self._must_be_sent(record, reuse)]
        self._check(asked, limits, others)
        self._db.executemany(
            f"INSERT INTO reservations VALUES ({', '.join('?' * 8)}) ON CONFLICT (mark, owner) "
            f"DO UPDATE SET {_RESERVED_ANEW}",
            [self._reservation(record) for record in asked],
        )
        return [record.fingerprint for record in asked]

    def claim(self, record: TaskRecord, limits: Sequence[Limit], others: Others) -> None:
        """Raises LimitReached unless the order is reserved or there is room for it."""
        sql = "SELECT EXISTS (SELECT 1 FROM reservations WHERE mark = ? AND owner = ?)"
        if not self._db.execute(sql, (record.fingerprint, self._owner.id)).fetchone()[0]:
            self._check([record], limits, others)
        self.settle(record)

    def settle(self, record: TaskRecord) -> None:
        """The order counts in its row now: whoever wants to send it after that counts anew."""
        self._db.execute("DELETE FROM reservations WHERE mark = ?", (record.fingerprint,))

    def release(self, fingerprints: Iterable[str]) -> None:
        self._db.executemany(
            "DELETE FROM reservations WHERE mark = ? AND owner = ?",
            [(fingerprint, self._owner.id) for fingerprint in fingerprints],
        )

    def release_all(self, owner: str) -> None:
        self._db.execute("DELETE FROM reservations WHERE owner = ?", (owner,))

    def owners(self) -> list[str]:
        """The processes that have reserved something."""
        rows = self._db.execute("SELECT DISTINCT owner FROM reservations").fetchall()
        return [owner for (owner,) in rows]

    def reserved(self) -> list[str]:
        rows = self._db.execute("SELECT DISTINCT mark FROM reservations ORDER BY mark").fetchall()
        return [mark for (mark,) in rows]

    def queue_of(self, record: TaskRecord) -> str:
        """What a limit for one queue holds for: a prompt of ComfyUI, else a run of a command."""
        return record.source.prompt_id or self._owner.id

    def _must_be_sent(self, record: TaskRecord, reuse: bool) -> bool:
        sql = (
            "SELECT state, told, success, prompt_id FROM tasks WHERE mark = ? "
            "ORDER BY id DESC LIMIT 1"
        )
        newest = self._db.execute(sql, (record.fingerprint,)).fetchone()
        if newest is None:
            return True
        state, told, success, prompt_id = newest
        reuse = reuse or is_same_prompt(prompt_id, record.source.prompt_id)
        return must_be_sent(State(state), bool(told), reuse, is_partial=bool(missing_in(success)))

    def _check(self, asked: Sequence[TaskRecord], limits: Sequence[Limit], others: Others) -> None:
        """Raises LimitReached. The orders of a fan-out have one queue and one address."""
        if not asked or not limits:
            return
        local = f"{asked[0].base_url}/".startswith(_HERE)
        marks = frozenset(record.fingerprint for record in asked)
        key = local, self.queue_of(asked[0]), marks
        known: dict[tuple[Period, bool], Sequence[Use]] = {}

        def used(limit: Limit) -> Sequence[Use]:
            span = limit.period, limit.person
            if span not in known:
                known[span] = [*self.used(limit, *key), *others(limit, *key)]
            return known[span]

        check(limits, used, [_use_of(record) for record in asked])

    def _reservation(self, record: TaskRecord) -> Sequence[object]:
        return storable(
            record.fingerprint,
            self._owner.id,
            record.platform,
            record.base_url,
            self.queue_of(record),
            self._now(),
            *charge_columns(record),
        )

    # -- sums -----------------------------------------------------------------------------------

    def used(self, limit: Limit, local: bool, queue: str, asked: frozenset[str]) -> list[Use]:
        """What counts in the period of `limit`, other than reservations of the orders `asked` for.

        Orders that are dated later than now count too: a clock that is set back frees nothing.
        """
        is_queue = limit.period is Period.QUEUE
        span = queue if is_queue else start_of(limit.period, self._now())
        person = self._person if limit.person else ""
        orders = _orders("queue = :span" if is_queue else "created >= :span", of_one=bool(person))
        rows = self._db.execute(
            "SELECT platform, charge_unit, count(*), CAST(sum(micros) AS BIGINT), "
            f"sum(is_unknown) FROM ({orders}) AS orders WHERE local = :local "
            "GROUP BY platform, charge_unit",
            {"span": span, "local": local, "person": person},
        ).fetchall()
        reserved = self._reserved(local, queue if is_queue else "", asked, person)
        return [*(Use(*row) for row in rows), *reserved]

    def _reserved(
        self, local: bool, queue: str, asked: frozenset[str], person: str
    ) -> Iterable[Use]:
        """Reservations, whenever they were made: their orders are still to be sent.

        Equal orders of several processes count once, as the dearest: only one of them is sent.
        """
        of_one = "AND owner IN (SELECT owner FROM leases WHERE holder = ?)" if person else ""
        rows = self._db.execute(
            "SELECT mark, platform, charge, charge_unit FROM reservations "
            f"WHERE ({_LOCAL}) = ? AND ? IN ('', queue) {of_one} ORDER BY charge",
            (local, queue, *([person] if person else [])),
        ).fetchall()
        by_order = {mark: order for mark, *order in rows if mark not in asked}
        return [
            Use(platform, unit, 1, micros(charge or 0), int(charge is None))
            for platform, charge, unit in by_order.values()
        ]

    def since(self, moment: float) -> list[Spending]:
        """What all orders made since `moment` count for, newest day first."""
        more = ("date(created, 'unixepoch', 'localtime') AS day", "title", "prompt_id", "cost")
        rows = self._db.execute(
            "SELECT day, local, platform, title, prompt_id, charge_unit, count(*), "
            f"sum(CASE WHEN cost IS NULL THEN 0 ELSE micros END) / {MICRO}.0, "
            f"sum(CASE WHEN cost IS NULL THEN micros ELSE 0 END) / {MICRO}.0, sum(is_unknown) "
            f"FROM ({_orders('created >= :span', *more)}) AS orders "
            "GROUP BY day, local, platform, title, prompt_id, charge_unit "
            "ORDER BY day DESC, local, platform, title",
            {"span": moment},
        ).fetchall()
        return [Spending(day, bool(local), *values) for day, local, *values in rows]

    def keep_pruned(self, condition: str, *values: object) -> None:
        """Keep for a year what the rows count for that are about to be deleted."""
        oldest = self._now() - _YEAR
        self._db.execute("DELETE FROM pruned WHERE created < ?", (oldest,))
        self._db.execute(
            f"INSERT INTO pruned SELECT {_COLUMNS} FROM tasks WHERE created >= ? "
            f"AND {_COUNTED} AND {condition}",
            (oldest, *values),
        )


def _orders(condition: str, *more: str, of_one: bool = False) -> str:
    """SQL for what counts of the orders, those included that are forgotten by now.

    With `of_one`, only of those of a person; who ordered what is forgotten is not known.

    Names no column that it does not need: an index holds the others.
    """
    columns = ", ".join(
        (
            "platform",
            "charge_unit",
            f"{_LOCAL} AS local",
            f"coalesce({_MICROS}, 0) AS micros",
            "CASE WHEN charge IS NULL THEN 1 ELSE 0 END AS is_unknown",
            *more,
        )
    )
    of_person = "AND person = :person " if of_one else ""
    return (
        f"SELECT {columns} FROM tasks WHERE {_COUNTED} AND {condition} {of_person}"
        f"UNION ALL SELECT {columns} FROM pruned WHERE {condition}"
    )


def start_of(period: Period, now: float) -> float:
    """When the day or the month of `now` began in local time, in seconds since the epoch."""
    today = datetime.fromtimestamp(now)
    day = today.day if period is Period.DAY else 1
    # The first of two midnights, where clocks are set back at the end of the hour after it.
    return datetime(today.year, today.month, day).timestamp()


def charge_columns(record: TaskRecord) -> tuple[float | None, str]:
    """What an order counts for: `charge` and `charge_unit`."""
    return (record.price.value, record.price.unit) if record.price else (None, record.unit)


def _use_of(record: TaskRecord) -> Use:
    charge, unit = charge_columns(record)
    return Use(record.platform, unit, 1, micros(charge or 0), int(charge is None))
