"""Statements that several of the ledger's writes share. Each is a part of a transaction."""

from __future__ import annotations

import json
from dataclasses import replace

from ..base.types import Json, Result
from .charges import charge_columns
from .graphs import Graphs
from .ledger import OPEN, Row, TaskRecord
from .rows import FIRST_TEXT, file_values, storable, with_missing, words_of
from .sql import assigned, in_states


class Statements(Graphs):
    """Inserts and updates of one row."""

    def _beside_others(self, record: TaskRecord, task_id: str) -> TaskRecord:
        """`record`; set apart where another process has an open row for another task of it."""
        row = self._open_row(record.fingerprint)
        if row is None or row.owner == self._owner.id or (row.task and row.task.id == task_id):
            return record
        return replace(record, fingerprint=f"{record.fingerprint}#{task_id}")

    def _insert(self, record: TaskRecord) -> int:
        self._db.execute(
            "INSERT INTO tasks (mark, state, platform, place, endpoint, title, request, node_id, "
            "prompt_id, owner, created, queue, unit, order_id, sent_to, charge, charge_unit, "
            f"person) VALUES (?, 'intent', {', '.join('?' * 16)})",
            storable(
                record.fingerprint,
                record.platform,
                record.base_url,
                record.endpoint,
                record.title,
                json.dumps(record.request, ensure_ascii=False),
                record.source.node_id,
                record.source.prompt_id,
                self._owner.id,
                self._now(),
                self._charges.queue_of(record),
                record.unit,
                record.order_id,
                record.sent_to,
                *charge_columns(record),
                self._person,
            ),
        )
        return int(self._db.execute(self._LAST_ID).fetchone()[0])

    def _write_result(self, task: int | None, result: Result) -> None:
        self._db.execute("DELETE FROM files WHERE task = ?", (task,))
        self._db.executemany(
            f"INSERT INTO files VALUES ({', '.join('?' * 10)})",
            [
                storable(task, number, *file_values(file))
                for files, first in ((result.files, 0), (result.text_files, FIRST_TEXT))
                for number, file in enumerate(files, first)
            ],
        )
        found = self._db.execute("SELECT success FROM tasks WHERE id = ?", (task,)).fetchone()
        success = with_missing(found[0], result.missing) if result.missing else ""
        self._db.execute(
            "UPDATE tasks SET texts = ?, warnings = ?, details = ?, success = ? WHERE id = ?",
            storable(*words_of(result), success, task),
        )
        self._write_cost(task, result.cost)

    def _write_cost(self, row_id: int | None, cost: float | None) -> None:
        """What the task cost in the end, if the platform has reported it."""
        if cost is not None:
            self._db.execute(
                "UPDATE tasks SET cost = ?, charge = ?, charge_unit = unit WHERE id = ?",
                (cost, cost, row_id),
            )

    def _open_row(self, fingerprint: str) -> Row | None:
        return self._fetch_one(
            f"SELECT * FROM tasks WHERE mark = ? AND state {in_states(OPEN)}", fingerprint
        )

    def _open_row_id(self, fingerprint: str, task_id: str | None = None) -> int | None:
        """The id of the order's open row; with `task_id`, only if that is its task."""
        found = self._db.execute(
            f"SELECT id FROM tasks WHERE mark = ? AND state {in_states(OPEN)} "
            "AND coalesce(?, task_id) = task_id",
            (fingerprint, task_id),
        ).fetchone()
        return None if found is None else int(found[0])

    def _update_open_row(self, fingerprint: str, of_task: str = "", **values: Json) -> None:
        """Set `values` in the order's open row; with `of_task`, only if that is its task.

        The intent of another process is its own to end.
        """
        self._db.execute(
            f"UPDATE tasks SET {assigned(values)} WHERE mark = ? AND state {in_states(OPEN)} "
            "AND ? IN ('', task_id) AND (state != 'intent' OR owner = ?)",
            storable(*values.values(), fingerprint, of_task, self._owner.id),
        )
