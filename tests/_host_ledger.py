"""Fills the ledger of a running host, for tests of what lists it."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENCE
from host import Host
from PIL import Image
from skyport.engine.base.types import Kind, Result, ResultFile, Task
from skyport.engine.ledger.ledger import Source, State, TaskRecord
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store

SIGNED = "https://cdn.example/a.png?X-Signature=abc123secret"


class HostLedger:
    """The ledger of `host`, emptied, and written as another process does."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.route("GET", "/skyport/jobs").raise_for_status()  # the host has made it by now
        self._run("DELETE FROM tasks")

    def __enter__(self) -> HostLedger:
        self.owner = Owner(self.host.home / "owners")
        self.store = Store(self.host.home / "ledger.db", self.owner)
        return self

    def __exit__(self, *exc: object) -> None:
        self.store.close()
        self.owner.close()

    def add(self, state: State, prompt: str = "a lighthouse", **more: Any) -> int:
        """A job of that state; its number."""
        task = more.get("task", uuid.uuid4().hex)
        order = TaskRecord(
            fingerprint=uuid.uuid4().hex,
            platform=more.get("platform", "haiyi"),
            base_url=more.get("place", "https://elsewhere.example"),
            endpoint="/openapi/v1/generate/image",
            title=more.get("title", "kling-v3"),
            request={
                "model": more.get("model", "kling-v3"),
                "parameters": {"prompt": prompt, "ref": SIGNED, **more.get("parameters", {})},
            },
            source=Source(more.get("node", "7"), more.get("queue", uuid.uuid4().hex)),
            unit=more.get("unit", ""),
        )
        self.store.record_intent(order)
        if state is not State.INTENT:
            self.store.record_accepted(order, Task(order.platform, order.endpoint, task))
        if state in (State.RUNNING, State.DETACHED):
            self.store.record_progress(order.fingerprint, state, more.get("cost"))
        elif state in (State.SUCCEEDED, State.DELIVERED):
            files, texts, details = (
                tuple(more.get(name, ())) for name in ("files", "texts", "details")
            )
            result = Result(task, files, texts=texts, details=details, cost=more.get("cost"))
            self.store.record_result(order.fingerprint, result)
            if state is State.DELIVERED:
                self.store.record_delivered(order.fingerprint)
        elif state is State.UNRESOLVED:
            self.store.record_unresolved(
                order.fingerprint,
                "",
                more.get("error", "it names no result"),
                more.get("answer", ""),
            )
        elif state in (State.FAILED, State.CANCELLED, State.UNKNOWN):
            self.store.record_end(
                order.fingerprint, state, more.get("error", "the platform's reason")
            )
        row = self.store.find(order.fingerprint)
        assert row is not None
        return row.id

    def took(self, job: int, seconds: float) -> None:
        """Have the job's task taken so long."""
        self._run(f"UPDATE tasks SET ended = submitted + {seconds} WHERE id = {job}")

    def change(self, job: int, **columns: str) -> None:
        """Write something else into the job's row, as a broken version might."""
        for name, text in columns.items():
            self._run(f"UPDATE tasks SET {name} = '{text}' WHERE id = {job}")

    def newest(self) -> int:
        """The number of the newest job."""
        return int(self._run("SELECT max(id) FROM tasks")[0][0])

    def add_many(self, count: int) -> None:
        """As many delivered rows, at once; their requests are as long as a workflow's."""
        first = self.add(State.DELIVERED, "of many " + "x" * 1500, cost=0.25)
        names = [one[1] for one in self._run("PRAGMA table_info(tasks)")]
        changed = {"id": "n + id", "mark": "mark || n", "prompt_id": "prompt_id || n"}
        columns = ", ".join(changed.get(name, name) for name in names)
        self._run(
            f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count - 1})"
            f"INSERT INTO tasks SELECT {columns} FROM tasks, c WHERE id = {first}"
        )

    def _run(self, sql: str) -> list[Any]:
        path = self.host.home / "ledger.db"
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as db, db:
            return db.execute(sql).fetchall()


def picture(path: Path, color: str = "teal") -> ResultFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), color).save(path)
    return ResultFile(path, Kind.IMAGE, "image/png", path.stat().st_size, uuid.uuid4().hex, SIGNED)


@pytest.fixture
def ledger(host: Host) -> Iterator[HostLedger]:
    """The host's own ledger, empty."""
    with HostLedger(host) as ledger:
        yield ledger
