"""GPUGeek's answers, read tolerantly: numbers may be text, results one URL or several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...engine.base.json_tree import leaves, number
from ...engine.base.types import Json, Output, Status, TaskState
from ...engine.base.words import tr

# Section 5: 1 queued, 2 generating, 3 succeeded, 4 failed, 5 cancelled.
_STATUS = {
    "1": Status.QUEUED,
    "2": Status.RUNNING,
    "3": Status.SUCCEEDED,
    "4": Status.FAILED,
    "5": Status.CANCELLED,
}


def task_id(answer: Json) -> str:
    """The task id in the answer to a submit, a number or text; "" where there is none."""
    value = answer.get("prompt_id") if isinstance(answer, dict) else None
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""


def state(answer: Json) -> TaskState:
    """The state of a task from its details."""
    details: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
    word = "" if details.get("status") is None else str(details["status"])
    status = _STATUS.get(word, Status.RUNNING)
    return TaskState(
        status=status,
        word=word,
        progress=1.0 if status is Status.SUCCEEDED else None,
        queue=_queue(details) if status is Status.QUEUED else (None, None),
        cost=number(details.get("origin_price")),
        outputs=tuple(_outputs(details.get("result_url"))) if status is Status.SUCCEEDED else (),
        message=_reason(details, status),
        known=word in _STATUS,
    )


def _queue(details: Mapping[str, Any]) -> tuple[int | None, int | None]:
    position, length = number(details.get("current_position")), number(details.get("queue_size"))
    return (None if position is None else int(position), None if length is None else int(length))


def _reason(details: Mapping[str, Any], status: Status) -> str:
    words = str(details.get("error_msg") or "").strip()
    if status not in (Status.FAILED, Status.CANCELLED):
        return words
    if not words and status is Status.CANCELLED:
        words = tr("it was cancelled on the platform (status 5), not by Skyport")
    return (words or tr("status 4 (failed), without a reason")) + _durations(details)


def _durations(details: Mapping[str, Any]) -> str:
    """The time a task took, in seconds; the platform gives milliseconds."""
    queued, ran = number(details.get("queue_duration")), number(details.get("run_duration"))
    if queued is None or ran is None:
        return ""
    seconds = {"queued": f"{queued / 1000:.1f}", "ran": f"{ran / 1000:.1f}"}
    return f" ({tr('queued {queued} s, ran {ran} s', **seconds)})"


def _outputs(results: Json) -> Iterator[Output]:
    """Results by node id; whatever is not a URL is a node's text."""
    by_node = results if isinstance(results, dict) else {"": results}
    for node_id, values in by_node.items():
        for value in leaves(values, str):
            if value.startswith(("http://", "https://")):
                yield Output(url=value, node_id=str(node_id))
            elif value.strip():
                yield Output(text=value, node_id=str(node_id))
