"""A ComfyUI behind a bearer token: its native routes, with and without /api, and v2."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from . import _comfyui_classes as classes
from . import _comfyui_events as events
from ._body import Refusal
from ._comfyui_files import INPUT, OUTPUT, TEMP, Folders, Place, stored
from ._comfyui_queue import Entry, Queue, Seen
from ._comfyui_v2 import ComfyApiV2
from ._faults import Twists, status_word
from ._fields import only
from ._files import result_file
from ._graph import Prompt, in_order, title
from ._nodes.kinds import TEXT
from ._platform import Answer, Platform, Request, Route, World
from ._tasks import CANCELLED, FAIL, PENDING, RUNNING, SUCCESS, Made, Task
from ._workflow import Saved, check_shape, output_nodes, wrong_inputs

VERSION = "0.33.0"
_PROMPT_FIELDS = ("prompt", "client_id", "prompt_id", "extra_data", "number", "front")
_WORDS = {
    PENDING: "pending",
    RUNNING: "in_progress",
    SUCCESS: "completed",
    FAIL: "failed",
    CANCELLED: "cancelled",
}
_TEMPORARY = ("PreviewImage", "PreviewAudio")
_KEYS = {"VHS_VideoCombine": "gifs"}  # of the outputs, by class; all others by kind
_KIND_KEYS = {"image": "images", "video": "images", "audio": "audio"}
_GIB = 1024**3


class Comfyui(Platform):
    """Knobs for tests.

    jobs     whether there are the routes below /api/jobs, as since 0.26
    strict   whether a class that is drawn, not executed, and told by no object_info, is refused
    restart  a call: queue, history and temporary files are gone
    v2       its other interface, with knobs of its own; it has none until v2.is_on
    """

    name = "comfyui"
    shows_text = True
    key = "sk-sandbox-comfyui"

    def __init__(self, world: World) -> None:
        self.v2 = ComfyApiV2(self)
        self.v2.is_on = False
        super().__init__(world)
        self.jobs = True
        self.strict = False
        self.queue = Queue(world.tasks)
        self._numbers = 0
        self._folders = Folders()

    def restart(self) -> None:
        """The server was started anew."""
        self.queue.clear()
        self.v2.restart()
        self._folders.clear_temp()

    def routes(self) -> Sequence[Route]:
        both = (
            Route("GET", "/system_stats", self.system_stats),
            Route("GET", "/features", self.features),
            Route("GET", "/object_info", self.object_info),
            Route("GET", "/object_info/{name}", self.object_info),
            Route("GET", "/models", self.models),
            Route("GET", "/models/{folder}", self.models_in),
            Route("POST", "/upload/image", self.upload),
            Route("POST", "/prompt", self.prompt),
            Route("GET", "/queue", self.get_queue),
            Route("POST", "/queue", self.change_queue),
            Route("POST", "/interrupt", self.interrupt),
            Route("GET", "/history", self.all_history, query=("max_items", "offset")),
            Route("GET", "/history/{id}", self.history),
            Route("GET", "/view", self.view, query=None),
            Route("GET", "/ws", self.socket, query=("clientId",)),
        )
        api = tuple(replace(route, template=f"/api{route.template}") for route in both)
        jobs = (
            Route("GET", "/api/jobs", self.all_jobs, query=None),
            Route("GET", "/api/jobs/{id}", self.job),
            Route("POST", "/api/jobs/{id}/cancel", self.cancel_job),
        )
        return (*both, *api, *jobs, *self.v2.routes())

    def error(self, status: int, text: str) -> Any:
        return _error("refused", text)

    # -- the server -------------------------------------------------------------------------

    def system_stats(self, request: Request) -> Answer:
        device = {"name": "cuda:0 Sandbox", "type": "cuda", "index": 0}
        memory = {"vram_total": 24 * _GIB, "vram_free": 20 * _GIB}
        system = {"os": "linux", "comfyui_version": VERSION, "ram_total": 64 * _GIB}
        return Answer.json({"system": system, "devices": [{**device, **memory}]})

    def features(self, request: Request) -> Answer:
        return Answer.json({"supports_preview_metadata": True, "max_upload_size": 104857600})

    def object_info(self, request: Request, name: str = "") -> Answer:
        info = classes.object_info(sorted(self._folders.inputs()))
        if name:
            info = {name: info[name]} if name in info else {}
        return Answer.json(info)

    def models(self, request: Request) -> Answer:
        return Answer.json(sorted(classes.MODELS))

    def models_in(self, request: Request, folder: str) -> Answer:
        if folder not in classes.MODELS:
            return Answer(404, {})
        return Answer.json(list(classes.MODELS[folder]))

    # -- files ------------------------------------------------------------------------------

    def upload(self, request: Request) -> Answer:
        form = request.form()
        only(form, ("image", "type", "subfolder", "overwrite"), "field")
        texts = {name: part.text for name, part in form.items() if part.filename is None}
        part = form.get("image")
        wanted = Place(
            (part.filename or "") if part else "",
            texts.get("subfolder", ""),
            texts.get("type", INPUT),
        )
        is_inside = Place.read(wanted.query) is not None
        if not part or not is_inside or wanted.type not in (INPUT, OUTPUT, TEMP):
            return Answer(400, {})
        overwrite = texts.get("overwrite") in ("true", "1")
        at = self._folders.upload(wanted, stored(part), overwrite)
        self.world.media.cleared.discard(at.in_workflow)
        self.world.media.uploads.add(at.in_workflow)
        return Answer.json({"name": at.filename, "subfolder": at.subfolder, "type": at.type})

    def view(self, request: Request) -> Answer:
        at = Place.read(request.query)
        file = self._folders.get(at)
        if file is None:
            return Answer(404 if at else 400, {})
        return request.send(file)

    # -- prompts ----------------------------------------------------------------------------

    def prompt(self, request: Request) -> Answer:
        body = request.json()
        if not isinstance(body, dict) or "prompt" not in body:
            return Answer.json(_error("no_prompt", "No prompt provided"), 400)
        only(body, _PROMPT_FIELDS, "field")
        id, prompt = body.get("prompt_id") or str(uuid.uuid4()), body["prompt"]
        if not _is_job_id(id):
            return Answer.json(_error("invalid_prompt_id", "prompt_id must be a valid UUID"), 400)
        check_shape(prompt)
        errors = self._node_errors(prompt)
        good = [each for each in output_nodes(prompt) if not _is_spoilt(each, errors)]
        if refusal := self._refusal(prompt, good, errors):
            return Answer.json(refusal, 400)
        number, task = self._next_number(body), self._accept(request, body, good)
        client = str(body.get("client_id", ""))
        self.queue.add(Entry(id, number, prompt, {}, good, task, client))
        return Answer.json({"prompt_id": id, "number": number, "node_errors": errors})

    def _accept(self, request: Request, body: Mapping[str, Any], good: Sequence[str]) -> Task:
        """The task that makes these outputs; the others are left out."""
        prompt = body["prompt"]

        def store(saved: Saved, twists: Twists) -> Made:
            file = result_file(saved.path, twists)
            is_temp = prompt[saved.node_id]["class_type"] in _TEMPORARY
            at = self._folders.save(saved.prefix, file, TEMP if is_temp else OUTPUT)
            return Made(file, at.query, saved.node_id, saved.title)

        needed = {each: prompt[each] for each in in_order(prompt, good)}
        inputs = self._folders.inputs()
        return self.accept(request, self.plan_workflow("prompt", body, needed, inputs, store))

    def _next_number(self, body: Mapping[str, Any]) -> float:
        if "number" in body:
            return float(body["number"])
        self._numbers += 1
        return -self._numbers if body.get("front") else self._numbers

    def _node_errors(self, prompt: Prompt) -> dict[str, Any]:
        """By node, what is wrong with its inputs, and the outputs that cannot be made for it."""
        errors: dict[str, Any] = {}
        outputs = {each: set(in_order(prompt, [each])) for each in output_nodes(prompt)}
        for node_id, name, words in wrong_inputs(prompt, self._folders.find_input):
            about = {"type": "value_not_valid", "message": words, "details": name}
            entry = errors.setdefault(
                node_id,
                {
                    "errors": [],
                    "dependent_outputs": [each for each in outputs if node_id in outputs[each]],
                    "class_type": prompt[node_id]["class_type"],
                },
            )
            entry["errors"].append({**about, "extra_info": {"input_name": name}})
        return errors

    def _refusal(self, prompt: Prompt, good: Sequence[str], errors: Mapping[str, Any]) -> Any:
        for node_id, node in prompt.items():
            if self.strict and not classes.is_known(node["class_type"]):
                words = f"Node '{title(node)}' not found. The custom node may not be installed."
                return _error("missing_node_type", words, f"Node ID '#{node_id}'")
        if not output_nodes(prompt):
            return _error("prompt_no_outputs", "Prompt has no outputs")
        if not good:
            words = "Prompt outputs failed validation"
            return {**_error("prompt_outputs_failed_validation", words), "node_errors": errors}
        return None

    # -- queue and history ------------------------------------------------------------------

    def get_queue(self, request: Request) -> Answer:
        return Answer.json(
            {
                "queue_running": [_queued(each) for each in self.queue.running()],
                "queue_pending": [_queued(each) for each in self.queue.pending()],
            }
        )

    def change_queue(self, request: Request) -> Answer:
        body = _object(request, "delete", "clear")
        pending = [each.entry.id for each in self.queue.pending()]
        wanted = pending if body.get("clear") else body.get("delete", [])
        for id in wanted:
            if id in pending:
                self.queue.cancel(id)
        return Answer(200, {})

    def interrupt(self, request: Request) -> Answer:
        body = _object(request, "prompt_id")
        for each in self.queue.running():
            if body.get("prompt_id", each.entry.id) == each.entry.id:
                self.queue.cancel(each.entry.id)
        return Answer(200, {})

    def history(self, request: Request, id: str) -> Answer:
        seen = next((each for each in self.queue.history() if each.entry.id == id), None)
        if seen is None:
            return Answer.json({})
        twists = self.twists(request, seen.entry.task, seen.moment)
        return Answer.json({id: self._entry(seen, twists)})

    def all_history(self, request: Request) -> Answer:
        return Answer.json({each.entry.id: self._entry(each, {}) for each in self.queue.history()})

    def _entry(self, seen: Seen, twists: Twists) -> Any:
        return {
            "prompt": _queued(seen),
            "outputs": self._outputs(seen, twists),
            "status": events.status(seen, self._time),
            "meta": {},
        }

    def _outputs(self, seen: Seen, twists: Twists) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        is_empty = seen.status != SUCCESS or "empty" in twists
        for made in () if is_empty else seen.entry.task.made:
            node, at = seen.entry.prompt[made.node_id], Place.read(made.address)
            kind = _KEYS.get(node["class_type"]) or _KIND_KEYS.get(made.file.kind, "files")
            if made.file.kind == TEXT:
                text = made.file.path.read_text(encoding="utf-8")
                outputs.setdefault(made.node_id, {}).setdefault(TEXT, []).append(text)
            elif at:
                outputs.setdefault(made.node_id, {}).setdefault(kind, []).append(asdict(at))
        return outputs

    def socket(self, request: Request) -> Answer:
        client = "".join(request.args.get("clientId", ())) or uuid.uuid4().hex
        stream = events.EventStream(self.queue, self.tasks, client, self._events)
        return Answer(101, events.handshake(request.headers), stream.frames())

    def _events(self, seen: Seen) -> list[events.Event]:
        return events.events(seen, self._outputs(seen, {}), self._time)

    # -- jobs -------------------------------------------------------------------------------

    def all_jobs(self, request: Request) -> Answer:
        self._check_jobs()
        jobs = [self._job(each, {}) for each in self.queue.seen()]
        return Answer.json({"jobs": jobs, "pagination": {"total": len(jobs), "has_more": False}})

    def job(self, request: Request, id: str) -> Answer:
        self._check_jobs()
        seen = self.queue.get(id)
        if seen is None:
            return self.no_task(id)
        twists = self.twists(request, seen.entry.task, seen.moment)
        return Answer.json(self._job(seen, twists))

    def cancel_job(self, request: Request, id: str) -> Answer:
        self._check_jobs()
        return Answer.json({"cancelled": self.queue.cancel(id)})

    def _check_jobs(self) -> None:
        if not self.jobs:
            raise Refusal(404, "404: Not Found")

    def _job(self, seen: Seen, twists: Twists) -> Any:
        job = {
            "id": seen.entry.id,
            "status": status_word(twists, _WORDS[seen.status]),
            "priority": seen.entry.number,
            "create_time": self._time(seen.entry.task.began),
            "outputs_count": 0,
        }
        if seen.status in (PENDING, RUNNING):
            return job
        outputs = self._outputs(seen, twists)
        ended = {
            "execution_start_time": self._time(seen.start),
            "execution_end_time": self._time(seen.end),
            "outputs_count": sum(
                len(files) for each in outputs.values() for files in each.values()
            ),
            "outputs": outputs,
            "execution_status": events.status(seen, self._time),
            "workflow": {"prompt": seen.entry.prompt, "extra_data": seen.entry.extra},
        }
        failed = {"execution_error": events.error_of(seen)} if seen.status == FAIL else {}
        return {**job, **ended, **failed}

    # -- how a task is reported -------------------------------------------------------------

    def id_of(self, task: Task) -> str:
        return next((s.entry.id for s in self.queue.seen() if s.entry.task.id == task.id), "")

    def _time(self, moment: float) -> int:
        """A moment of the sandbox's clock in milliseconds since the epoch."""
        return int((time.time() - (self.tasks.clock() - moment)) * 1000)

    def poll_target(self, task: Task) -> str:
        return f"/api/jobs/{self.id_of(task)}"

    def no_task(self, id: str) -> Answer:
        return Answer.json({"error": "Job not found"}, 404)


def _error(kind: str, message: str, details: str = "") -> dict[str, Any]:
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return {"error": error, "node_errors": {}}


def _is_job_id(id: Any) -> bool:
    try:
        return isinstance(id, str) and str(uuid.UUID(id)) == id
    except ValueError:
        return False


def _is_spoilt(output: str, errors: Mapping[str, Any]) -> bool:
    return any(output in about["dependent_outputs"] for about in errors.values())


def _object(request: Request, *names: str) -> Mapping[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object.")
    only(body, names, "field")
    return body


def _queued(seen: Seen) -> list[Any]:
    entry = seen.entry
    return [entry.number, entry.id, entry.prompt, entry.extra, list(entry.outputs)]
