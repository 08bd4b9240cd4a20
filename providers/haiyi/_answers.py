"""HaiYi's answers. The body of generate/result is not documented: results are found anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ...engine.base.json_tree import parse_object, share
from ...engine.base.types import Json, Output, Status, Task, TaskState
from ...engine.http.error_answers import is_status_phrase
from ...engine.http.messages import layers
from ...engine.platforms.answers import AnswerForm
from ...engine.platforms.result_addresses import Addresses, if_readable

_ENVELOPE = ("msg", "message", "data", "detail")
_OWN_KEYS = ("task_id", "success", "outputs", "parameter_rules")
_BAD_TITLES = ("", "unknown", "unknown node")
_LISTS = ("outputs", "output")


def is_own_form(body: Mapping[str, Json]) -> bool:
    """`{code, msg, data}` of workflows, the bare body of generation, or an error in either."""
    has_envelope = "code" in body and any(key in body for key in _ENVELOPE)
    word = body.get("status") or body.get("task_status") or body.get("state")
    return (
        has_envelope
        or bool(body.get("error") and not is_status_phrase(body["error"]))
        or isinstance(word, str)
        or any(key in body for key in _OWN_KEYS)
    )


class _Form(AnswerForm):
    def addresses(self, task: Task, base_url: str) -> Addresses:
        """With names of files on the cluster, which `api/view` serves."""
        view = f"{base_url.rstrip('/')}/api/view?type=output&filename="
        return Addresses(
            base_url, task.sent, self.not_results, lambda name: view + quote(name, safe="")
        )


class _WorkflowForm(_Form):
    def state(self, body: Json, task: Task, base_url: str) -> TaskState:
        state = super().state(body, task, base_url)
        rows = _rows(body)
        errors = [_message(row) for row in rows if row.get("error_type") == "error"]
        warnings = [_message(row) for row in rows if row.get("error_type") == "warning"]
        has_results = state.status is Status.SUCCEEDED and bool(state.outputs)
        node = _node_title(body)
        return replace(
            state,
            node=node,
            message="; ".join(errors) or state.message or "; ".join(warnings),
            warnings=(*state.warnings, *warnings, *(errors if has_results else ())),
            node_progress=share(_current_node(body).get("progress"), percent=True)
            if node
            else None,
        )

    def outputs(self, body: Json, task: Task, base_url: str) -> tuple[tuple[Output, ...], str]:
        """The outputs by node; where none are listed so, every address in the body."""
        addresses = self.addresses(task, base_url)
        rows = _rows(body)
        found = [output for row in rows for output in _outputs(row, addresses)]
        outputs, unreadable = if_readable(found)
        if found:
            return tuple(outputs), unreadable
        return ((), "") if rows else super().outputs(body, task, base_url)


GENERATION = _Form()
WORKFLOW = _WorkflowForm(task_id=("data.task_id", "task_id"), home="data", percent=True)


def _rows(body: Json) -> list[Mapping[str, Any]]:
    """The outputs of nodes: a list of objects, one object, or either as text."""
    for layer in layers(body, "data"):
        for key in _LISTS:
            value = layer.get(key)
            value = parse_object(value) if isinstance(value, str) else value
            listed = value if isinstance(value, list) else [value]
            rows: list[Mapping[str, Any]] = [
                row for row in listed if isinstance(row, dict) and "output" in row
            ]
            if rows:
                return rows
    return []


def _outputs(row: Mapping[str, Any], addresses: Addresses) -> Iterator[Output]:
    """An output node's results: media by URL or name, else text. Warnings are not results."""
    if row.get("error_type") in ("warning", "error"):
        return
    node: dict[str, Any] = {
        "node_id": str(row.get("id") or ""),
        "title": str(row.get("title") or ""),
    }
    value = row.get("output")
    for each in value if isinstance(value, list) else [value]:
        found = addresses.at(each)
        yield from (replace(output, **node) for output in found)
        if not found and isinstance(each, str) and each.strip():
            is_file = bool(addresses.unreadable)
            yield Output(text="" if is_file else each, unreadable=is_file, **node)


def _message(row: Mapping[str, Any]) -> str:
    title = str(row.get("title") or "")
    words = str(row.get("output") or "").strip()
    return f"{title}: {words}" if title.lower() not in _BAD_TITLES else words


def _current_node(body: Json) -> Mapping[str, Any]:
    """The node at work, whose title is "Unknown Node" where none is."""
    for layer in layers(body, "data"):
        progress = layer.get("progress")
        node = progress.get("curr_node") if isinstance(progress, dict) else None
        if isinstance(node, dict):
            return node
    return {}


def _node_title(body: Json) -> str:
    title = str(_current_node(body).get("title") or "")
    return "" if title.lower() in _BAD_TITLES else title
