"""OpenComputing (Yuanjing): chat, pictures, video from text, frames and references, tasks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from . import _requested
from ._body import Refusal
from ._draw import DrawSpec
from ._faults import Twists, status_word, strip_markers
from ._files import StoredFile
from ._opencomputing_rows import Tables, check_form, check_json, text_of
from ._opencomputing_talk import CREDITS as CHAT_CREDITS
from ._opencomputing_talk import Talk
from ._platform import Answer, Platform, Request, Route, World
from ._tasks import CANCELLED, FAIL, PENDING, RUNNING, SUCCESS, Made, Plan, Task, result_urls

_STATUSES = {
    PENDING: "PENDING",
    RUNNING: "RUNNING",
    SUCCESS: "SUCCEEDED",
    FAIL: "FAILED",
    CANCELLED: "CANCELLED",
}
_TYPES = {"t2i": "text2image", "t2v": "text2video", "i2v": "image2video", "ref2v": "ref2video"}
_CREDITS = {"t2t": CHAT_CREDITS, "t2i": 1, "t2v": 10, "i2v": 10, "ref2v": 12}
_CATEGORIES = ("t2t", *_TYPES)
_HERE = Path(__file__).parent


class Opencomputing(Platform):
    """Knobs for tests.

    streams  False: answers at once whatever is asked, as some models do
    prices   False: there is no `pricing`, as the document has none
    form     "document", or "server": as the platform's public server source answers
    """

    name = "opencomputing"
    key = "sk-sandbox-opencomputing"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.tables = Tables.read(_HERE / "opencomputing_tables.json")
        self.streams = True
        self.prices = True
        self.form = "document"
        self._results: dict[str, StoredFile] = {}
        self._serial = itertools.count(19)

    def routes(self) -> Sequence[Route]:
        v1 = "/llmage/v1"
        return (
            Route("GET", f"{v1}/models", self.models, query=("catelogid",)),
            Route("GET", f"{v1}/pricing", self.pricing, query=("model", "catelogid")),
            Route("POST", f"{v1}/chat/completions", self.chat),
            Route("POST", f"{v1}/image/generations", self.image),
            Route("POST", f"{v1}/video/generations", self.video),
            Route("GET", f"{v1}/tasks", self.task, query=("taskid",)),
            Route("GET", "/idfile", self.file, keyed=False, query=("path",)),
        )

    def error(self, status: int, text: str) -> Any:
        words = "Invalid API Key" if status == 401 else text
        if self.form == "server":
            return {"status": "error", "data": {"message": words}}
        return {"error": words}

    def answer(self, request: Request) -> Answer:
        answer = super().answer(request)
        return _as_server(request.path, answer) if self.form == "server" else answer

    # -- models -----------------------------------------------------------------------------

    def models(self, request: Request) -> Answer:
        """The body is in no document."""
        category = request.args.get("catelogid", [""])[0]
        if category not in ("", *_CATEGORIES):
            raise Refusal(400, f"Unknown catelogid {category!r}.")
        rows = self.tables.models(category)
        listed = [{"id": name, "object": "model", "catelogid": kind} for kind, name in rows]
        return Answer.json({"object": "list", "data": listed})

    def pricing(self, request: Request) -> Answer:
        """As the platform's public server answers; its document has no such call."""
        if not self.prices:
            raise Refusal(404, f"There is no {request.path} here.")
        model, category = request.arg("model"), request.arg("catelogid")
        if (category, model) not in self.tables.rows:
            return Answer.json({"status": "error", "message": f"No price of {model!r}."})
        text = f"{_CREDITS[category]} credits/\u6b21"
        return Answer.json({"status": "ok", "data": {"display_text": text}})

    # -- chat -------------------------------------------------------------------------------

    def chat(self, request: Request) -> Answer:
        body = _object(request.json())
        category = body.get("catelogid", "t2t")
        check_json(body, self.tables.fields(category, body.get("model"), ("t2t",)))
        twists = self.markers(body)
        task = self.accept(request, Plan("chat", body, lambda: (), 0.0))
        talk = Talk(task.id, body, twists)
        if not (self.streams and body.get("stream", False)):
            return Answer.json(talk.whole())
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        return Answer(200, headers, talk.stream(self.world.tasks, task.began))

    # -- pictures and video -----------------------------------------------------------------

    def image(self, request: Request) -> Answer:
        body = _object(request.json())
        check_json(body, self._fields(body, ("t2i",)))
        return self._submit(request, body, ())

    def video(self, request: Request) -> Answer:
        """Text comes as JSON, files as a form: the headers of the document say JSON for both."""
        if request.headers.get_content_type() == "multipart/form-data":
            return self._video_of_files(request)
        body = _object(request.json())
        check_json(body, self._fields(body, ("t2v",)))
        return self._submit(request, body, ())

    def _video_of_files(self, request: Request) -> Answer:
        parts = request.form_lists()
        fixed = {n: text_of(n, parts.get(n, ())) for n in ("model", "catelogid")}
        rules = self._fields(fixed, ("i2v", "ref2v"))
        values, files = check_form(parts, rules, self.store_upload)
        return self._submit(request, {**fixed, **values}, files)

    def _fields(self, body: Mapping[str, Any], taken: Sequence[str]) -> Any:
        return self.tables.fields(body.get("catelogid"), body.get("model"), taken)

    def _submit(
        self, request: Request, values: Mapping[str, Any], files: Sequence[StoredFile]
    ) -> Answer:
        task = self.accept(request, self._plan(values, files))
        status = "submitted" if self.form == "server" else "CREATED"
        return Answer.json({"taskid": _task_id(task), "status": status})

    def _plan(self, values: Mapping[str, Any], files: Sequence[StoredFile]) -> Plan:
        picture = values["catelogid"] == "t2i"
        twists = self.markers(dict(values))
        spec = DrawSpec(
            kind="image" if picture else "video",
            text=strip_markers(values["prompt"]),
            size=_requested.size(values),
            seconds=_requested.seconds(values, 3.0),
            sources=tuple(file.path for file in files if file.kind != "audio"),
            variant=values["model"],
        )
        cover = DrawSpec("image", spec.text, size=(320, 180), variant=spec.variant)

        def make() -> Sequence[Made]:
            made = [self._store_result(spec, "picture" if picture else "video", twists)]
            return made if picture else [*made, self._store_result(cover, "cover", {})]

        return Plan("task", dict(values), make, 1.5 if picture else 3.0)

    def _store_result(self, spec: DrawSpec, name: str, twists: Twists) -> Made:
        file = self.draw(spec, twists)
        path = f"/tmp/{next(self._serial)}/43/137/39/{name}.{file.ending}"
        self._results[path] = file
        return Made(file, f"{self.base_url}/idfile?path={path}")

    # -- tasks ------------------------------------------------------------------------------

    def task(self, request: Request) -> Answer:
        name = request.arg("taskid")
        task = self._find(name)
        if task is None:
            return self._unknown(name)
        moment = self.world.tasks.moment(task)
        twists = self.twists(request, task, moment)
        status = status_word(twists, _STATUSES[moment.status], unknown="THINKING")
        body: dict[str, Any] = {"status": status}
        # The vendor's number, not the one that the task is asked for by.
        body["taskid"] = f"vendor-{task.id}"
        if moment.status == FAIL:
            body["error"] = task.reason
        if moment.status == SUCCESS:
            body |= {"usage": _usage(task), **_results(task, twists)}
        return Answer.json(body)

    def id_of(self, task: Task) -> str:
        return _task_id(task)

    def poll_target(self, task: Task) -> str:
        return f"/llmage/v1/tasks?taskid={_task_id(task)}"

    def no_task(self, id: str) -> Answer:
        """As the platform's server answers before a task's row is written."""
        return Answer.json({"status": "FAILED", "error": f"taskid={id} not exist"})

    def results(self, task: Task) -> Sequence[Made]:
        return task.made[:1]

    def _unknown(self, name: str) -> Answer:
        if self.form == "server":
            return self.no_task(name)
        raise Refusal(404, f"Task {name} does not exist.")

    def _find(self, name: str) -> Task | None:
        name = self.aliases.get(name, name)
        number = name.removeprefix("oc-")
        return self.find_task("task", number) if name.startswith("oc-") else None

    def file(self, request: Request) -> Answer:
        """Whether results need the key is not said; the example's address is open."""
        path = unquote(request.arg("path"))
        if path not in self._results:
            raise Refusal(404, f"There is no file {path}.")
        return request.send(self._results[path])


def _as_server(path: str, answer: Answer) -> Answer:
    """`answer` in the form of the platform's public server source."""
    if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
        answer.headers["Content-Type"] = "application/json"
    status = 403 if answer.status == 401 else answer.status
    if path.endswith("/tasks") and status == 200 and answer.tree is not None:
        return Answer.json({"status": "ok", "data": answer.tree}, status)
    answer.status = status
    return answer


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object.")
    for name in ("model", "prompt"):
        if not body.get(name):
            raise Refusal(400, f"Missing required parameter: {name}")
    return body


def _task_id(task: Task) -> str:
    return f"oc-{task.id:06d}"


def _usage(task: Task) -> dict[str, Any]:
    values = task.plan.fields
    category = values["catelogid"]
    body = {"action": category, "credits": _CREDITS[category], "type": _TYPES[category]}
    named = {n: values[n] for n in ("model", "resolution", "duration") if n in values}
    return {**body, **named}


def _results(task: Task, twists: Twists) -> dict[str, str]:
    """`image` is the picture; of a video it is the cover."""
    if "empty" in twists:
        return {}
    url = result_urls(task, twists)[0]
    covers = [made.address for made in task.made[1:]]
    return {"image": covers[0], "video": url} if covers else {"image": url}
