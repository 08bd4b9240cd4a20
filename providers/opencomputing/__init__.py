"""OpenComputing (Yuanjing): chat, pictures and video, in the order of its document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...engine.base.errors import InputRejected, NotFound
from ...engine.base.json_tree import as_text, number
from ...engine.base.types import (
    Field,
    Json,
    MediaFile,
    Model,
    Output,
    Param,
    RemoteFile,
    Report,
    Request,
    Status,
    Task,
    TaskState,
    no_report,
)
from ...engine.http.error_answers import api_error, message_in
from ...engine.http.response import Response, read_json
from ...engine.http.retry import no_task_id_error
from ...engine.platforms.provider import Provider
from . import _chat, _models
from ._models import MORE, TASKS

__all__ = ["MORE", "PROVIDER", "TASKS", "OpenComputing", "generation", "unlisted"]

_API = "/llmage/v1/"
CHAT, IMAGES, VIDEOS = "chat/completions", "image/generations", "video/generations"
_ENDPOINTS = {_models.CHAT: CHAT, _models.IMAGE: IMAGES}
_FORMS = (_models.FRAME_VIDEO, _models.REFERENCE_VIDEO)  # sent as multipart, as in all examples
_WORDS = {
    "created": Status.QUEUED,
    "pending": Status.QUEUED,
    "running": Status.RUNNING,
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
}
# For a video, `image` is only the cover.
_RESULTS = {IMAGES: ("image", "images"), VIDEOS: ("video", "videos")}


class OpenComputing(Provider):
    """https://opencomputing.ai"""

    name = "opencomputing"
    label = "OpenComputing"
    default_base_url = "https://opencomputing.ai"

    # -- models -----------------------------------------------------------------------------

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        return _models.built_in_rows()

    def list_rows(self) -> list[Json]:
        """The models of every task; for a task of which it lists none, those of the document."""
        rows: dict[tuple[str, str], Json] = {}
        for task in TASKS:
            built_in = [row for row in _models.built_in_rows() if row["catelogid"] == task]
            for row in self._listed(task) or built_in:
                rows.setdefault((row["model"], row["catelogid"]), row)
        return list(rows.values())

    def _listed(self, task: str) -> list[Json]:
        try:
            answer = self.unwrap(self.http.get(_API + "models", {"catelogid": task}))
        except (InputRejected, NotFound):
            return []
        return list(_models.live_rows(answer, task))

    @classmethod
    def read_row(cls, row: Json) -> Model:
        return _models.read(row)

    # -- chat: answered at once -------------------------------------------------------------

    def answers_at_once(self, request: Request) -> bool:
        return request.endpoint == CHAT

    def answer(self, request: Request, on_text: Callable[[str], None]) -> tuple[str, TaskState]:
        return _chat.ask(self.http, _API + CHAT, request.payload, on_text, self.unwrap)

    # -- pictures and video -----------------------------------------------------------------

    def sends_files_inside(self, request: Request) -> bool:
        return True

    def submit(self, request: Request, report: Report = no_report) -> str:
        path = _API + request.endpoint
        if request.payload["catelogid"] in _FORMS:
            response = self.http.post_form(path, list(_form(request.payload)), report)
        else:
            response = self.http.post_json(path, request.payload)
        return self._task_id(self.unwrap(response))

    def _task_id(self, answer: Json) -> str:
        body = answer if isinstance(answer, dict) else {}
        task_id = next((body[key] for key in ("taskid", "task_id") if body.get(key)), "")
        if isinstance(task_id, (int, str)) and task_id:
            return str(task_id)
        if words := message_in(body):
            raise api_error(self.label, 200, words)
        raise no_task_id_error(self.label)

    # -- tasks ------------------------------------------------------------------------------

    def poll(self, task: Task) -> TaskState:
        answer = self.unwrap(self.http.get(_API + "tasks", {"taskid": task.id}))
        body = answer if isinstance(answer, dict) else {}
        word = str(body.get("status") or "")
        status = _WORDS.get(word.lower(), Status.RUNNING)
        usage = body.get("usage")
        return TaskState(
            status=status,
            word=word,
            progress=1.0 if status is Status.SUCCEEDED else None,
            cost=number(usage.get("credits")) if isinstance(usage, dict) else None,
            outputs=tuple(self._outputs(body, task)) if status is Status.SUCCEEDED else (),
            message=message_in(body),
            known=word.lower() in _WORDS,
        )

    def _outputs(self, body: Mapping[str, Any], task: Task) -> Iterator[Output]:
        values = (body.get(key) for key in _RESULTS[task.endpoint])
        for value in values:
            for url in value if isinstance(value, list) else [value]:
                if isinstance(url, str) and url:
                    is_path = not url.startswith(("http://", "https://"))
                    yield Output(url=f"{self.http.base_url}/{url.lstrip('/')}" if is_path else url)

    # -- its protocol -----------------------------------------------------------------------

    def unwrap(self, response: Response) -> Json:
        """The body. It is an error where it holds `error` and no status."""
        body = read_json(response)
        if isinstance(body, dict) and body.get("error") and not body.get("status"):
            raise api_error(self.label, 200, message_in(body) or as_text(body["error"]))
        return body


PROVIDER = OpenComputing


def generation(
    model: Model,
    parameters: Mapping[str, Json],
    *,
    more: Mapping[str, Json] | None = None,
    seed: int = 0,
) -> Request:
    """A request for `model`; `parameters` are named as in its row.

    more  further fields, named as the platform does, for a model without a table
    """
    payload: dict[str, Json] = {"model": model.id, "catelogid": model.task}
    for name, value in parameters.items():
        param = model.param(name)
        assert param is not None
        if name not in _models.FIELD_OF.values():
            field = parameters.get(_models.FIELD_OF.get(name, ""))
            payload[str(field or param.path or name)] = _payload_value(param, value)
    endpoint = _ENDPOINTS.get(model.task, VIDEOS)
    payload.update(more or {})
    return Request("opencomputing", endpoint, payload, title=model.id, seed=seed)


def unlisted(name: str, task: str) -> Model:
    """A model that no list has."""
    return _models.read({"model": name, "catelogid": task})


def _payload_value(param: Param, value: Json) -> Json:
    """`value`; a URL of media as a RemoteFile to download, as the platform takes only files."""
    if isinstance(value, list):
        return [_payload_value(param, each) for each in value]
    kind = param.media_kind
    if kind is None or not isinstance(value, str):
        return value
    return RemoteFile(value, param.name, kind, param.media)


def _form(payload: Mapping[str, Json]) -> Iterator[tuple[str, Field]]:
    """Form fields in order: every value as text, a list as a repeated field."""
    for name, value in payload.items():
        for each in value if isinstance(value, list) else [value]:
            yield name, each if isinstance(each, MediaFile) else as_text(each)
