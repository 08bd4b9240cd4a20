"""The ledger of a team in use: what is to be sent must be in its database first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ..base.errors import NotRecorded
from ..base.events import notify
from ..base.words import tr
from .budget import Limit
from .ledger import Row, State, TaskRecord
from .resilient import DISK_ERRORS, ResilientLedger
from .sqlite_store import Store

T = TypeVar("T")

_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts to record what is to be sent
_MOST_DELAY = 20.0  # seconds from the question whether an intent still holds to its use
_log = logging.getLogger(__name__)


class TeamLedger(ResilientLedger):
    """A ResilientLedger in PostgreSQL. While that is away, nothing is sent: nobody could see it.

    What becomes of orders that were sent is kept in memory until the database is back.
    """

    def __init__(
        self,
        home: Path,
        url: str,
        password: str = "",
        sleep: Callable[[float], object] = time.sleep,
        person: str = "",
    ) -> None:
        self._url, self._password, self._person = url, password, person
        self._sleep = sleep
        super().__init__(home)

    def _begin_on_disk(self, home: Path) -> None:
        try:
            from .postgres_store import PostgresStore
        except ImportError:
            raise OSError(
                tr("its driver is not installed: pip install 'psycopg[binary]'")
            ) from None
        store = PostgresStore(self._url, self._password, person=self._person)
        self.disk, self.owner = store, store.owner

    @property
    def is_shared(self) -> bool:
        return True

    def _load_read_only(self, path: Path) -> None:
        """The file on this disk is another ledger."""

    def find(self, fingerprint: str) -> Row | None:
        row = self.memory.find(fingerprint) or self._surely(lambda store: store.find(fingerprint))
        if row is not None and row.task is not None:
            self._tasks[fingerprint] = (row.record, row.task)
        return row

    def reserve(
        self, records: Sequence[TaskRecord], limits: Sequence[Limit], reuse: bool
    ) -> list[str]:
        return self._surely(lambda store: store.reserve(records, limits, reuse))

    def record_intent(self, record: TaskRecord, *limits: Limit) -> Row | None:
        before = self._surely(lambda store: store.find(record.fingerprint))

        def write(store: Store) -> Row | None:
            row = store.record_intent(record, *limits)
            # Of an attempt whose answer was lost: it is this process's own.
            is_new = row and row.state is State.INTENT and (before is None or row.id != before.id)
            return None if row and is_new and store.is_own(row) else row

        return self._noted(write, record.fingerprint)

    def record_intent_again(self, record: TaskRecord, lost: str = "") -> bool:
        is_ours = self._noted(
            lambda store: store.record_intent_again(record, lost), record.fingerprint
        )
        self._tasks.pop(record.fingerprint, None)
        return is_ours

    def confirm_intent(self, fingerprint: str) -> bool:
        asked = time.monotonic()
        is_ours = self._surely(lambda store: store.confirm_intent(fingerprint))
        return is_ours and time.monotonic() - asked < _MOST_DELAY

    def _noted(self, write: Callable[[Store], T], fingerprint: str) -> T:
        try:
            return self._surely(write)
        finally:
            notify(fingerprint)

    def _surely(self, call: Callable[[Store], T]) -> T:
        """The database's answer, after what memory holds. Raises NotRecorded without one."""
        for pause in (*_PAUSES, None):
            try:
                return self._once(call)
            except DISK_ERRORS as error:
                self._report(error)
            if pause is None:
                break
            self._sleep(pause)
        raise NotRecorded(self._refused, do=tr("Nothing was sent. Queue it again later."))

    def _once(self, call: Callable[[Store], T]) -> T:
        with self._lock:
            if self.disk is None:
                raise NotRecorded(self._refused)
            self._flush_to_disk(self.disk)
            answer = call(self.disk)
            self._refused = ""
            return answer

    def _report(self, error: Exception) -> None:
        message = tr(
            "The team's ledger cannot be reached ({error}): nothing is sent until it answers. "
            "Check the setting ledger_url and the database.",
            error=error,
        )
        if message != self._refused:
            _log.warning("Skyport: %s", message)
        self._refused = message
