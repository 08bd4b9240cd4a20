"""The Comfy API v2 for a platform that mounts its routes: assets, jobs, their events."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ._body import Cut, Refusal
from ._comfyui_files import stored
from ._comfyui_v2_assets import Asset, Assets
from ._comfyui_v2_jobs import Job, Jobs
from ._faults import Twists
from ._fields import only
from ._files import StoredFile, result_file
from ._platform import Answer, Platform, Request, Route
from ._spoil import spoil
from ._tasks import Made, Task, Tasks
from ._workflow import Saved, check, check_shape, wrong_inputs

API = "/api/v2"
KEY_SECONDS = 24 * 3600.0  # how long an Idempotency-Key stays taken
RETRY_AFTER = 7
_KIND = "job"
_HASH = re.compile(r"blake3:[0-9a-f]{64}")
_CODES = {
    415: "invalid_request",
    400: "invalid_request",
    401: "unauthorized",
    402: "insufficient_credits",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "hash_mismatch",
    413: "payload_too_large",
    422: "invalid_workflow",
    429: "queue_full",
    501: "not_implemented",
}
_STATUSES = {
    **{code: status for status, code in _CODES.items()},
    **dict.fromkeys(("workflow_format_ui", "missing_asset", "deployment_stopped"), 422),
    "idempotency_key_reuse": 422,
    "deployment_not_ready": 429,
    "blob_not_found": 404,
    "upstream_error": 500,
    "upstream_unreachable": 503,
}


class Refused(Refusal):
    """A refusal by its code."""

    def __init__(self, code: str, text: str, details: Any = None) -> None:
        headers = {"Retry-After": str(RETRY_AFTER)} if _STATUSES[code] == 429 else {}
        super().__init__(_STATUSES[code], text, headers)
        self.code = code
        self.details = details


class ComfyApiV2:
    """The interface of one server. Knobs for tests.

    is_on      whether the server speaks it; otherwise there are no such routes
    refusals   codes that the next submits are refused with, in turn; a key is freed, but by
               upstream_unreachable: then nobody knows
    page       jobs on one page of their list
    events     whether there are streams of events; otherwise 501
    jobs       all of them: `hashes` says whether answers tell hashes, or null; `addresses` is
               "relative" or "absolute", what URLs are in answers, None = in turn
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.is_on = True
        self.refusals: list[str] = []
        self.page = 20
        self.events = True
        self.aliases: dict[str, str] = {}
        self._assets = Assets(lambda: self.tasks.clock())
        self.jobs = Jobs(lambda: self.tasks, self._assets, self._address)
        self._keys: dict[str, float] = {}

    def restart(self) -> None:
        """The ComfyUI behind has started anew: it does not know its jobs any more."""
        self.jobs.forget()

    def routes(self) -> Sequence[Route]:
        return (
            self._route("POST", "/assets", self.upload),
            self._route("POST", "/assets/from-hash", self.from_hash),
            self._route("GET", "/assets/by-hash/{hash}", self.by_hash),
            self._route("GET", "/assets/{id}", self.asset),
            self._route("GET", "/assets/{id}/content", self.content, query=None),
            self._route("POST", "/jobs", self.submit),
            self._route("GET", "/jobs", self.list_jobs, query=("limit", "cursor")),
            self._route("GET", "/jobs/{id}", self.job),
            self._route("GET", "/jobs/{id}/workflow", self.workflow),
            self._route("GET", "/jobs/{id}/events", self.job_events),
            self._route("POST", "/jobs/{id}/cancel", self.cancel),
        )

    def _route(
        self,
        method: str,
        path: str,
        run: Callable[..., Answer],
        query: Sequence[str] | None = (),
    ) -> Route:
        """A route whose refusals and faults have the form of this interface."""

        def answer(request: Request, **names: str) -> Answer:
            if not self.is_on:
                raise Refusal(404, f"There is no {request.path} here.")
            try:
                self._check_key(request, names)
                if query is not None:
                    request.read_query(query)
                answer = spoil(self, request, run(request, **names))
            except Refusal as refusal:
                return _refusal(refusal)
            finally:
                request.task = None  # its faults are on the answer already
            return answer

        return Route(method, API + path, answer, keyed=False, query=None)

    def _check_key(self, request: Request, names: Mapping[str, str]) -> None:
        if request.path.endswith("/content") and self._assets.is_signed(names["id"], request.query):
            return
        sent = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(sent, f"Bearer {self._platform.key}".encode()):
            raise Refused("unauthorized", "The key is missing or not valid.")

    # -- assets -----------------------------------------------------------------------------

    def upload(self, request: Request) -> Answer:
        form = request.form()
        only(form, ("file", "content_type", "file_path", "expected_hash"), "field")
        if "file" not in form:
            raise Refusal(400, "Field 'file' is required.")
        if form["file"].filename is None:
            raise Refusal(400, "Field 'file' must be a file with a name.")
        path = form["file_path"].text if "file_path" in form else form["file"].filename
        expected = form["expected_hash"].text if "expected_hash" in form else ""
        if expected and not _HASH.fullmatch(expected):
            raise Refused("hash_mismatch", "The bytes have another hash.")
        asset = self._assets.add(stored(form["file"]), path, expected)
        return self._created(asset, is_new=True)

    def from_hash(self, request: Request) -> Answer:
        body = request.json()
        only(body, ("hash", "file_path"), "field")
        known = self._assets.with_hash(body.get("hash"))
        if known is None:
            raise Refused("blob_not_found", "No bytes with this hash are stored.")
        asset = self._assets.add(
            known.file, str(body.get("file_path", known.file_path)), known.hash
        )
        return self._created(asset, is_new=False)

    def _created(self, asset: Asset, *, is_new: bool) -> Answer:
        self._platform.world.media.uploads.add(asset.id)
        return Answer.json({**self._asset(asset), "created_new": is_new}, 201)

    def by_hash(self, request: Request, hash: str) -> Answer:
        known = self._assets.with_hash(hash.replace("%3A", ":"))
        if known is None:
            raise Refused("blob_not_found", "No bytes with this hash are stored.")
        return Answer.json(self._asset(known))

    def asset(self, request: Request, id: str) -> Answer:
        return Answer.json(self._asset(self._find_asset(id)))

    def content(self, request: Request, id: str) -> Answer:
        return request.send(self._find_asset(id).file)

    def _find_asset(self, id: str) -> Asset:
        asset = self._assets.get(id)
        if asset is None or id in self._platform.world.media.cleared:
            raise Refused("not_found", f"There is no asset {id}.")
        return asset

    def _asset(self, asset: Asset) -> dict[str, Any]:
        target, ends = self._assets.target(asset)
        return {
            "id": asset.id,
            "hash": asset.hash if self.jobs.hashes else None,
            "size_bytes": asset.file.size,
            "content_type": asset.file.mime,
            "file_path": asset.file_path,
            "created_new": False,
            "created_at": self.jobs.iso(self.tasks.clock()),
            "url": self._address(target, is_whole=True),
            "url_expires_at": self.jobs.iso(ends),
            "expires_at": None,
        }

    # -- submit -----------------------------------------------------------------------------

    def submit(self, request: Request) -> Answer:
        key = request.headers.get("Idempotency-Key")
        self._claim(key)
        try:
            job = self._accept(request)
        except (Cut, Refusal) as failure:
            if key is not None and getattr(failure, "code", "") != "upstream_unreachable":
                del self._keys[key]
            raise
        return Answer.json(self.jobs.view(job), 201)

    def _claim(self, key: str | None) -> None:
        if key is None:
            return
        if not 1 <= len(key) <= 255:
            raise Refused("invalid_request", "Idempotency-Key has from 1 to 255 characters.")
        now = self.tasks.clock()
        if now - self._keys.get(key, now - KEY_SECONDS) < KEY_SECONDS:
            raise Refused("idempotency_key_reuse", "This Idempotency-Key has been used.")
        self._keys[key] = now

    def _accept(self, request: Request) -> Job:
        workflow, body = self._read_workflow(request)
        if self.refusals:
            raise Refused(self.refusals.pop(0), "The sandbox was asked to refuse.")
        files: dict[str, StoredFile] = {}
        prompt = self._resolved(workflow, files)
        _check(prompt, files)
        plan = self._platform.plan_workflow(_KIND, body, prompt, files, self._store)
        try:
            task = self._platform.accept(request, plan)
        except Refusal as refusal:
            if "balance" in refusal.text:
                raise Refused("insufficient_credits", refusal.text) from None
            raise
        return self.jobs.add(task, prompt)

    def _read_workflow(self, request: Request) -> tuple[Any, Any]:
        try:
            body = request.json()
        except Refusal:
            if request.seen.fields is None:
                raise
            raise Refused("missing_asset", "The workflow names an unknown asset.") from None
        if not isinstance(body, dict):
            raise Refusal(400, "The body must be a JSON object.")
        only(body, ("workflow", "extra_data"), "field")
        only(body.get("extra_data") or {}, ("api_key_comfy_org",), "field", "extra_data.")
        workflow = body.get("workflow")
        if not isinstance(workflow, dict) or not workflow:
            raise Refused("invalid_workflow", "Field 'workflow' must be a workflow in API format.")
        if isinstance(workflow.get("nodes"), list):
            raise Refused("workflow_format_ui", "This is a workflow for the editor.")
        return workflow, body

    def _resolved(self, tree: Any, files: dict[str, StoredFile]) -> Any:
        """`tree` with the name of a file for each asset; `files` gets the files by name."""
        if isinstance(tree, dict) and tree.get("__type") == "core/ASSET":
            info = tree.get("info")
            id = info.get("id") if isinstance(info, dict) else None
            asset = self._assets.get(id)
            if asset is None:
                raise Refused("missing_asset", f"There is no asset {id}.")
            files[asset.in_workflow] = asset.file
            return asset.in_workflow
        if isinstance(tree, dict):
            return {key: self._resolved(value, files) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self._resolved(value, files) for value in tree]
        return tree

    def _store(self, saved: Saved, twists: Twists) -> Made:
        asset = self._assets.add(result_file(saved.path, twists), saved.prefix)
        return self.jobs.made(asset, saved.node_id, saved.title)

    # -- jobs -------------------------------------------------------------------------------

    def list_jobs(self, request: Request) -> Answer:
        jobs = self.jobs.newest_first()
        first = int(request.args.get("cursor", ["0"])[0] or 0)
        most = int(request.args.get("limit", [str(self.page)])[0])
        fields = ("id", "status", "created_at", "queue_position", "urls")
        views = [self.jobs.view(job) for job in jobs[first : first + most]]
        page: dict[str, Any] = {"jobs": [{name: one[name] for name in fields} for one in views]}
        if first + most < len(jobs):
            page["next_cursor"] = str(first + most)
        return Answer.json(page)

    def job(self, request: Request, id: str) -> Answer:
        job = self._find(id)
        moment = self.tasks.moment(job.task)
        twists = self._platform.twists(request, job.task, moment)
        return Answer.json(self.jobs.view(job, twists))

    def workflow(self, request: Request, id: str) -> Answer:
        return Answer.json({"workflow": self._find(id).workflow, "format": "api"})

    def cancel(self, request: Request, id: str) -> Answer:
        job = self._find(id)
        self.jobs.cancel(job)
        return Answer.json(self.jobs.view(job))

    def job_events(self, request: Request, id: str) -> Answer:
        job = self._find(id)
        if not self.events:
            raise Refused("not_implemented", "There are no events here.")
        return Answer(200, {"Content-Type": "text/event-stream"}, self.jobs.events(job))

    def _find(self, id: str) -> Job:
        job = self.jobs.get(self.aliases.get(id, id))
        if job is None:
            raise Refused("not_found", f"There is no job {id}.")
        return job

    def _address(self, target: str, is_whole: bool) -> str:
        """A whole URL, or one that begins at the host, with the path under which we are."""
        origin = self._platform.world.origin if is_whole else ""
        return f"{origin}/{self._platform.name}{API}{target}"

    # -- how faults report a task -----------------------------------------------------------

    @property
    def tasks(self) -> Tasks:
        return self._platform.world.tasks

    def error(self, status: int, text: str) -> Any:
        return _error(_CODES.get(status, "upstream_error"), text)

    def id_of(self, task: Task) -> str:
        return self.jobs.of(task).id

    def look(self, request: Any, task: Task) -> Answer:
        return self.job(replace(request, method="GET", task=None), self.id_of(task))

    def no_task(self, id: str) -> Answer:
        return _refusal(Refused("not_found", f"There is no job {id}."))

    def busy(self) -> Answer:
        return _refusal(Refused("upstream_unreachable", "system busy"))

    def results(self, task: Task) -> Sequence[Made]:
        return task.made

    def full_address(self, made: Made) -> str:
        return self.jobs.full_address(made)


def _check(prompt: Any, files: Mapping[str, StoredFile]) -> None:
    """Raises Refused with everything that is wrong with the workflow."""
    errors: dict[str, list[Any]] = {}
    try:
        check_shape(prompt)
        for node_id, field, reason in wrong_inputs(prompt, files):
            errors.setdefault(node_id, []).append({"field": field, "reason": reason})
        if not errors:
            check(prompt, files)
    except Refusal as refusal:
        raise Refused("invalid_workflow", refusal.text, {"node_errors": {}}) from None
    if errors:
        words = f"Inputs of {len(errors)} nodes are wrong."
        raise Refused("invalid_workflow", words, {"node_errors": errors})


def _refusal(refusal: Refusal) -> Answer:
    code = getattr(refusal, "code", _CODES.get(refusal.status, "upstream_error"))
    tree = _error(code, refusal.text, getattr(refusal, "details", None))
    answer = Answer.json(tree, refusal.status)
    answer.headers.update(refusal.headers)
    return answer


def _error(code: str, message: str, details: Any = None) -> Any:
    return {"error": {"code": code, "message": message, "details": details}}
