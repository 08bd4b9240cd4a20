"""GPUGeek: workflows in API format on its hosted ComfyUI, in the order of its document."""

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
)
from ...engine.base.types import Json, MediaFile, Report, Request, Task, TaskState, no_report
from ...engine.base.words import tr
from ...engine.http.response import read_json
from ...engine.media.formats import extension
from ...engine.platforms.answers import AnswerForm
from ...engine.platforms.provider import Accepted, Provider
from . import _answers, _links
from ._committed import COMMITTED

WORKFLOW = "prompt"

_API = "/api/v1/"
_OCTETS = {"Content-Type": "application/octet-stream"}
_LIFETIME = 600.0  # seconds a file is relied on: the document does not say how long it is kept
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_LOADS_A_MEDIUM = re.compile(
    r"(?=.*load)(?=.*(?:image|mask|video|audio))", re.IGNORECASE | re.DOTALL
)


class Gpugeek(Provider):
    """https://comfyapi.gpugeek.com"""

    name = "gpugeek"
    label = "GPUGeek"
    default_base_url = "https://comfyapi.gpugeek.com"
    unit = "CNY"  # of `origin_price`

    @classmethod
    def about(cls) -> str:
        return tr(
            "Hosts ComfyUI workflows of your own and runs them. Create an API key in its console."
        )

    # -- files: sections 1 and 2 ------------------------------------------------------------

    def upload(self, file: MediaFile, request: Request, report: Report = no_report) -> str:
        """The URL under which a workflow refers to the file."""
        # Named by content: another file of the same name must not replace one still in use.
        link = _links.upload_link(self, f"{file.sha256[:32]}.{extension(file.mime)}")
        self._put(link, file, report)
        # A signature serves one upload; the document does not say whether it must be committed.
        own_url = self.commit(link.partition("?")[0])
        COMMITTED.add_own(self.http.base_url, own_url)
        return own_url

    def _put(self, link: str, file: MediaFile, report: Report) -> None:
        try:
            self.http.put_file(link, file, _OCTETS, report)
        except (AuthRejected, NotFound) as error:
            refusal = error
        else:
            return
        # The key is not at fault: it is not sent there.
        raise ApiError(
            tr("The storage refused {name}: {why}", name=file.name, why=refusal.what),
            status=refusal.status,
            do=tr("Queue again: each upload gets a fresh link."),
            platform=self.label,
        )

    def commit(self, url: str) -> str:
        """The platform's own URL of the file at `url`."""
        answer = self.unwrap(self.http.post_json(_API + "file/upload/commit", {"oss_url": url}))
        own_url = answer.get("oss_url") if isinstance(answer, dict) else None
        if not isinstance(own_url, str) or not own_url:
            raise BadResult(
                tr("The answer to the commit of a file has no oss_url."),
                do=tr("Queue again later."),
                platform=self.label,
            )
        return own_url

    def url_lifetime(self, url: str, request: Request) -> float:
        return _LIFETIME

    # -- submit: section 3 ------------------------------------------------------------------

    def prepare(self, request: Request) -> Request:
        """Commits every foreign URL in a loader and replaces it by the platform's own."""
        prompt = request.payload.get("prompt", {})
        prepared = {node_id: self._with_own_media(node) for node_id, node in prompt.items()}
        return request.with_payload({**request.payload, "prompt": prepared})

    def _with_own_media(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if not _LOADS_A_MEDIUM.match(node["class_type"]):
            return node
        inputs = {name: self._own_url(value) for name, value in node["inputs"].items()}
        return {**node, "inputs": inputs}

    def _own_url(self, value: Json) -> Json:
        if isinstance(value, list):  # a loader of several files
            return [self._own_url(each) for each in value]
        if not isinstance(value, str) or not _URL.fullmatch(value.strip()):
            return value
        return COMMITTED.own_url(self.http.base_url, value.strip(), self.commit, _LIFETIME)

    def submit(self, request: Request, report: Report = no_report) -> Accepted:
        return self.read_accepted(
            request, lambda: self.http.post_json(_API + WORKFLOW, request.payload)
        )

    # -- cancel and poll: sections 4 and 5 --------------------------------------------------

    def cancel(self, task: Task) -> bool:
        """False where the platform refuses: the task has ended in the meantime."""
        number = int(task.id) if _is_number(task.id) else task.id
        try:
            self.unwrap(self.http.post_json(_API + "task/cancel", {"task_id": number}))
        except (InputRejected, NotFound):
            return False
        return True

    def poll(self, task: Task) -> TaskState:
        path = _API + "task/" + quote(task.id, safe="")
        return self.read_state(read_json(self.http.get(path)), task)

    def form(self, endpoint: str) -> AnswerForm:
        return _answers.FORM

    def is_own_form(self, body: Mapping[str, Json]) -> bool:
        """`{code, message, traceid, data}`, of errors too."""
        return "code" in body and any(key in body for key in ("message", "data", "traceid"))

    def check(self) -> str:
        """A poll is free; no task has this number."""
        return self.check_by_poll(Task(self.name, WORKFLOW, "0"))


PROVIDER = Gpugeek


def workflow(prompt: Mapping[str, Any], workflow_id: int | str, *, seed: int = 0) -> Request:
    """A request to run `prompt`, in API format, as the hosted workflow `workflow_id`."""
    number = checked_workflow_id(workflow_id)
    payload = {"workflow_id": number, "task_type": 1, "prompt": prompt}
    title = tr("workflow {id}", id=number)
    return Request("gpugeek", WORKFLOW, payload, title=title, seed=seed)


def checked_workflow_id(workflow_id: int | str) -> int:
    """The number of a hosted workflow. Raises InvalidInput where it is empty or no number."""
    number = str(workflow_id).strip()
    if not _is_number(number):
        raise InvalidInput(
            tr('workflow_id must be a whole number, not "{value}".', value=number),
            do=tr("GPUGeek shows this number on the page of your workflow."),
            platform=Gpugeek.label,
        )
    return int(number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
