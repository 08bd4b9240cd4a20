"""Converts rows of the ledger's tables to objects and back, for every SQL store."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..base.shown_text import valid_unicode
from ..base.types import (
    Amount,
    Json,
    Kind,
    MissingResult,
    Output,
    Result,
    ResultFile,
    ResultText,
    Status,
    Task,
    TaskState,
)
from .ledger import ATTACHABLE, Row, Source, State, TaskRecord

_RECORD_COLUMNS = ("platform", "endpoint", "title", "unit", "order_id", "sent_to")
FIRST_TEXT = -1_000_000  # number of a task's first file whose content is among its texts


def storable(*values: Json) -> tuple[Json, ...]:
    """`values` as SQLite takes them: a lone surrogate in a text must not cost a row."""
    return tuple(valid_unicode(value) if isinstance(value, str) else value for value in values)


def row_values(row: Row) -> dict[str, Json]:
    """The columns of `row` other than those of its record and its result."""
    names = ("owner", "created", "submitted", "ended", "delivered", "cost", "error", "answer")
    values = {name: getattr(row, name) for name in (*names, "attempt")}
    task_id, sent = (row.task.id, sorted(row.task.sent)) if row.task else ("", [])
    return {
        **values,
        "state": row.state.value,
        "task_id": task_id,
        "sent": json.dumps(sent),
        "success": _success_of(row),
        "told": int(row.told),
    }


def task_values(record: TaskRecord, task: Task, success: TaskState | None) -> dict[str, Json]:
    """The columns of a task that the platform accepted.

    success  the answer, where it already is the result
    """
    return {
        "task_id": task.id,
        "sent": json.dumps(sorted(task.sent)),
        "sent_to": "" if task.endpoint == record.endpoint else task.endpoint,
        "success": success_text(success, with_files=True) if success else "",
    }


def _success_of(row: Row) -> str:
    text = success_text(row.success, with_files=True) if row.success else ""
    result = row.result or row.kept
    return with_missing(text, result.missing if result else ())


def success_text(state: TaskState, *, with_files: bool = False) -> str:
    """What is kept of the answer that named the results; "" where they came inside it.

    Their bytes can be asked for again, and would make the row as large as the files: `with_files`
    keeps them all the same.
    """
    if not with_files and any(output.data for output in state.outputs):
        return ""
    tree = {
        "outputs": [_output_values(output) for output in state.outputs],
        "details": state.details,
        **{name: getattr(state, name) for name in ("word", "cost", "warnings")},
    }
    return json.dumps(tree)


def with_missing(success: str, missing: Sequence[MissingResult]) -> str:
    """The text of `success_text`, "" included, with the results that are missing."""
    tree = json.loads(success or "{}")
    tree["missing"] = [asdict(one) for one in missing]
    return json.dumps(tree) if missing else success


def missing_in(success: str) -> tuple[MissingResult, ...]:
    """The missing results in the text of `with_missing`."""
    tree = json.loads(success or "{}")
    return tuple(MissingResult(**one) for one in tree.get("missing", ()))


def _output_values(output: Output) -> dict[str, Json]:
    values = {name: getattr(output, name) for name in ("url", "text", "node_id", "title")}
    if output.unreadable:
        values["unreadable"] = True
    return {**values, "data": base64.b64encode(output.data).decode()} if output.data else values


def _to_success(text: str) -> TaskState | None:
    tree = json.loads(text or "{}")
    if "outputs" not in tree:
        return None
    return TaskState(
        Status.SUCCEEDED,
        tree["word"],
        progress=1.0,
        cost=tree["cost"],
        outputs=tuple(
            Output(**{**output, "data": base64.b64decode(output.get("data", ""))})
            for output in tree["outputs"]
        ),
        warnings=tuple(tree["warnings"]),
        details=_pairs(tree["details"]),
    )


def _pairs(tree: Json) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in tree)


def words_of(result: Result) -> tuple[str, str, str]:
    """The columns `texts`, where one whose node is known is an object, `warnings` and `details`."""
    texts = [_text_values(one) if isinstance(one, ResultText) else one for one in result.texts]
    texts_, warnings, details = (
        json.dumps(value, ensure_ascii=False) for value in (texts, result.warnings, result.details)
    )
    return texts_, warnings, details


def _text_values(text: ResultText) -> Json:
    return {"text": str(text), "node_id": text.node_id} if text.node_id else str(text)


def _to_texts(column: str) -> tuple[str, ...]:
    return tuple(ResultText(**one) if isinstance(one, dict) else one for one in json.loads(column))


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
        price=None if row["charge"] is None else Amount(row["charge"], row["charge_unit"]),
        **{name: row[name] for name in _RECORD_COLUMNS},
    )
    state = State(row["state"])
    task = None
    if row["task_id"]:
        sent = frozenset(json.loads(row["sent"]))
        endpoint = row["sent_to"] or row["endpoint"]
        task = Task(row["platform"], endpoint, row["task_id"], sent)
    result = _to_result(row, files) if task is not None else None
    is_here = state in (State.SUCCEEDED, State.DELIVERED)
    is_kept = state in ATTACHABLE and bool(files or row["success"])
    times = {name: row[name] for name in ("created", "submitted", "ended", "delivered")}
    return Row(
        id=row["id"],
        state=state,
        record=record,
        task=task,
        result=result if is_here else None,
        kept=result if is_kept else None,
        owner=row["owner"],
        cost=row["cost"],
        error=row["error"],
        success=_to_success(row["success"]) if is_here or state in ATTACHABLE else None,
        answer=row["answer"],
        told=bool(row["told"]),
        attempt=row["attempt"],
        person=row["person"],
        **times,
    )


def _to_result(row: sqlite3.Row, files: Sequence[sqlite3.Row]) -> Result:
    every = {
        file["number"]: ResultFile(
            path=Path(file["path"]),
            kind=Kind(file["kind"]),
            **{n: file[n] for n in ("mime", "size", "sha256", "url", "node_id", "title")},
        )
        for file in files
    }
    return Result(
        task_id=row["task_id"],
        files=tuple(file for number, file in every.items() if number >= 0),
        texts=_to_texts(row["texts"]),
        warnings=tuple(json.loads(row["warnings"])),
        details=_pairs(json.loads(row["details"])),
        cost=row["cost"],
        unit=row["unit"],
        text_files=tuple(file for number, file in every.items() if number < 0),
        missing=missing_in(row["success"]),
    )
