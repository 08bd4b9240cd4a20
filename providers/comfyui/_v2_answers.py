"""Answers of the Comfy API v2: jobs, their outputs, and lists of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from ...engine.base.json_tree import number
from ...engine.base.shown_text import scrub, shorten
from ...engine.base.types import Json, Output, Status, Task, TaskState
from ...engine.base.words import tr
from ...engine.platforms.last_answer import shown_answer
from ...engine.platforms.result_addresses import if_readable

_WORDS = {
    "queued": Status.QUEUED,
    "running": Status.RUNNING,
    "canceling": Status.RUNNING,
    "succeeded": Status.SUCCEEDED,
    "canceled": Status.CANCELLED,
    "failed": Status.FAILED,
    "expired": Status.FAILED,
}
_ALIVE = (Status.QUEUED, Status.RUNNING)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.\d+)?(Z|z|[+-]\d\d:\d\d)?")
_LISTS = ("jobs", "items", "data", "results")
_CURSORS = ("next_cursor", "cursor")

FetchOutput = Callable[[Mapping[str, Json]], Output | None]


def is_own_form(body: Json) -> bool:
    """Whether `body` is an answer of this interface: an error, a job, an asset, or a list."""
    if not isinstance(body, dict):
        return False
    error = body.get("error")
    if isinstance(error, dict) and "id" not in body:
        return isinstance(error.get("code"), str) and "message" in error
    is_record = isinstance(body.get("id"), str) and not {"status", "url", "hash"}.isdisjoint(body)
    return is_record or isinstance(body.get("jobs"), list)


# -- one job --------------------------------------------------------------------------------------


def state(job: Mapping[str, Any], task: Task, base_url: str, fetch: FetchOutput) -> TaskState:
    """What a job's answer says. `fetch` gets outputs that an entry does not hold itself."""
    word = str(job.get("status") or "")
    status = _WORDS.get(word.strip().lower())
    found = TaskState(
        status=status or Status.RUNNING,
        word=word,
        queue=_queue(job) if status is Status.QUEUED else (None, None),
        message=_reason(job) if status is Status.FAILED else "",
        known=status is not None,
        details=tuple(_details(job)),
    )
    found = with_progress(found, _object(job.get("progress")))
    if status is Status.SUCCEEDED:
        outputs, unreadable = _outputs(job, base_url, fetch)
        found = replace(found, progress=1.0, outputs=outputs, message=unreadable)
    ends = found.status.terminal or not found.known
    return replace(found, answer=shown_answer(dict(job))) if ends else found


def with_progress(state: TaskState, progress: Mapping[str, Json]) -> TaskState:
    """`state` with what a job's answer, or an event, says of its progress, if that is anything."""
    if not progress:
        return state
    return replace(
        state,
        progress=number(progress.get("value")),
        node=str(progress.get("current_node_class") or progress.get("current_node") or ""),
        node_progress=_step(progress),
    )


def is_end(job: Mapping[str, Json]) -> bool:
    """Whether a job, or an event of its status, says that it has ended."""
    status = _WORDS.get(str(job.get("status")))
    return status is not None and status.terminal


def is_lost(job: Json, now: float) -> bool:
    """Whether a job has expired before its time: what ran it does not know it any more."""
    fields = _object(job)
    end = moment(fields.get("expires_at"))
    return fields.get("status") == "expired" and end is not None and end > now


def _step(progress: Mapping[str, Json]) -> float | None:
    step, steps = number(progress.get("step")), number(progress.get("steps"))
    return None if step is None or not steps else max(0.0, min(1.0, step / steps))


def _queue(job: Mapping[str, Json]) -> tuple[int | None, int | None]:
    position = number(job.get("queue_position"))
    return (None if position is None else int(position)), None


