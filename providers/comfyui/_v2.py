"""A ComfyUI server spoken to in the Comfy API v2: assets and jobs below /api/v2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

from ...engine.base.errors import (
    ApiError,
    BadResult,
    InputRejected,
    NotFound,
    OutcomeUnknown,
    SkyportError,
)
from ...engine.base.types import Field, Json, MediaFile, Output, Report, Task, TaskState, no_report
from ...engine.base.words import tr
from ...engine.http.client import Http
from ...engine.http.response import Response, read_json
from ...engine.http.retry import no_task_id_error, outcome_unknown
from ...engine.http.session import origin
from ...engine.media.formats import extension
from ...engine.platforms.last_answer import shown_answer
from ...engine.platforms.provider import Accepted, LiveState
from ...engine.workflows.object_info import is_object_info
from . import _v2_answers as answers
from . import _v2_errors as errors
from ._dialect import ServerInfo, Workflow
from ._v2_events import JobEvents
from ._v2_orders import order_in, with_order

ASSETS, JOBS = "/api/v2/assets", "/api/v2/jobs"

_LIFETIME = 3600.0  # seconds an asset is relied on where the answer names no end
_MOST_LISTED = 200  # jobs among which one is looked for


class V2Dialect:
    """Section 2 of the document; see `Dialect` for what each method does."""

    def __init__(self, http: Http) -> None:
        self.http = http
        http.is_own_form = answers.is_own_form
        self._events = JobEvents(http)
        self._hashes: dict[str, str] = {}  # by our SHA-256: those of files the server holds
        self._ends: dict[str, float] = {}  # when an asset ends, by the server's clock
        self._orders: dict[str, str] = {}  # by id of a job: the order that its workflow names
        self._links: dict[str, Mapping[str, str]] = {}  # by id of a job
        self._keys_taken: set[str] = set()  # orders whose key is taken, by a job or by nobody knows
        self._taken_out: set[str] = set()  # ids of jobs that were cancelled before they ran

    # -- assets -----------------------------------------------------------------------------

    def upload(self, file: MediaFile, report: Report = no_report) -> Json:
        """The asset as the workflow names it; bytes that the server holds are not sent again."""
        asset = self._known_asset(file) or self._new_asset(file, report)
        info = {key: asset.get(key) for key in ("id", "hash", "file_path")}
        if isinstance(info["hash"], str):
            self._hashes[file.sha256] = info["hash"]
        end = answers.moment(asset.get("expires_at"))
        if end is not None:
            self._ends[str(info["id"])] = end
        named = {key: value for key, value in info.items() if isinstance(value, str) and value}
        return {"__type": "core/ASSET", "info": named}

    def _known_asset(self, file: MediaFile) -> dict[str, Any] | None:
        known = self._hashes.pop(file.sha256, None)
        if known is None:
            return None
        body = {"hash": known, "file_path": _name(file)}
        try:
            return self._asset(self.http.post_json(ASSETS + "/from-hash", body))
        except (NotFound, InputRejected):
            return None

    def _new_asset(self, file: MediaFile, report: Report) -> dict[str, Any]:
        fields: list[tuple[str, Field]] = [
            ("content_type", file.mime),
            ("file_path", _name(file)),
            ("file", file),
        ]
        return self._asset(self.http.post_form(ASSETS, fields, report))

    def _asset(self, response: Response) -> dict[str, Any]:
        body = read_json(response)
        if not isinstance(body, dict) or not isinstance(body.get("id"), str) or not body["id"]:
            raise BadResult(
                tr("The answer to the upload names no asset."),
                do=tr("Queue again later."),
                platform=self.http.label,
            )
        self.http.recognise(body)
        return body

    def url_lifetime(self, value: Json) -> float:
        end = self._ends.get(str(value["info"]["id"])) if isinstance(value, dict) else None
        return _LIFETIME if end is None else max(0.0, end - self.http.platform_time())

    # -- jobs -------------------------------------------------------------------------------

    def submit(self, workflow: Workflow, order_id: str, report: Report = no_report) -> Accepted:
        body = {"workflow": with_order(workflow, order_id)}
        key = {"Idempotency-Key": order_id}
        try:
            response = self.http.post_json(JOBS, body, headers=key)
        except ApiError as error:
            failure = error
        else:
            return self._accepted(read_json(response), order_id)
        if failure.code == errors.KEY_USED and failure.own_form:
            return self._arrived(order_id)
        raise errors.submit_error(failure, workflow)

    def _accepted(self, body: Json, order_id: str) -> str:
        job = body if isinstance(body, dict) else {}
        if not isinstance(job.get("id"), str) or not job["id"]:
            raise no_task_id_error(self.http.label, shown_answer(body, 300))
        self.http.recognise(job)
        self._orders[job["id"]] = order_id
        self._note_links(job)
        return str(job["id"])

    def _arrived(self, order_id: str) -> str:
        """The job of an order whose key is taken: an earlier attempt has, or may have, arrived."""
        self._keys_taken.add(order_id)
        try:
            task_id = self.find(order_id)
        except SkyportError as error:
            failure = error
        else:
            assert task_id is not None  # `find` raises now where it finds none
            return task_id
        # Whatever keeps it from being looked up, it is no refusal of the job.
        raise outcome_unknown(failure, self.http.label)

    def find(self, order_id: str) -> str | None:
        is_certain = True
        for job in self._listed():
            order = self._order_of(job, order_id)
            if order == order_id:
                return str(job["id"])
            is_certain = is_certain and order is not None
        if order_id in self._keys_taken:
            raise self._not_found(tr("its key has been used, and no job of it is in the list"))
        if not is_certain:
            raise self._not_found(tr("it does not show the workflow of every job"))
        return None

    def _order_of(self, job: Mapping[str, Json], order_id: str) -> str | None:
        """The order that a listed job is of, "" for none of ours; None where that is not shown."""
        job_id = str(job["id"])
        if order_id in (job_id, *order_in(job)):
            return order_id
        if job_id not in self._orders:
            try:
                body = read_json(self.http.get(f"{JOBS}/{quote(job_id, safe='')}/workflow"))
            except (NotFound, InputRejected):
                return None
            found = order_in(body)
            self._orders[job_id] = order_id if order_id in found else next(iter(found), "")
        return self._orders[job_id]

    def _listed(self) -> Iterator[Mapping[str, Json]]:
        """The jobs there, newest first. Raises OutcomeUnknown where the list goes on too long."""
        cursor, cursors, count = "", set[str](), 0
        while True:
            body = read_json(self.http.get(JOBS, {"cursor": cursor} if cursor else None))
            if not answers.is_list(body):
                raise BadResult(
                    tr("The list of jobs is not one: {seen}", seen=shown_answer(body, 200)),
                    platform=self.http.label,
                )
            jobs = answers.listed(body)
            yield from jobs
            count, cursor = count + len(jobs), answers.next_cursor(body)
            if not cursor and not answers.is_cut(body):
                return
            if not cursor or cursor in cursors or count >= _MOST_LISTED:
                raise self._not_found(tr("it lists more jobs than could be looked through"))
            cursors.add(cursor)

    def _not_found(self, reason: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            tr("The server did not show whether the job has arrived: {reason}.", reason=reason),
            do=tr("Check the jobs on the server before you queue again."),
            platform=self.http.label,
        )

    # -- one job ----------------------------------------------------------------------------

    def poll(self, task: Task) -> TaskState:
        self._events.begin_poll(task.id)
        job = self._job(task)
        if self._is_lost(job):  # a proxy may have looked just as it went from queue to history
            job = self._job(task)
        if self._is_lost(job) and task.id in self._taken_out:
            job = {**job, "status": "canceled"}
        elif self._is_lost(job):
            raise errors.job_lost(job, self.http.label)
        job = {**job, "progress": job.get("progress") or self._events.progress(task.id)}
        state = answers.state(job, task, self.http.base_url, self._output)
        if state.status.terminal:
            self._events.forget(task.id)
        return state

    def _job(self, task: Task) -> dict[str, Any]:
        job = read_json(self.http.get(self._link(task, "self")))
        if not self.http.recognise(job) or not isinstance(job, dict) or "status" not in job:
            raise BadResult(
                tr("The answer is not the platform's: {seen}", seen=shown_answer(job, 200)),
                platform=self.http.label,
            )
        self._note_links(job)
        return job

    def _is_lost(self, job: Json) -> bool:
        return answers.is_lost(job, self.http.platform_time())

    def _output(self, entry: Mapping[str, Json]) -> Output | None:
        """An output that its entry does not hold itself: a short text, or an address that ended."""
        if entry.get("type") == "text":
            return self._text(entry)
        end = answers.moment(entry.get("url_expires_at"))
        if end is None or end > self.http.platform_time() or not isinstance(entry.get("id"), str):
            return None
        asset = read_json(self.http.get(f"{ASSETS}/{quote(entry['id'], safe='')}"))
        url = asset.get("url") if isinstance(asset, dict) else None
        return Output(url=answers.absolute(url, self.http.base_url)) if url else None

    def _text(self, entry: Mapping[str, Json]) -> Output | None:
        url = answers.absolute(entry.get("url"), self.http.base_url)
        if not url or origin(url) != origin(self.http.base_url):
            return None
        try:
            return Output(text=self.http.get(url).text)
        except ApiError:  # a redirect to a storage, from where it is fetched as a file
            return None

    def on_end(self, task: Task, wake: Callable[[], None]) -> LiveState | None:
        self._events.on_end(task.id, self._link(task, "events", "/events"), wake)
        return partial(self._events.live_state, task.id)

    def cancel(self, task: Task) -> bool:
        try:
            job = read_json(self.http.post(self._link(task, "cancel", "/cancel")))
        except (NotFound, InputRejected):
            return False
        if self._is_lost(job):  # a proxy does not remember what it took out of the queue
            self._taken_out.add(task.id)
            return True
        status = job.get("status") if isinstance(job, dict) else None
        return status not in ("succeeded", "failed", "expired")

    def _note_links(self, job: Mapping[str, Json]) -> None:
        links = job.get("urls")
        if not isinstance(links, dict):
            return
        base_url = self.http.base_url
        urls = {name: answers.absolute(url, base_url) for name, url in links.items()}
        # A proxy behind another one may name itself by an address that only that one knows.
        kept = {name: url for name, url in urls.items() if origin(url) == origin(base_url)}
        self._links[str(job.get("id"))] = kept

    def _link(self, task: Task, name: str, ending: str = "") -> str:
        own = f"{JOBS}/{quote(task.id, safe='')}{ending}"
        return self._links.get(task.id, {}).get(name) or own

    # -- the server -------------------------------------------------------------------------

    def queue_length(self) -> int:
        """Only jobs of this key are listed: of those of others, positions in the queue tell."""
        jobs = answers.listed(read_json(self.http.get(JOBS)))
        return answers.queue_length(jobs)

    def about(self) -> ServerInfo:
        return ServerInfo(queue=self.queue_length())

    def object_info(self) -> Json | None:
        """What the native route tells, which Comfy Cloud has as well; None without that route."""
        with suppress(SkyportError):
            body = read_json(self._native_http().get("/api/object_info"))
            return body if is_object_info(body) else None
        return None

    def _native_http(self) -> Http:
        """As the native routes of Comfy Cloud are asked: the key in X-API-Key, too."""
        key = dict(self.http.key_for(self.http.base_url))
        token = key.get("Authorization", "")
        if token.startswith("Bearer "):
            key["X-API-Key"] = token.removeprefix("Bearer ")
        http = Http(self.http.label, self.http.base_url, key, timeout=self.http.timeout)
        http.is_own_form = answers.is_own_form
        return http


def _name(file: MediaFile) -> str:
    """By content: another file of the same name must not replace one still in use."""
    return f"{file.sha256[:32]}.{extension(file.mime)}"
