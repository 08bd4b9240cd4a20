"""The jobs of the Comfy API v2: their states by the clock, and how answers show them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ._comfyui_v2_assets import Asset, Assets
from ._faults import Twists, status_word
from ._graph import Prompt
from ._tasks import CANCELLED, FAIL, PENDING, RUNNING, SUCCESS, Made, Moment, Task, Tasks

RETENTION = 7 * 24 * 3600.0  # seconds from the submit until the results are deleted
_WORDS = {
    PENDING: "queued",
    RUNNING: "running",
    SUCCESS: "succeeded",
    FAIL: "failed",
    CANCELLED: "canceled",
}
ENDS = ("succeeded", "failed", "canceled", "expired")

Address = Callable[[str, bool], str]  # of a path below /api/v2, whole or from the host on


@dataclass(frozen=True)
class Job:
    """A job; `workflow` is what was run, the names of files in the place of assets."""

    id: str
    task: Task
    workflow: Prompt


class Jobs:
    """Every job. Knobs as in ComfyApiV2, which has them."""

    def __init__(self, tasks: Callable[[], Tasks], assets: Assets, address: Address) -> None:
        self._tasks = tasks
        self._assets = assets
        self._address = address
        self._jobs: dict[str, Job] = {}
        self._cancelled: dict[str, float] = {}
        self._forgotten: set[str] = set()
        self._made: dict[str, Asset] = {}
        self.hashes = True
        self.addresses: str | None = None

    @property
    def tasks(self) -> Tasks:
        return self._tasks()

    def add(self, task: Task, workflow: Prompt) -> Job:
        job = Job(str(uuid.uuid4()), task, workflow)
        self._jobs[job.id] = job
        return job

    def get(self, id: str) -> Job | None:
        return self._jobs.get(id)

    def of(self, task: Task) -> Job:
        return next(job for job in self._jobs.values() if job.task is task)

    def newest_first(self) -> list[Job]:
        return list(reversed(self._jobs.values()))

    def forget(self) -> None:
        """What has not ended yet is not known any more."""
        self._forgotten |= {job.id for job in self._jobs.values() if self.status(job) not in ENDS}

    def cancel(self, job: Job) -> None:
        if self.status(job) not in ENDS:
            self._cancelled.setdefault(job.id, self.tasks.clock())

    def made(self, asset: Asset, node_id: str, title: str) -> Made:
        """The result that is this asset."""
        self._made[asset.id] = asset
        return Made(asset.file, asset.id, node_id, title)

    def full_address(self, made: Made) -> str:
        return self._address(self._assets.target(self._made[made.address])[0], True)

    def status(self, job: Job) -> str:
        now = self.tasks.clock()
        if job.id in self._forgotten or now >= job.task.began + RETENTION:
            return "expired"
        if job.id in self._cancelled:
            ran = self._cancelled[job.id] - job.task.began - job.task.waits
            is_over = ran < 0 or now >= self._cancelled[job.id] + self.tasks.pace
            return "canceled" if is_over else "canceling"
        return _WORDS[self.tasks.moment(job.task).status]

    def events(self, job: Job) -> Iterator[bytes]:
        """What changes, until the job has ended."""
        before: dict[str, Any] = {"outputs": []}
        while True:
            now = self.view(job)
            for event in ("status", "progress"):
                if now[event] is not None and now[event] != before.get(event):
                    body = {"status": now["status"], "queue_position": now["queue_position"]}
                    yield _event(event, body if event == "status" else now["progress"])
            yield from (_event("output", one) for one in now["outputs"][len(before["outputs"]) :])
            if now["status"] in ENDS:
                return
            before = now
            self.tasks.wait_until(self.tasks.clock() + 0.1 * self.tasks.pace)

    def view(self, job: Job, twists: Twists | None = None) -> dict[str, Any]:
        """The job as an answer shows it."""
        task, moment, twists = job.task, self.tasks.moment(job.task), twists or {}
        status = self.status(job)
        has_begun = status != "queued"
        return {
            "id": job.id,
            "status": status_word(twists, status),
            "created_at": self.iso(task.began),
            "started_at": self.iso(task.began + task.waits) if has_begun else None,
            "completed_at": self.iso(task.due) if status in ENDS else None,
            "expires_at": self.iso(task.began + RETENTION),
            "queue_position": None if has_begun else self._position(job),
            "progress": _progress(job, moment) if status in ("running", "canceling") else None,
            "outputs": self._outputs(job, status, moment, twists),
            "error": self._error(job) if status == "failed" else None,
            "metrics": {
                "queue_ms": round(task.waits * 1000) if has_begun else None,
                "execution_ms": round(task.runs * 1000) if status == "succeeded" else None,
            },
            "urls": self._links(job),
        }

    def _position(self, job: Job) -> int:
        waiting = [each for each in self._jobs.values() if self.status(each) == "queued"]
        return 1 + sum(each.task.number < job.task.number for each in waiting)

    def _outputs(self, job: Job, status: str, moment: Moment, twists: Twists) -> list[Any]:
        """All of them at the end, before it those of the nodes that have run."""
        task = job.task
        if status not in ("running", "succeeded") or "empty" in twists or not task.drawing.done():
            return []
        if task.drawing.exception():
            return []
        share = 1.0 if status == "succeeded" else moment.part
        made = task.made[: int(share * len(task.made))]
        return [self._output(one, number, task, twists) for number, one in enumerate(made)]

    def _output(self, made: Made, number: int, task: Task, twists: Twists) -> dict[str, Any]:
        asset = self._made[made.address]
        target, ends = self._assets.target(asset)
        kind = made.file.kind if made.file.kind in ("image", "video", "audio", "text") else "file"
        url = self._address(target, self._is_whole(task))
        return {
            "node_id": made.node_id,
            "name": f"{asset.file_path}_{number + 1:05}_.{made.file.ending}",
            "type": "latent" if made.file.ending == "latent" else kind,
            "content_type": made.file.mime,
            "size_bytes": made.file.size,
            "id": asset.id,
            "hash": asset.hash if self.hashes else None,
            "url": twists["result_url"]["url"] if "result_url" in twists else url,
            "url_expires_at": self.iso(ends),
        }

    def _error(self, job: Job) -> dict[str, Any]:
        node_id, _ = job.task.last_step
        node = job.workflow.get(node_id, {})
        return {
            "code": "node_execution_error",
            "message": job.task.words,
            "node_id": node_id,
            "class_type": node.get("class_type"),
            "traceback": None,
        }

    def _links(self, job: Job) -> dict[str, str]:
        path, is_whole = f"/jobs/{job.id}", self._is_whole(job.task)
        ends = {"self": "", "events": "/events", "cancel": "/cancel"}
        return {name: self._address(path + end, is_whole) for name, end in ends.items()}

    def _is_whole(self, task: Task) -> bool:
        return self.addresses == "absolute" if self.addresses else task.number % 2 == 0

    def iso(self, at: float) -> str:
        """A time on the sandbox's clock as the document writes it."""
        seconds = time.time() + at - self.tasks.clock()
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _progress(job: Job, moment: Moment) -> dict[str, Any]:
    steps, step = len(job.task.plan.steps), int(moment.step_part * 20)
    node_id = moment.step[0]
    class_type = job.workflow.get(node_id, {}).get("class_type")
    return {
        "value": round(moment.part, 4),
        "nodes_done": int(moment.part * steps),
        "nodes_total": steps,
        "current_node": node_id or None,
        "current_node_class": class_type,
        "step": step,
        "steps": 20,
        "message": f"{class_type} {step}/20",
    }


def _event(name: str, body: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(body)}\n\n".encode()
