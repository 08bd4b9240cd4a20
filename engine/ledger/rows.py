"""Converts rows of the ledger's tables to objects and back, for every SQL store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ..base.types import Json, Kind, Result, ResultFile, Task
from .ledger import Row, Source, State, TaskRecord


def row_values(row: Row) -> dict[str, Json]:
    """The columns of `row` other than those of its record and its result."""
    names = ("owner", "created", "submitted", "ended", "delivered", "cost", "error")
    values = {name: getattr(row, name) for name in names}
    task_id, sent = (row.task.id, sorted(row.task.sent)) if row.task else ("", [])
    return {**values, "state": row.state.value, "task_id": task_id, "sent": json.dumps(sent)}


def file_values(file: ResultFile) -> tuple[Json, ...]:
    return (
        str(file.path),
        file.kind.value,
        file.mime,
        file.size,
        file.sha256,
        file.url,
        file.node_id,
        file.title,
    )


def to_row(row: sqlite3.Row, files: Sequence[sqlite3.Row]) -> Row:
    record = TaskRecord(
        request=json.loads(row["request"]),
        source=Source(row["node_id"], row["prompt_id"]),
        fingerprint=row["mark"],
        base_url=row["place"],
        **{name: row[name] for name in ("platform", "endpoint", "title")},
    )
    state = State(row["state"])
    task = None
    if row["task_id"]:
        sent = frozenset(json.loads(row["sent"]))
        task = Task(row["platform"], row["endpoint"], row["task_id"], sent)
    has_result = task is not None and state in (State.SUCCEEDED, State.DELIVERED)
    times = {name: row[name] for name in ("created", "submitted", "ended", "delivered")}
    return Row(
        id=row["id"],
        state=state,
        record=record,
        task=task,
        result=_to_result(row, files) if has_result else None,
        owner=row["owner"],
        cost=row["cost"],
        error=row["error"],
        **times,
    )


def _to_result(row: sqlite3.Row, files: Sequence[sqlite3.Row]) -> Result:
    return Result(
        task_id=row["task_id"],
        files=tuple(
            ResultFile(
                path=Path(file["path"]),
                kind=Kind(file["kind"]),
                **{n: file[n] for n in ("mime", "size", "sha256", "url", "node_id", "title")},
            )
            for file in files
        ),
        texts=tuple(json.loads(row["texts"])),
        warnings=tuple(json.loads(row["warnings"])),
        cost=row["cost"],
    )
