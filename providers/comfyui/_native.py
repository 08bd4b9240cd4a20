"""The interface that every ComfyUI server has, under /api."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

from ...engine.base.errors import (
    ApiError,
    BadResult,
    InputRejected,
    NotFound,
    SkyportError,
)
from ...engine.base.json_tree import as_text, number
from ...engine.base.types import Json, MediaFile, Report, Status, Task, TaskState, no_report
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.error_answers import api_error, code_in
from ...engine.http.messages import message_in
from ...engine.http.response import read_json
from ...engine.http.retry import no_task_id_error
from ...engine.media.formats import extension
from ...engine.platforms.answers import says_no_such_task
from ...engine.platforms.last_answer import shown_answer
from ...engine.platforms.provider import Accepted, LiveState
from . import _answers
from ._dialect import Device, ServerInfo, Workflow
from ._events import Events

_FOLDER = "skyport"  # in the server's input folder
_LIFETIME = 86400.0  # seconds: a file stays until somebody deletes it, and then it is told
_NO_SUCH_ROUTE = (404, 405)


class NativeDialect:
    """See `Dialect`. Section 1 of the document."""

    def __init__(self, http: Http, events: Events | None = None) -> None:
        self.http = http
        self._events = events
        http.is_own_form = _answers.is_own_form
        self._left_out: dict[str, tuple[str, ...]] = {}  # by task, what the server did not take

    # -- files ----------------------------------------------------------------------------------

    def upload(self, file: MediaFile, report: Report = no_report) -> Json:
        """The name under which a loader there finds the file."""
        # Named by content and never overwritten: a task may be reading the one that is there.
        named = replace(file, name=f"{file.sha256[:32]}.{extension(file.mime)}", corrected_name="")
        answer = read_json(
            self.http.post_form(
                "/api/upload/image",
                [("type", "input"), ("subfolder", _FOLDER), ("image", named)],
                report,
            )
        )
        name = answer.get("name") if isinstance(answer, dict) else None
        if not isinstance(name, str) or not name:
            raise BadResult(
                tr(
                    "The answer to the upload of {name} has no {wanted}.",
                    name=file.name,
                    wanted="name",
                ),
                do=tr("Queue again later."),
                platform=self.http.label,
            )
        folder = answer.get("subfolder")
        return f"{folder}/{name}" if folder else name

    def url_lifetime(self, value: Json) -> float:
        return _LIFETIME

    # -- submit ---------------------------------------------------------------------------------

    def submit(self, workflow: Workflow, order_id: str, report: Report = no_report) -> Accepted:
        body = {"prompt": workflow, "prompt_id": order_id}
        if self._events is not None:
            self._events.follow(order_id, workflow)
            body["client_id"] = self._events.client_id
        try:
            answer = read_json(self.http.post_json("/api/prompt", body))
        except InputRejected as error:
            refusal = _answers.with_complaints(error, workflow)
        else:
            return self._task_id(answer, workflow)
        raise refusal

    def _task_id(self, answer: Json, workflow: Workflow) -> str:
        is_own = self.http.recognise(answer)
        task_id = answer.get("prompt_id") if is_own else None
        if not isinstance(task_id, str) or not task_id:
            if is_own and "error" in answer:
                raise _answers.with_complaints(self._refusal(answer), workflow)
            raise no_task_id_error(self.http.label, as_text(answer)[:300])
        if texts := _answers.complaints(answer, workflow):
            left_out = tr(
                "The server left out what it could not run: {words}", words="; ".join(texts)
            )
            self._left_out[task_id] = (left_out,)
        return task_id

    def find(self, order_id: str) -> str | None:
        try:
            self._job(order_id)
        except NotFound as error:
            if error.own_form:
                return None
            raise
        return order_id

    # -- poll -----------------------------------------------------------------------------------

    def poll(self, task: Task) -> TaskState:
        if self._events is not None:
            self._events.begin_poll(task.id)
        state = self._with_node(task, _answers.state_of(self._job(task.id), self.http.base_url))
        if state.status is Status.QUEUED:
            state = replace(state, queue=self._place(task.id))
        return replace(state, warnings=self._left_out.get(task.id, ()))

    def _with_node(self, task: Task, state: TaskState) -> TaskState:
        """`state` with the node that runs, as far as events have told it."""
        if self._events is None:
            return state
        node, share = self._events.progress(task.id)
        if state.status.terminal:
            self._events.forget(task.id)
        is_running = state.status is Status.RUNNING
        return replace(state, node=node, node_progress=share) if is_running else state

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState | None:
        if self._events is None:
            return None
        self._events.on_end(task.id, wake)
        return partial(self._events.live_state, task.id)

    def _job(self, task_id: str) -> Mapping[str, Any]:
        """The job. Raises NotFound in its own form where the server does not know it."""
        try:
            body = read_json(self.http.get(f"/api/jobs/{quote(task_id, safe='')}"))
        except NotFound as error:
            if error.own_form:
                raise
            return self._older_job(task_id)
        if not self.http.recognise(body):
            raise self._not_ours(body)
        if "status" not in body:
            raise self._refusal(body)
        return dict(body)

    def _older_job(self, task_id: str) -> Mapping[str, Any]:
        """The job, of a server without /api/jobs."""
        # The queue first: what leaves it in between is in the history by then.
        running, pending = self._queue()
        history = read_json(self.http.get(f"/api/history/{quote(task_id, safe='')}"))
        if not isinstance(history, dict):
            raise self._not_ours(history)
        if isinstance(history.get(task_id), dict):
            return dict(_answers.job_of_history(task_id, history[task_id]))
        for word, items in (("in_progress", running), ("pending", pending)):
            if any(item_id == task_id for _, item_id in items):
                return {"id": task_id, "status": word}
        raise NotFound(
            tr("The server does not know the task: neither its queue nor its history has it."),
            status=404,
            own_form=True,
            body=history,
            platform=self.http.label,
        )

    def _place(self, task_id: str) -> tuple[int | None, int | None]:
        """(position, length) of the queue, as far as the server tells them."""
        with suppress(SkyportError):
            _, pending = self._queue()
            ordered = [item_id for _, item_id in sorted(pending)]
            if task_id in ordered:
                return ordered.index(task_id) + 1, len(ordered)
        return None, None

    def _queue(self) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        """(number, task id) of what runs and of what waits: the smallest number comes first."""
        body = read_json(self.http.get("/api/queue"))
        if not self.http.recognise(body):
            raise self._not_ours(body)
        return _items(body.get("queue_running")), _items(body.get("queue_pending"))

    # -- cancel ---------------------------------------------------------------------------------

    def cancel(self, task: Task) -> bool:
        try:
            answer = self.http.post(f"/api/jobs/{quote(task.id, safe='')}/cancel")
        except ApiError as error:
            if error.own_form or error.http not in _NO_SUCH_ROUTE:
                raise
            return self._older_cancel(task.id)
        body = read_json(answer)
        return isinstance(body, dict) and body.get("cancelled") is True

    def _older_cancel(self, task_id: str) -> bool:
        running, pending = self._queue()
        if any(item_id == task_id for _, item_id in pending):
            self.http.post_json("/api/queue", {"delete": [task_id]})
            return True
        # Older ones interrupt whatever runs, so it must be this one.
        if any(item_id == task_id for _, item_id in running):
            self.http.post_json("/api/interrupt", {"prompt_id": task_id})
            return True
        return False

    # -- the server -----------------------------------------------------------------------------

    def queue_length(self) -> int:
        running, pending = self._queue()
        return len(running) + len(pending)

    def about(self) -> ServerInfo:
        body = read_json(self.http.get("/api/system_stats"))
        if not self.http.recognise(body):
            raise self._not_ours(body)
        system, devices = body.get("system"), body.get("devices")
        version = system.get("comfyui_version") if isinstance(system, dict) else None
        return ServerInfo(
            version if isinstance(version, str) else "",
            tuple(map(_device, devices if isinstance(devices, list) else ())),
            self.queue_length(),
        )

    def object_info(self) -> Json | None:
        body = read_json(self.http.get("/api/object_info"))
        self.http.recognise(body)
        return body if isinstance(body, dict) and body else None

    def _refusal(self, body: Json) -> ApiError:
        """The error for an error that came with HTTP 200."""
        words, label = message_in(body), self.http.label
        status = 404 if says_no_such_task(words) else 200
        return api_error(label, status, words, code_in(body), http=200, own_form=True, body=body)

    def _not_ours(self, body: Json) -> BadResult:
        return BadResult(
            tr("The answer is not the platform's: {seen}", seen=shown_answer(body, 200)),
            platform=self.http.label,
        )


def _items(entries: Json) -> list[tuple[float, str]]:
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, list) and len(entry) > 1:
            found.append((number(entry[0]) or 0.0, str(entry[1])))
    return found


def _device(device: Json) -> Device:
    fields = device if isinstance(device, dict) else {}
    total, free = number(fields.get("vram_total")), number(fields.get("vram_free"))
    return Device(
        str(fields.get("name") or ""),
        None if total is None else int(total),
        None if free is None else int(free),
    )


def with_events(http: Http) -> NativeDialect:
    """One that learns of progress over the server's WebSocket, too."""
    return NativeDialect(http, Events(http))