def _reason(job: Mapping[str, Json]) -> str:
    if str(job.get("status")).strip().lower() == "expired":
        return tr("The job has expired: the server has deleted its results.")
    error = _object(job.get("error"))
    words = shorten(scrub(str(error.get("message") or error.get("code") or "")))
    class_type, node_id = error.get("class_type"), error.get("node_id")
    if not class_type and not node_id:
        return words
    name = tr("node {id} ({name})", id=node_id, name=class_type) if class_type else str(node_id)
    return tr("{node}: {words}", node=name, words=words) if words else name


def _details(job: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    metrics = _object(job.get("metrics"))
    for field, name in {"queue_ms": tr("queued"), "execution_ms": tr("ran")}.items():
        milliseconds = number(metrics.get(field))
        if milliseconds is not None:
            yield name, tr("{seconds} s", seconds=f"{milliseconds / 1000:.1f}")


# -- outputs --------------------------------------------------------------------------------------


def _outputs(
    job: Mapping[str, Json], base_url: str, fetch: FetchOutput
) -> tuple[tuple[Output, ...], str]:
    entries = job.get("outputs")
    found = [
        _output(entry, base_url, fetch) for entry in (entries if isinstance(entries, list) else ())
    ]
    outputs, unreadable = if_readable(found)
    return tuple(outputs), unreadable


def _output(entry: Json, base_url: str, fetch: FetchOutput) -> Output:
    if not isinstance(entry, dict):
        return Output(unreadable=True)
    node_id = str(entry.get("node_id") or "")
    text = entry.get("text")
    if entry.get("type") == "text" and isinstance(text, str):
        return Output(text=text, node_id=node_id)
    if fetched := fetch(entry):
        return replace(fetched, node_id=node_id)
    url = absolute(entry.get("url"), base_url)
    return Output(url=url, node_id=node_id) if url else Output(unreadable=True, node_id=node_id)


def absolute(url: Json, base_url: str) -> str:
    """`url`, which may lack the host, as a whole one; "" for what is no address.

    A path begins at the host, not below a path of the base URL: it has that already.
    """
    if not isinstance(url, str) or not url.strip():
        return ""
    try:
        whole = urljoin(base_url, url.strip())
    except ValueError:
        return ""
    return whole if whole.startswith(("http://", "https://")) else ""


def moment(value: Json) -> float | None:
    """A time as ISO 8601 has it as seconds since the epoch, None for anything else."""
    found = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    offset = "+00:00" if found[2] in (None, "Z", "z") else found[2]
    try:  # Python 3.10 reads neither Z nor any number of digits after the second
        return datetime.fromisoformat(f"{found[1]}{offset}").timestamp()
    except ValueError:
        return None


# -- lists ----------------------------------------------------------------------------------------


def is_list(body: Json) -> bool:
    """Whether an answer is a list of jobs; the document does not say how one looks."""
    return _entries(body) is not None


def listed(body: Json) -> list[Mapping[str, Json]]:
    """The jobs in a list of them, those without an id left out."""
    entries = _entries(body) or ()
    return [job for job in entries if isinstance(job, dict) and isinstance(job.get("id"), str)]


def _entries(body: Json) -> Json:
    lists = [body, *(_object(body).get(key) for key in _LISTS)]
    return next((each for each in lists if isinstance(each, list)), None)


def next_cursor(body: Json) -> str:
    """What the next page is asked for by, "" after the last."""
    cursors = (_object(body).get(key) for key in _CURSORS)
    return next((each for each in cursors if isinstance(each, str) and each), "")


def is_cut(body: Json) -> bool:
    """Whether a list says that it goes on."""
    return any(_object(body).get(key) is True for key in ("truncated", "has_more"))


def queue_length(jobs: Sequence[Mapping[str, Json]]) -> int:
    """Jobs that run or wait, as far as these tell."""
    alive = [job for job in jobs if _WORDS.get(str(job.get("status"))) in _ALIVE]
    positions = [number(job.get("queue_position")) or 0.0 for job in alive]
    return max(len(alive), int(max(positions, default=0.0)))


def _object(value: Json) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
