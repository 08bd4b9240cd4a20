"""HappyHorse: 52 pairs of a model and a task, in the order of its document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...engine.base.errors import InvalidInput, MissingKey
from ...engine.base.json_tree import files_in
from ...engine.base.types import Json, Model, Report, Request, Task, TaskState, no_report
from ...engine.base.words import tr
from ...engine.http.response import read_json
from ...engine.platforms.answers import AnswerForm
from ...engine.platforms.provider import Accepted, Provider
from ...engine.settings import settings
from . import _answers, _body, _inline, _models, _prices

_BUILT_IN = Path(__file__).with_name("models.json")


@dataclass(frozen=True)
class Route:
    """The paths to which a request is sent and from which its task is polled.

    home   the object in an answer that describes the task itself, "" for the whole answer
    form   whether it is sent as multipart/form-data, every value as text
    """

    submit: str
    poll: str
    home: str = ""
    form: bool = False


ROUTES = {
    "images/generations": Route("/v1/images/async/generations", "/v1/images/async/", "data"),
    "images/edits": Route("/v1/images/async/edits", "/v1/images/async/", "data", form=True),
    "videos": Route("/v1/videos", "/v1/videos/"),
    "videos/grok": Route("/v1/videos/generations", "/v1/videos/grok/", "output"),
    "videos/notevideo": Route("/v1/videos/generations", "/v1/videos/notevideo/", "output"),
}


class HappyHorse(Provider):
    """The document gives no address: HAPPYHORSE_BASE_URL must be set."""

    name = "happyhorse"
    label = "HappyHorse"
    unit = "USD"  # of the price list; its answers tell no costs

    # -- models: every "request fields" table -----------------------------------------------

    @classmethod
    def built_in_rows(cls) -> list[Json]:
        rows: list[Json] = json.loads(_BUILT_IN.read_text(encoding="utf-8"))
        return rows

    @classmethod
    def read_row(cls, row: Json) -> Model:
        return _models.read(row)

    # -- prices: beside the API, in no document ---------------------------------------------

    def price_rows(self, models: Sequence[Model]) -> list[Json]:
        return _prices.rows(self.http)

    @classmethod
    def about(cls) -> str:
        return tr(
            "Models for images and video. Your provider names the address that belongs to the key."
        )

    @classmethod
    def page_for_keys(cls, base_url: str) -> str:
        return _prices.page_for_keys(base_url)

    @classmethod
    def top_up_page(cls, base_url: str) -> str:
        return _prices.top_up_page(base_url)

    # -- files: by URL, or inside the request as the setting says ---------------------------

    def prepare(self, request: Request) -> Request:
        if self.sends_files_inside(request) and files_in(request.payload):
            form = ROUTES[request.endpoint].form
            _inline.check_size(request.payload, self.label, form=form)
        return request

    def sends_files_inside(self, request: Request) -> bool:
        return settings.load().happyhorse_media == settings.INLINE

    def upload_scope(self, request: Request) -> str:
        try:
            return super().upload_scope(request)
        except (InvalidInput, MissingKey) as error:
            way = tr("Or set happyhorse_media to inline: files then go inside the request.")
            error.do = f"{error.do} {way}".strip()
            raise

    # -- submit and poll: every "Python" example --------------------------------------------

    def submit(self, request: Request, report: Report = no_report) -> Accepted:
        route = ROUTES[request.endpoint]
        path = self._path(route.submit)
        if route.form:
            fields = _inline.form_fields(request.payload)
            return self.read_accepted(request, lambda: self.http.post_form(path, fields, report))
        body = _inline.json_body(request.payload)
        return self.read_accepted(request, lambda: self.http.post_json(path, body))

    def poll(self, task: Task) -> TaskState:
        path = self._path(ROUTES[task.endpoint].poll)
        return self.read_state(read_json(self.http.get(path + quote(task.id, safe=""))), task)

    def form(self, endpoint: str) -> AnswerForm:
        return _answers.FORMS[ROUTES[endpoint].home]

    def is_own_form(self, body: Mapping[str, Json]) -> bool:
        return _answers.is_own_form(body)

    def _path(self, path: str) -> str:
        """`path` relative to the base URL, which people may enter with `/v1` at its end."""
        return path.removeprefix("/v1") if self.http.base_url.endswith("/v1") else path

    def check(self) -> str:
        """A poll is free; no task has this id."""
        return self.check_by_poll(Task(self.name, "videos", "skyport-check"))


PROVIDER = HappyHorse


def generation(model: Model, parameters: Mapping[str, Json], *, seed: int = 0) -> Request:
    """A request for a model of the catalogue; `parameters` are named as in its row."""
    payload = _body.body(model, parameters)
    return Request(HappyHorse.name, model.endpoint, payload, title=model.id, seed=seed)


def custom(model_id: str, route: str, body: Mapping[str, Json], *, seed: int = 0) -> Request:
    """A request for an unlisted model: `body` is sent unchanged, with the model's name."""
    payload = {"model": model_id, **body}
    return Request(HappyHorse.name, route, payload, title=model_id, seed=seed)
