"""The native interface's answers: a job, its results, and the complaints about a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ...engine.base.errors import ApiError
from ...engine.base.json_tree import number
from ...engine.base.shown_text import shorten
from ...engine.base.types import Json, Output, Status, TaskState
from ...engine.base.words import tr
from ...engine.platforms.answers import AnswerForm, says_no_such_task
from ...engine.platforms.last_answer import shown_answer
from ...engine.workflows.graph import node_label
from ._dialect import Workflow

VIEW = "/api/view"

_FORM = AnswerForm()
_ENDS = {"success": "completed", "error": "failed"}  # of a history entry
_OUT_OF_MEMORY = re.compile(r"out ?of ?memory|allocation on device", re.IGNORECASE)
_MOST_COMPLAINT, _MOST_COMPLAINTS = 400, 4000  # characters
_MESHES = (".glb", ".gltf", ".obj", ".fbx", ".stl", ".ply", ".usdz", ".splat", ".spz", ".ksplat")


def is_own_form(body: Mapping[str, Json]) -> bool:
    """Whether it is an answer of a ComfyUI: `{error: {type, message, ...}}`, a job, a queue."""
    error = body.get("error")
    if isinstance(error, dict):
        return "message" in error
    if isinstance(error, str) and "status" not in body:
        return says_no_such_task(error)
    named = ("prompt_id", "queue_running", "cancelled", "system", "subfolder")
    return {"id", "status"} <= body.keys() or any(key in body for key in named)


# -- a job ----------------------------------------------------------------------------------------


def job_of_history(task_id: str, entry: Mapping[str, Any]) -> Json:
    """An entry of /history in the form of /api/jobs/ID, which servers before 0.26 do not have."""
    status = _object(entry.get("status"))
    prompt = entry.get("prompt")
    word = _ENDS.get(str(status.get("status_str")), str(status.get("status_str", "")))
    job = {
        "id": task_id,
        "status": word,
        "outputs": entry.get("outputs"),
        "execution_status": status,
        "workflow": {"prompt": prompt[2] if isinstance(prompt, list) and len(prompt) > 2 else {}},
    }
    if _event(job, "execution_interrupted"):
        job["status"] = "cancelled"
    return job


def state_of(job: Mapping[str, Any], base_url: str) -> TaskState:
    """The state that a job of the server at `base_url` describes."""
    word, status = _FORM.status({"status": job.get("status")})
    succeeded = status is Status.SUCCEEDED
    is_last = status is None or status.terminal
    return TaskState(
        status=status or Status.RUNNING,
        word=word,
        progress=1.0 if succeeded else None,
        outputs=tuple(_outputs(job, base_url)) if succeeded else (),
        message=_reason(job, status),
        known=status is not None,
        details=tuple(_details(job)),
        answer=shown_answer({**job, "workflow": None}) if is_last else "",
    )


def _reason(job: Mapping[str, Any], status: Status | None) -> str:
    if status is Status.CANCELLED:
        event = _event(job, "execution_interrupted")
        return tr("interrupted at {node}", node=_node(job, event)) if event else ""
    if status is not Status.FAILED:
        return ""
    error = _object(job.get("execution_error")) or _event(job, "execution_error")
    kind = str(error.get("exception_type") or "").rpartition(".")[2]
    words = shorten(str(error.get("exception_message") or kind))
    if not words:
        return ""
    if _OUT_OF_MEMORY.search(f"{kind} {words}"):
        return tr("{node} ran out of memory there: {words}", node=_node(job, error), words=words)
    return tr("{node} failed: {words}", node=_node(job, error), words=words)


def _event(job: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The last event of this name in the job's log, {} if there is none."""
    messages = _object(job.get("execution_status")).get("messages")
    found: Mapping[str, Any] = {}
    for entry in messages if isinstance(messages, list) else ():
        if isinstance(entry, list) and len(entry) > 1 and entry[0] == name:
            found = _object(entry[1]) or found
    return found


