"""HappyHorse: images and videos by 52 rows of model and task, each with its own rules."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import _requested
from ._body import Refusal
from ._draw import DrawSpec
from ._faults import Twists, status_word, strip_markers
from ._fields import form_text
from ._files import SignedStore, StoredFile
from ._happyhorse_bodies import ID_PLACES, RESULT_PLACES, WORDS, View, poll_body, submit_body
from ._happyhorse_media import check_media
from ._happyhorse_rows import Reading, match_row, read_rows
from ._multipart import FormPart
from ._platform import Answer, Platform, Request, Route, World
from ._tasks import FAIL, SUCCESS, Made, Plan, Task, result_urls

POLLS = {
    "image": "/v1/images/async",
    "video": "/v1/videos",
    "grok": "/v1/videos/grok",
    "notevideo": "/v1/videos/notevideo",
}
_KINDS = {path: kind for kind, path in POLLS.items()}
# By the path where a model's tasks are polled; the last one says no amount.
_PRICES = {
    "image": "$0.0150/\u6b21",
    "video": "$0.0600/\u79d2(720P)\uff0c$0.0900/\u79d2(1080P)",
    "grok": "$0.3000/\u6b21",
    "notevideo": "billed by use",
}
_FILE_PARTS = ("image", "mask")
_SECONDS = {"image": 1.5, "video": 3.0}
_ID = re.compile(r"task_[a-z]+_(\d{1,9})", re.ASCII)


class Happyhorse(Platform):
    """Knobs for tests.

    id_place      one of ID_PLACES, None = all in turn
    result_shape  one of RESULT_PLACES, None = all in turn
    most_seconds  films are no longer than this, whatever is asked for
    prices        False: there is no price list, as the document has none
    """

    name = "happyhorse"
    key = "hh-sandbox-key"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.rows = read_rows()
        self.id_place: str | None = None
        self.result_shape: str | None = None
        self.most_seconds = 30.0
        self.prices = True
        self._store = SignedStore("happyhorse")

    def routes(self) -> Sequence[Route]:
        polls = (
            Route("GET", f"{path}/{{task_id}}", partial(self.poll, kind))
            for kind, path in POLLS.items()
        )
        return (
            Route("POST", "/v1/images/async/generations", self.submit),
            Route("POST", "/v1/images/async/edits", self.submit_form),
            Route("POST", "/v1/videos", self.submit),
            Route("POST", "/v1/videos/generations", self.submit),
            *polls,
            Route("GET", "/api/pricing", self.pricing, keyed=False),
            Route("GET", "/results/{name}", self.stored_file, keyed=False, query=None),
        )

    def error(self, status: int, text: str) -> Any:
        """No body of an error is documented; this is what its relatives answer."""
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return {"error": {"message": text, "type": kind}}

    # -- prices -----------------------------------------------------------------------------

    def pricing(self, request: Request) -> Answer:
        """The list beside its relatives' API. It is for everybody: a key is refused."""
        if not self.prices:
            raise Refusal(404, f"There is no {request.path} here.")
        if "Authorization" in request.headers:
            raise Refusal(400, "The price list takes no key.")
        kinds = {row.model: _KINDS[row.poll] for row in self.rows}
        listed = [{"model_name": name, "description": _PRICES[k]} for name, k in kinds.items()]
        return Answer.json({"object": "list", "data": listed})

    # -- submit -----------------------------------------------------------------------------

    def submit(self, request: Request) -> Answer:
        return self._submit(request, request.json())

    def submit_form(self, request: Request) -> Answer:
        """Every part is text, a file's URL too; a file may also be a part itself."""
        parts = request.form()
        return self._submit(request, {name: self._part(parts, name) for name in parts})

    def _part(self, parts: Mapping[str, FormPart], name: str) -> str | StoredFile:
        if name in _FILE_PARTS and parts[name].filename is not None:
            return self.store_upload(parts[name])
        return form_text(parts, name)

    def _submit(self, request: Request, body: Any) -> Answer:
        reading = match_row(self.rows, request.path, body)
        sources = check_media(reading, self.world)
        task = self.accept(request, self._plan(reading, body, sources))
        kind = task.plan.kind
        place = _in_turn(ID_PLACES[kind], self.id_place, task)
        return Answer.json(submit_body(kind, _id(task), place))

    def _plan(self, reading: Reading, body: Mapping[str, Any], sources: tuple[Path, ...]) -> Plan:
        queue = _KINDS[reading.row.poll]
        kind = "image" if queue == "image" else "video"
        copies = _requested.count(reading.values) if kind == "image" else 1
        twists = self.markers(body)

        def make() -> Sequence[Made]:
            specs = (self._spec(kind, reading, sources, number) for number in range(copies))
            return [self._store_result(spec, twists) for spec in specs]

        return Plan(queue, body, make, _SECONDS[kind])

    def _spec(
        self, kind: str, reading: Reading, sources: tuple[Path, ...], number: int
    ) -> DrawSpec:
        values = reading.values
        ending = values.get("output_format", "")
        # Some models call the resolution of a picture its size.
        size = _requested.size({"resolution": values.get("size"), **values})
        return DrawSpec(
            kind=kind,
            text=strip_markers(reading.texts[0]) if reading.texts else "",
            size=size,
            seconds=min(self.most_seconds, _requested.seconds(values, 5.0)),
            sources=sources,
            variant=f"{reading.row.model} {values.get('seed', 0)} {number}",
            ending=ending,
            clear=values.get("background") == "transparent" and ending != "jpeg",
        )

    def _store_result(self, spec: DrawSpec, twists: Twists) -> Made:
        file = self.draw(spec, twists)
        return Made(file, f"{self.base_url}/results/{self._store.put(file)}")

    # -- poll -------------------------------------------------------------------------------

    def poll(self, kind: str, request: Request, task_id: str) -> Answer:
        task = self._task(kind, task_id)
        moment = self.world.tasks.moment(task)
        twists = self.twists(request, task, moment)
        view = View(
            id=task_id,
            number=task.number,
            kind=kind,
            place=_in_turn(RESULT_PLACES[kind], self.result_shape, task),
            word=status_word(twists, _in_turn(WORDS[moment.status], None, task)),
            percent=int(moment.part * 100),
            results=_results(task, twists) if moment.status == SUCCESS else (),
            reason=task.reason if moment.status == FAIL else "",
        )
        return Answer.json(poll_body(view))

    def stored_file(self, request: Request, name: str) -> Answer:
        return request.send(self._store.get(request.target.removeprefix("/results/")))

    def id_of(self, task: Task) -> str:
        return _id(task)

    def poll_target(self, task: Task) -> str:
        return f"{POLLS[task.plan.kind]}/{_id(task)}"

    def _task(self, kind: str, task_id: str) -> Task:
        """The task; it exists only at the path where its row is polled."""
        task_id = self.aliases.get(task_id, task_id)
        match = _ID.fullmatch(task_id)
        task = self.find_task(kind, match[1]) if match else None
        if not task or _id(task) != task_id:
            raise Refusal(404, f"Task {task_id} does not exist at {POLLS[kind]}.")
        return task


def _id(task: Task) -> str:
    return f"task_{task.plan.kind}_{task.id:06d}"


def _in_turn(places: Sequence[str], wanted: str | None, task: Task) -> str:
    """The place a knob names, where this kind of task has it; else the next."""
    return wanted if wanted and wanted in places else places[task.number % len(places)]


def _results(task: Task, twists: Twists) -> list[dict[str, str]]:
    is_real = "empty" not in twists and "result_url" not in twists
    if is_real and task.plan.fields.get("response_format") == "b64_json":
        files = (made.file.path.read_bytes() for made in task.made)
        return [{"b64_json": base64.b64encode(data).decode()} for data in files]
    return [{"url": url} for url in result_urls(task, twists)]
