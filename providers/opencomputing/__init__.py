"""OpenComputing (Yuanjing): chat, pictures and video, in the order of its document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from ...engine.base.errors import InputRejected, NotFound
from ...engine.base.json_tree import as_text
from ...engine.base.types import (
    Field,
    Json,
    MediaFile,
    Model,
    Param,
    RemoteFile,
    Report,
    Request,
    Task,
    TaskState,
    no_report,
)
from ...engine.base.words import tr
from ...engine.http.response import Response, read_json
from ...engine.platforms.answers import AnswerForm
from ...engine.platforms.provider import Accepted, Provider
from . import _answers, _chat, _models, _prices
from ._answers import CHAT, IMAGES, VIDEOS
from ._models import MORE, TASKS

__all__ = ["MORE", "PROVIDER", "TASKS", "OpenComputing", "generation", "unlisted"]

_API = "/llmage/v1/"
_ENDPOINTS = {_models.CHAT: CHAT, _models.IMAGE: IMAGES}
_FORMS = (_models.FRAME_VIDEO, _models.REFERENCE_VIDEO)  # sent as multipart, as in all examples


class OpenComputing(Provider):
    """https://opencomputing.ai"""

    name = "opencomputing"
    label = "OpenComputing"
    default_base_url = "https://opencomputing.ai"
    unit = "credits"
    top_up = "https://ai.opencomputing.cn"
    key_page = "https://ai.opencomputing.cn"
    node_tasks = MappingProxyType(_models.NODES)

    @classmethod
    def about(cls) -> str:
        return tr(
            "Yuanjing: models for chat, images and video. Log in by phone and create an API key."
        )

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

    # -- prices: of the platform's public server --------------------------------------------

    def price_rows(self, models: Sequence[Model]) -> list[Json]:
        return _prices.rows(self.http, _API + "pricing", models, self.unwrap)

    # -- chat: answered at once -------------------------------------------------------------

    def answers_at_once(self, request: Request) -> bool:
        return request.endpoint == CHAT

    def answer(self, request: Request, on_text: Callable[[str], None]) -> tuple[str, TaskState]:
        return _chat.ask(self.http, _API + CHAT, request.payload, on_text, self.unwrap)

    # -- pictures and video -----------------------------------------------------------------

    def sends_files_inside(self, request: Request) -> bool:
        return True

    def submit(self, request: Request, report: Report = no_report) -> Accepted:
        path = _API + request.endpoint
        if request.payload["catelogid"] in _FORMS:
            fields = list(_form(request.payload))
            return self.read_accepted(request, lambda: self.http.post_form(path, fields, report))
        return self.read_accepted(request, lambda: self.http.post_json(path, request.payload))

    # -- tasks ------------------------------------------------------------------------------

    def poll(self, task: Task) -> TaskState:
        body = self.unwrap(self.http.get(_API + "tasks", {"taskid": task.id}))
        return self.read_state(body, task)

    def form(self, endpoint: str) -> AnswerForm:
        return _answers.FORMS[endpoint]

    def is_own_form(self, body: Mapping[str, Json]) -> bool:
        return _answers.is_own_form(body)

    # -- its protocol -----------------------------------------------------------------------

    def unwrap(self, response: Response) -> Json:
        """The body, or its `data` where it comes as `{"status": "ok", "data": {...}}`."""
        body = read_json(response)
        if _answers.is_error(body) and self.http.recognise(body):
            self.raise_refusal(body)
        return _answers.inner(body)


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
