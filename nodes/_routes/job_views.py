"""Jobs as the browser's list shows them: rows of the ledger, and the progress of running ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ... import providers
from ...engine.base.shown_text import shorten
from ...engine.base.types import Kind, ResultFile
from ...engine.ledger.ledger import Row
from ...engine.tasks import history
from ...engine.tasks.job import Job, JobSnapshot
from ...engine.tasks.progress import share_of
from ...engine.tasks.public_view import first_prompt, redact
from .._base import node_outputs

_MOST_LIVE = 200
_EXCERPT = 300  # characters of a prompt, an error or a text in the list


def briefs(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the list needs of each row, as JSON without secrets."""
    payload: list[dict[str, Any]] = redact([_brief(row) for row in rows])
    return payload


def _brief(row: Row) -> dict[str, Any]:
    texts = row.result.texts if row.result else ()
    files = row.result.files if row.result else ()
    return {
        "job": row.id,
        "mark": row.record.fingerprint,
        "state": row.state.value,
        "platform": row.record.platform,
        "label": history.label(row),
        "title": history.title(row),
        "line": history.line(row),
        "task": row.task.id if row.task else "",
        "created": row.created,
        "submitted": row.submitted,
        "ended": row.ended,
        "cost": row.cost,
        "unit": row.unit,
        "error": shorten(row.error, _EXCERPT),
        "words": shorten(first_prompt(row.record.request), _EXCERPT),
        "text": shorten(texts[0], _EXCERPT) if texts else "",
        "node": row.record.source.node_id,
        "prompt": row.record.source.prompt_id,
        "person": row.person,
        "files": len(files),
        "cover": _cover(files),
    }


def _cover(files: Sequence[ResultFile]) -> dict[str, Any] | None:
    """The file shown in the list: the first image or video, else the first file."""
    visual = (file for file in files if file.kind in (Kind.IMAGE, Kind.VIDEO))
    file = next(visual, next(iter(files), None))
    return {"kind": file.kind.value, "sha256": file.sha256} if file else None


def file_view(file: ResultFile) -> dict[str, Any]:
    """What the page needs to show a file; `view` is its name for ComfyUI's /view, if it has one."""
    return {
        "kind": file.kind.value,
        "name": file.path.name,
        "view": node_outputs.view_reference(file.path),
    }


def cover_of(row: Row) -> ResultFile | None:
    """The file whose thumbnail represents the row."""
    files = row.result.files if row.result else ()
    return next((file for file in files if file.kind in (Kind.IMAGE, Kind.VIDEO)), None)


def running_jobs() -> dict[str, Any]:
    """{"live", "running"}: the jobs running in this process, and how many there are.

    Of a thousand, those that wait for a free slot and are the last to get one are left out.
    """
    now, jobs = time.monotonic(), providers.runner().under_way()
    shown = sorted(jobs, key=lambda job: job.snapshot.stage == "waiting")[:_MOST_LIVE]
    return {"live": redact([_live(job, now) for job in shown]), "running": len(jobs)}


def _live(job: Job, now: float) -> dict[str, Any]:
    snapshot = job.snapshot
    return {
        "mark": job.fingerprint,
        "platform": job.record.platform,
        "label": job.provider.label,
        "title": job.request.title or job.record.endpoint,
        "node": job.record.source.node_id,
        "prompt": job.record.source.prompt_id,
        "task": snapshot.task_id,
        "stage": snapshot.stage,
        "elapsed": now - snapshot.since,
        "usual": snapshot.usual,
        "share": share_of(job, now),
        "attached": snapshot.attached,
        "silent": None if snapshot.silent is None else now - snapshot.silent,
        "moved": snapshot.transferred,
        "total": snapshot.total,
        "unit": job.record.unit,
        **_polled(snapshot),
    }


def _polled(snapshot: JobSnapshot) -> dict[str, Any]:
    state = snapshot.state if snapshot.stage == "running" else None
    if state is None:
        return {"status": "", "progress": None, "remote": "", "queue": [None, None], "cost": None}
    return {
        "status": state.status.value if state.known else state.word,
        "progress": state.progress,
        "remote": state.node,
        "remote_progress": state.node_progress,
        "queue": list(state.queue),
        "cost": state.cost,
    }
