"""What HaiYi's polls answer. The body of generate/result is in no document: several shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._faults import Twists
from ._tasks import FAIL, RUNNING, SUCCESS, Moment, Task

_DONE = 94  # total_progress of a success, as the document's sample has it


@dataclass(frozen=True)
class View:
    """A generation as every shape tells it. kind is that of its results, "" until there are any."""

    id: int
    status: str
    percent: int
    kind: str
    urls: list[str]
    reason: str
    fields: Mapping[str, Any]


def _flat(view: View) -> Any:
    several = {"urls": view.urls} if len(view.urls) != 1 else {"url": view.urls[0]}
    return {
        "task_id": view.id,
        "status": view.status,
        "progress": view.percent,
        "message": view.reason,
        "result": several if view.urls else None,
    }


def _envelope(view: View) -> Any:
    data = {"task_id": view.id, "status": view.status, "urls": view.urls}
    return {"code": 0, "msg": "success", "data": {**data, "fail_reason": view.reason}}


def _task_status(view: View) -> Any:
    media = {f"{view.kind}s": [{"url": url} for url in view.urls]} if view.urls else {}
    body = {"task_id": str(view.id), "task_status": view.status.upper(), "output": media}
    return {**body, "error": view.reason or None}


def _state(view: View) -> Any:
    data = {
        "id": view.id,
        "state": view.status,
        "parameters": view.fields["parameters"],
        "result_url": view.urls[0] if len(view.urls) == 1 else view.urls,
        "reason": view.reason,
    }
    return {"code": 0, "msg": "success", "data": data}


def _echo(view: View) -> Any:
    media = {f"{view.kind}s": view.urls} if view.urls else {}
    head = {"task_id": view.id, "status": view.status, **view.fields}
    return {**head, **media, "msg": view.reason}


SHAPES: Mapping[str, Callable[[View], Any]] = {
    "flat": _flat,
    "envelope": _envelope,
    "task_status": _task_status,
    "state": _state,
    "echo": _echo,
}


def workflow_data(task: Task, moment: Moment, twists: Twists) -> dict[str, Any]:
    """The `data` of apps/task and workflow/task; outputs still by bare file name."""
    return {
        "status": moment.status,
        "progress": _progress(moment),
        "outputs": [] if "empty" in twists else _outputs(task, moment.status, twists),
    }


def _progress(moment: Moment) -> Any:
    """Outside of a node the document shows id 0 and "Unknown Node", and a success at 94 %."""
    node: dict[str, Any] = {"id": 0, "title": "Unknown Node", "progress": 0}
    if moment.status == RUNNING:
        node_id, title = moment.step
        node = {"id": node_id, "title": title, "progress": int(moment.step_part * 100)}
    return {
        "curr_node": node,
        "total_progress": _DONE if moment.status == SUCCESS else int(moment.part * 90),
    }


def _outputs(task: Task, status: str, twists: Twists) -> list[dict[str, Any]]:
    node = task.last_step
    if status == FAIL:
        return [_output(*node, task.words, "error")]
    if status != SUCCESS:
        return []
    found = [_output(m.node_id, m.title, m.address, "info") for m in task.made]
    words = [_output(*node, twists[kind], kind) for kind in ("warning", "error") if kind in twists]
    return [*found, *words]


def _output(node_id: str, title: str, output: str, error_type: str) -> dict[str, Any]:
    return {"id": node_id, "title": title, "output": output, "error_type": error_type}
