"""GPUGeek: upload links, commits, workflows, their tasks and how they are cancelled."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from ._body import Refusal
from ._faults import Twists, status_word
from ._fields import exactly
from ._files import result_file
from ._gpugeek_storage import LINK_SECONDS, Storage, addresses, stand_in
from ._platform import Answer, Platform, Request, Route, World
from ._tasks import CANCELLED, FAIL, PENDING, SUCCESS, Made, Moment, Task
from ._workflow import Saved

WORKFLOW_ID = 763311996779461  # the document's own
PRICE = 0.11
_QUEUED, _GENERATING, _DONE, _FAILED, _CANCELLED = 1, 2, 3, 4, 5
_NO_WORKFLOW, _NO_TASK, _TASK_ENDED, _BUSY = (
    20404,
    30404,
    30409,
    30503,
)  # no code of its own is documented


class Gpugeek(Platform):
    """Knobs for tests.

    dialect    "table" or "sample": how upload links are asked for; the other way is refused
    otherwise  the HTTP status of that refusal
    id_as      "number" or "text": prompt_id in answers, None = in turn
    result_as  "list" or "text": the values of result_url, None = in turn
    ending     what result addresses end in whatever they are, None = as they should
    queued     the share of a task's time that it waits in the queue; queue is its length
    workflows  the ids there are
    """

    name = "gpugeek"
    key = "sk-sandbox-gpugeek"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.dialect = "table"
        self.otherwise = 405
        self.id_as: str | None = None
        self.result_as: str | None = None
        self.ending: str | None = None
        self.queued = 0.3
        self.queue = 3
        self.workflows = {WORKFLOW_ID}
        self._storage = Storage(world.tasks.clock)
        self._cancelled: dict[int, float] = {}

    def routes(self) -> Sequence[Route]:
        v1 = "/api/v1"
        link = f"{v1}/file/upload/pre-signed-url"
        return (
            Route("GET", link, self.get_link, query=None),
            Route("POST", link, self.post_link, query=None),
            Route("POST", f"{v1}/file/upload/commit", self.commit),
            Route("POST", f"{v1}/prompt", self.prompt),
            Route("POST", f"{v1}/task/cancel", self.cancel),
            Route("GET", f"{v1}/task/{{prompt_id}}", self.details),
            Route("PUT", "/comfy/input/{name}", self.put, keyed=False, query=None),
            Route("GET", "/comfy/input/{name}", self.stored_file, keyed=False),
            Route("GET", "/comfy/output/{name}", self.stored_file, keyed=False),
        )

    def error(self, status: int, text: str) -> Any:
        return {"code": status, "message": text, "traceid": uuid.uuid4().hex, "data": None}

    # -- files ------------------------------------------------------------------------------

    def get_link(self, request: Request) -> Answer:
        self._check_dialect("table")
        request.read_query(("file_name",))
        return _success(
            {"signed_url": self._link(request.arg("file_name")), "expired_at": _end_of_link()}
        )

    def post_link(self, request: Request) -> Answer:
        self._check_dialect("sample")
        request.read_query(("fileName",))
        name = request.arg("fileName")
        if any(request.body.blocks(0)):
            raise Refusal(400, "The request takes no body.")
        return _success({"signedUrl": self._link(name), "expiredAt": _end_of_link()})

    def _check_dialect(self, asked: str) -> None:
        if asked != self.dialect:
            raise Refusal(self.otherwise, "Upload links are asked for in another way here.")

    def _link(self, name: str) -> str:
        return self._storage.link(self._inputs, name)

    @property
    def _inputs(self) -> str:
        return f"{self.base_url}/comfy/input/"

    def put(self, request: Request, name: str) -> Answer:
        self._storage.take(self.base_url + request.target, request)
        return Answer(200, {})

    def stored_file(self, request: Request, name: str) -> Answer:
        return request.send(self._storage.get(self.base_url + request.path))

    def commit(self, request: Request) -> Answer:
        url = exactly(request.json(), ("oss_url",))["oss_url"]
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise Refusal(400, f"oss_url must be the address of a file, not {url!r}.")
        if url.startswith(f"{self.base_url}/"):
            self._storage.commit(url)
        else:
            file = stand_in(url, self.world.origin, self.world.new_path)
            url = self._storage.add(self._inputs, file)
        self.world.media.uploads.add(url)
        return _success({"oss_url": url})

    # -- workflows --------------------------------------------------------------------------

    def prompt(self, request: Request) -> Answer:
        body = exactly(request.json(), ("workflow_id", "prompt", "task_type"))
        number = _integer(body, "workflow_id")
        if type(body["task_type"]) is not int or body["task_type"] != 1:
            raise Refusal(400, f"task_type must be 1, not {body['task_type']!r}.")
        if number not in self.workflows:
            return self._refuse(_NO_WORKFLOW, f"workflow {number} does not exist")
        files = self._storage.committed
        plan = self.plan_workflow("prompt", body, body["prompt"], files, self._store_output)
        task = self.accept(request, plan)
        as_text = _in_turn(self.id_as, "text", task)
        return _success({"prompt_id": str(task.id) if as_text else task.id})

    def _store_output(self, saved: Saved, twists: Twists) -> Made:
        file = result_file(saved.path, twists)
        address = self._storage.add(f"{self.base_url}/comfy/output/", file, self.ending)
        return Made(file, address, saved.node_id, saved.title)

    # -- tasks ------------------------------------------------------------------------------

    def cancel(self, request: Request) -> Answer:
        number = _integer(exactly(request.json(), ("task_id",)), "task_id")
        task = self.find_task("prompt", str(number))
        if not task:
            return self.no_task(str(number))
        if self._status(task, self.world.tasks.moment(task)) not in (_QUEUED, _GENERATING):
            return self._refuse(_TASK_ENDED, f"task {number} has ended")
        self._cancelled[task.id] = self.world.tasks.clock()
        return _success(None)

    def details(self, request: Request, prompt_id: str) -> Answer:
        task = self.find_task("prompt", prompt_id)
        if not task:
            return self.no_task(prompt_id)
        moment = self.world.tasks.moment(task)
        return _success(self._details(task, moment, self.twists(request, task, moment)))

    def poll_target(self, task: Task) -> str:
        return f"/api/v1/task/{task.id}"

    def no_task(self, id: str) -> Answer:
        return self._refuse(_NO_TASK, f"task {id} does not exist")

    def busy(self) -> Answer:
        return self._refuse(_BUSY, "system busy")

    def status_of(self, task: Task) -> int:
        """1 queued, 2 generating, 3 succeeded, 4 failed, 5 cancelled."""
        return self._status(task, self.world.tasks.moment(task))

    def _details(self, task: Task, moment: Moment, twists: Twists) -> Any:
        status = self._status(task, moment)
        queued, ran = self._durations(task)
        waits = status == _QUEUED
        as_text = _in_turn(self.id_as, "text", task)
        return {
            "prompt_id": str(task.id) if as_text else task.id,
            "workflow_id": task.plan.fields["workflow_id"],
            "env_id": task.plan.fields["workflow_id"],
            "status": status_word(twists, status),
            "queue_duration": queued,
            "run_duration": ran,
            "result_url": self._results(task, twists) if status == _DONE else {},
            "error_msg": task.reason if status == _FAILED else "",
            "queue_size": self.queue if waits else 0,
            "current_position": self._queue_position(moment) if waits else 0,
            "origin_price": PRICE,
            "created_at": self._created(task),
        }

    def _status(self, task: Task, moment: Moment) -> int:
        if task.id in self._cancelled or moment.status == CANCELLED:
            return _CANCELLED
        if moment.status in (SUCCESS, FAIL):
            return _DONE if moment.status == SUCCESS else _FAILED
        is_queued = moment.status == PENDING or moment.part < self.queued
        return _QUEUED if is_queued else _GENERATING

    def _queue_position(self, moment: Moment) -> int:
        """From the end of the queue to its head, as time passes."""
        waited = moment.part / self.queued if self.queued else 1.0
        return max(1, self.queue - int(waited * self.queue))

    def _durations(self, task: Task) -> tuple[int, int]:
        """Milliseconds in the queue and at work so far."""
        now = min(self._cancelled.get(task.id, self.world.tasks.clock()), task.due)
        leaves_queue = task.began + task.waits + self.queued * task.runs
        queued = min(now, leaves_queue) - task.began
        return round(queued * 1000), round(max(0.0, now - leaves_queue) * 1000)

    def _created(self, task: Task) -> str:
        age = self.world.tasks.clock() - task.began
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - age))

    def _results(self, task: Task, twists: Twists) -> Any:
        made: dict[str, list[str]] = {}
        for each in task.made:
            urls = made.setdefault(each.node_id, [])
            if "empty" not in twists:
                urls.append(twists["result_url"]["url"] if "result_url" in twists else each.address)
        return addresses(made, as_text=_in_turn(self.result_as, "text", task))

    def _refuse(self, code: int, message: str) -> Answer:
        """A refusal with HTTP 200: only the code shows it."""
        return Answer.json(self.error(code, message))


def _success(data: Any) -> Answer:
    envelope = {"code": 0, "message": "success", "traceid": uuid.uuid4().hex, "data": data}
    return Answer.json(envelope)


def _integer(body: Any, name: str) -> int:
    if type(body[name]) is not int:
        raise Refusal(400, f"{name} must be an integer, not {body[name]!r}.")
    return int(body[name])


def _in_turn(knob: str | None, wanted: str, task: Task) -> bool:
    """Whether an answer about `task` is `wanted`: as the knob says, else every second task's is."""
    return knob == wanted if knob else task.number % 2 == 1


def _end_of_link() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LINK_SECONDS))