def _node(job: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """The node of an event, by its title."""
    node_id = str(event.get("node_id", ""))
    kind = str(event.get("node_type") or tr("node"))
    return node_label(node_id, {"class_type": kind, **_nodes(job).get(node_id, {})})


def _nodes(job: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    nodes = _object(_object(job.get("workflow")).get("prompt"))
    return {str(node_id): node for node_id, node in nodes.items() if isinstance(node, dict)}


def _details(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Times in seconds, which are told in milliseconds."""
    create, start, end = (
        number(job.get(name))
        for name in ("create_time", "execution_start_time", "execution_end_time")
    )
    spans = {tr("queued"): (create, start), tr("ran"): (start, end)}
    for name, (first, last) in spans.items():
        if first is not None and last is not None and last >= first:
            yield name, tr("{seconds} s", seconds=f"{(last - first) / 1000:.1f}")


# -- results --------------------------------------------------------------------------------------


def _outputs(job: Mapping[str, Any], base_url: str) -> Iterator[Output]:
    """What every node has shown or saved: files by their address, and texts."""
    titles, seen = _nodes(job), set[str]()
    for node_id, shown in _object(job.get("outputs")).items():
        title = _title(titles.get(node_id, {}))
        for kind, items in _object(shown).items():
            for output in _of_kind(kind, items, base_url):
                if output.url not in seen:
                    seen.update({output.url} - {""})
                    yield Output(url=output.url, text=output.text, node_id=node_id, title=title)


def _of_kind(kind: str, items: Json, base_url: str) -> Iterator[Output]:
    for item in items if isinstance(items, list) else [items]:
        file = _file(item)
        if file and file.get("type") != "input":  # that one came from here
            query = {name: file.get(name) or "" for name in ("filename", "subfolder", "type")}
            yield Output(url=f"{base_url}{VIEW}?{urlencode(query)}")
        elif kind == "text" and not file:
            text = item[0] if isinstance(item, list) and item else item
            if isinstance(text, str):
                yield Output(text=text)


def _file(item: Json) -> Mapping[str, Any]:
    """The file that an item of a node's outputs names, {} if it names none."""
    if isinstance(item, dict) and isinstance(item.get("filename"), str) and item["filename"]:
        return {"type": "output", **item}
    if isinstance(item, str) and item.lower().endswith(_MESHES) and "\n" not in item:
        folder, _, name = item.replace("\\", "/").rpartition("/")
        return {"filename": name, "subfolder": folder, "type": "output"}
    return {}


def _title(node: Mapping[str, Any]) -> str:
    title = _object(node.get("_meta")).get("title") or node.get("class_type")
    return title if isinstance(title, str) else ""


# -- complaints about a workflow ------------------------------------------------------------------


def complaints(body: Json, workflow: Workflow) -> Sequence[str]:
    """What the server says is wrong with nodes of `workflow`, node by node."""
    errors = body.get("node_errors") if isinstance(body, dict) else None
    return [
        shorten(text, _MOST_COMPLAINT)
        for node_id, about in _object(errors).items()
        for text in _about_node(str(node_id), _object(about), workflow)
    ]


def with_complaints(error: ApiError, workflow: Workflow) -> ApiError:
    """`error` in the words of all complaints at once."""
    found = complaints(error.body, workflow)
    if found:
        error.what = shorten("; ".join(found), _MOST_COMPLAINTS).rstrip(".") + "."
        error.do = tr("Correct the workflow, or install there what is missing, then queue again.")
    return error


def _about_node(node_id: str, about: Mapping[str, Any], workflow: Workflow) -> Iterator[str]:
    node = workflow.get(node_id) or {"class_type": str(about.get("class_type", ""))}
    label = node_label(node_id, node)
    for each in about.get("errors") or ():
        error = _object(each)
        name = str(_object(error.get("extra_info")).get("input_name") or "")
        details = str(error.get("details") or "")
        words = str(error.get("message") or error.get("type") or "")
        reason = f"{words} ({details})" if details and details != name else words
        if name:
            yield tr("Input {name} of {node}: {reason}", name=name, node=label, reason=reason)
        else:
            yield f"{label}: {reason}"


def _object(value: Json) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
