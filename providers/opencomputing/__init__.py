"""OpenComputing (Yuanjing): chat, pictures and video, in its document's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...engine.base.errors import InputRejected, NotFound, OutcomeUnknown
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
    silent,
)
from ...engine.base.words import tr
from ...engine.http.error_answers import api_error, words_of
from ...engine.http.response import Response, read_json
from ...engine.platforms.provider import Provider
from . import _chat, _models
from ._models import MORE, TASKS

__all__ = ["MORE", "PROVIDER", "TASKS", "OpenComputing", "generation", "unlisted"]

_API = "/llmage/v1/"
CHAT, IMAGES, VIDEOS = "chat/completions", "image/generations", "video/generations"
_ENDPOINTS = {_models.CHAT: CHAT, _models.IMAGE: IMAGES}
_FORMS = (_models.FRAME_VIDEO, _models.REFERENCE_VIDEO)  # multipart, as all their examples are
_WORDS = {
    "created": Status.QUEUED,
    "pending": Status.QUEUED,
    "running": Status.RUNNING,
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
}
# Of a video, `image` is only the cover.
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
        """The models of every task; where none is told of a task, those of the document."""
        found: dict[tuple[str, str], Json] = {}
        for task in TASKS:
            known = [row for row in _models.built_in_rows() if row["catelogid"] == task]
            for row in self._listed(task) or known:
                found.setdefault((row["model"], row["catelogid"]), row)
        return list(found.values())

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

    def submit(self, request: Request, report: Report = silent) -> str:
        path = _API + request.endpoint
        if request.payload["catelogid"] in _FORMS:
            response = self.http.post_form(path, list(_form(request.payload)), report)
        else:
            response = self.http.post_json(path, request.payload)
        return self._task_id(self.unwrap(response))

    def _task_id(self, answer: Json) -> str:
        body = answer if isinstance(answer, dict) else {}
        found = next((body[key] for key in ("taskid", "task_id") if body.get(key)), "")
        if isinstance(found, (int, str)) and found:
            return str(found)
        if words := words_of(body):
            raise api_error(self.label, 200, words)
        raise OutcomeUnknown(
            tr("The platform took the request and named no task; it may have been charged."),
            do=tr("Look at your tasks on the platform before you queue again."),
            platform=self.label,
        )

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
            message=words_of(body),
            known=word.lower() in _WORDS,
        )

    def _outputs(self, body: Mapping[str, Any], task: Task) -> Iterator[Output]:
        told = (body.get(key) for key in _RESULTS[task.endpoint])
        for value in told:
            for url in value if isinstance(value, list) else [value]:
                if isinstance(url, str) and url:
                    at_home = not url.startswith(("http://", "https://"))
                    yield Output(url=f"{self.http.base_url}/{url.lstrip('/')}" if at_home else url)

    # -- how it speaks ----------------------------------------------------------------------

    def unwrap(self, response: Response) -> Json:
        """The body. One that holds an error in the place of a status or an answer is an error."""
        body = read_json(response)
        if isinstance(body, dict) and body.get("error") and not body.get("status"):
            raise api_error(self.label, 200, words_of(body) or as_text(body["error"]))
        return body


PROVIDER = OpenComputing


def generation(
    model: Model,
    parameters: Mapping[str, Json],
    *,
    more: Mapping[str, Json] | None = None,
    seed: int = 0,
) -> Request:
    """A request for `model`, whose `parameters` are named as in its row.

    more  further fields, in the platform's own words, of a model that no table describes
    """
    payload: dict[str, Json] = {"model": model.id, "catelogid": model.task}
    for name, value in parameters.items():
        param = model.param(name)
        assert param is not None
        if name not in _models.FIELD_OF.values():
            named = parameters.get(_models.FIELD_OF.get(name, ""))
            payload[str(named or param.path or name)] = _wired(param, value)
    endpoint = _ENDPOINTS.get(model.task, VIDEOS)
    payload.update(more or {})
    return Request("opencomputing", endpoint, payload, title=model.id, seed=seed)


def unlisted(name: str, task: str) -> Model:
    """A model that is in no list."""
    return _models.read({"model": name, "catelogid": task})


def _wired(param: Param, value: Json) -> Json:
    """A URL where the platform takes files only is one to be fetched."""
    if isinstance(value, list):
        return [_wired(param, one) for one in value]
    kind = param.media_kind
    if kind is None or not isinstance(value, str):
        return value
    return RemoteFile(value, param.name, kind, param.media)


def _form(payload: Mapping[str, Json]) -> Iterator[tuple[str, Field]]:
    """Form fields in order: every value as text, a list as a field that is repeated."""
    for name, value in payload.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, MediaFile) else as_text(one)
