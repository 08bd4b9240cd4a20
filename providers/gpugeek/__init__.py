"""GPUGeek: workflows in API format on its hosted ComfyUI, in its document's order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ...engine.base.errors import (
    ApiError,
    AuthRejected,
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
)
from ...engine.base.types import Json, MediaFile, Report, Request, Task, TaskState, silent
from ...engine.base.words import tr
from ...engine.http.error_answers import api_error, explained, http_status
from ...engine.http.response import Response, read_json
from ...engine.media.files import extension
from ...engine.platforms.provider import Provider
from . import _answers, _links
from ._committed import COMMITTED

WORKFLOW = "prompt"

_API = "/api/v1/"
_OCTETS = {"Content-Type": "application/octet-stream"}
_LIFETIME = 600.0  # seconds a file is counted on: how long one is kept is not said
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_LOADS_A_MEDIUM = re.compile(
    r"(?=.*load)(?=.*(?:image|mask|video|audio))", re.IGNORECASE | re.DOTALL
)


class Gpugeek(Provider):
    """https://comfyapi.gpugeek.com"""

    name = "gpugeek"
    label = "GPUGeek"
    default_base_url = "https://comfyapi.gpugeek.com"

    # -- files: sections 1 and 2 ------------------------------------------------------------

    def upload(self, file: MediaFile, request: Request, report: Report = silent) -> str:
        """The address by which a workflow names the file from now on."""
        # Named by content: another file of the same name must not replace one still in use.
        link = _links.upload_link(self, f"{file.sha256[:32]}.{extension(file.mime)}")
        self._put(link, file, report)
        # A signature is for one upload only; whether an upload must be committed is not said.
        kept = self.commit(link.partition("?")[0])
        COMMITTED.knows(self.http.base_url, kept)
        return kept

    def _put(self, link: str, file: MediaFile, report: Report) -> None:
        try:
            self.http.put_file(link, file, _OCTETS, report)
        except (AuthRejected, NotFound) as error:
            refused = error
        else:
            return
        # Not a matter of the key, which is not sent there.
        raise ApiError(
            tr("The storage refused {name}: {why}", name=file.name, why=refused.what),
            status=refused.status,
            do=tr("Queue again: each upload gets a fresh link."),
            platform=self.label,
        )

    def commit(self, url: str) -> str:
        """The platform's own address of the file at `url`."""
        answer = self.unwrap(self.http.post_json(_API + "file/upload/commit", {"oss_url": url}))
        kept = answer.get("oss_url") if isinstance(answer, dict) else None
        if not isinstance(kept, str) or not kept:
            raise BadResult(
                tr("A file was committed and answered without an oss_url."), platform=self.label
            )
        return kept

    def url_lifetime(self, url: str, request: Request) -> float:
        return _LIFETIME

    # -- submit: section 3 ------------------------------------------------------------------

    def prepare(self, request: Request) -> Request:
        """Commits every foreign address that a loader names, and names the platform's own."""
        prompt = request.payload.get("prompt", {})
        prepared = {node_id: self._with_own_media(node) for node_id, node in prompt.items()}
        return request.with_payload({**request.payload, "prompt": prepared})

    def _with_own_media(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if not _LOADS_A_MEDIUM.match(node["class_type"]):
            return node
        inputs = {name: self._own_address(value) for name, value in node["inputs"].items()}
        return {**node, "inputs": inputs}

    def _own_address(self, value: Json) -> Json:
        if isinstance(value, list):  # a loader of several
            return [self._own_address(each) for each in value]
        if not isinstance(value, str) or not _URL.fullmatch(value.strip()):
            return value
        return COMMITTED.address(self.http.base_url, value.strip(), self.commit, _LIFETIME)

    def submit(self, request: Request, report: Report = silent) -> str:
        answer = self.unwrap(self.http.post_json(_API + WORKFLOW, request.payload))
        task_id = _answers.task_id(answer)
        if not task_id:
            raise OutcomeUnknown(
                tr("The platform took the request and named no task; it may have been charged."),
                do=tr("Look at your tasks on the platform before you queue again."),
                platform=self.label,
            )
        return task_id

    # -- cancel and poll: sections 4 and 5 --------------------------------------------------

    def cancel(self, task: Task) -> bool:
        """False where the platform refuses: the task has ended meanwhile."""
        number = int(task.id) if _is_number(task.id) else task.id
        try:
            self.unwrap(self.http.post_json(_API + "task/cancel", {"task_id": number}))
        except (InputRejected, NotFound):
            return False
        return True

    def poll(self, task: Task) -> TaskState:
        return _answers.state(self.unwrap(self.http.get(_API + "task/" + quote(task.id, safe=""))))

    def check(self) -> str:
        """Its details of a task are free; no task has this number."""
        return self.check_by_poll(Task(self.name, WORKFLOW, "0"))

    # -- how it speaks ----------------------------------------------------------------------

    def unwrap(self, response: Response) -> Json:
        """`data`. A code other than 0 is an error, whatever the HTTP status."""
        body = read_json(response)
        if not isinstance(body, dict) or body.get("code") in (0, "0"):
            return body.get("data") if isinstance(body, dict) else body
        if "code" not in body:
            return body.get("data", body)
        words, code = explained(response.content)
        raise api_error(self.label, http_status(code), words, code)


PROVIDER = Gpugeek


def workflow(prompt: Mapping[str, Any], workflow_id: int | str, *, seed: int = 0) -> Request:
    """A request to run `prompt`, in API format, as the hosted workflow `workflow_id`."""
    number = str(workflow_id).strip()
    if not _is_number(number):
        raise InvalidInput(
            tr('workflow_id must be a whole number, not "{value}".', value=number),
            do=tr("It is the number of your workflow on GPUGeek's page of the workflow."),
            platform=Gpugeek.label,
        )
    payload = {"workflow_id": int(number), "task_type": 1, "prompt": prompt}
    title = tr("workflow {id}", id=int(number))
    return Request("gpugeek", WORKFLOW, payload, title=title, seed=seed)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
