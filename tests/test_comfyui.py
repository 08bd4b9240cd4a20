"""ComfyUI servers of one's own: what every platform must do, spoken natively, and its oddities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from contract import KEY, PNG, HostingContract
from scripted import Answer, Reply, Scripted, answer_json, redirect
from skyport.engine.base.types import MediaFile, Request, Status
from skyport.providers import comfyui
from skyport.providers.comfyui import Comfyui
from virtual import Play

TASK = "7f1c2f6e-5a54-4d2b-9a0b-0c6a5f0e2d11"
JOB = f"/api/jobs/{TASK}"
VIEW = "/api/view"
MADE = {"filename": "made.png", "subfolder": "", "type": "output"}


def loading(file: Any) -> dict[str, Any]:
    """A workflow that loads `file`, inverts it and saves it."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": file}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": "x"},
            "_meta": {"title": "Keep it"},
        },
    }


def job(status: str, outputs: Any = None, **more: Any) -> dict[str, Any]:
    """A job as /api/jobs/ID tells it."""
    return {
        "id": TASK,
        "status": status,
        "create_time": 1_790_000_000_000,
        "outputs": outputs or {},
        "execution_status": {"status_str": "success", "completed": True, "messages": []},
        "workflow": {"prompt": loading("a.png"), "extra_data": {}},
        **more,
    }


class TestComfyui(HostingContract):
    kind = Comfyui
    submit_path = "/api/prompt"
    poll_path = JOB
    upload_path = "/api/upload/image"
    words: ClassVar[Mapping[str, Status]] = {
        "pending": Status.QUEUED,
        "in_progress": Status.RUNNING,
        "completed": Status.SUCCEEDED,
        "failed": Status.FAILED,
        "cancelled": Status.CANCELLED,
    }
    task_id = TASK
    can_cancel = True

    @pytest.fixture
    def server(self) -> Iterator[Scripted]:
        with Scripted() as server:
            server.on(self.upload_path, answer_json(self.hosted("")))
            server.on(self.submit_path, answer_json(self.accepted()))
            self.polls(server, self.running(), self.success(server))
            server.on(VIEW, Answer(body=PNG))
            server.on(f"{JOB}/cancel", answer_json({"cancelled": True}))
            yield server

    def request(self, file: MediaFile) -> Request:
        return comfyui.workflow(loading(file))

    def accepted(self) -> Any:
        return {"prompt_id": TASK, "number": 3, "node_errors": {}}

    def hosted(self, url: str) -> Any:
        return {"name": "hosted.png", "subfolder": "skyport", "type": "input"}

    def state(self, word: str, *urls: str, reason: str = "") -> Any:
        error = {
            "node_id": "2",
            "node_type": "ImageInvert",
            "exception_message": reason,
            "exception_type": "ValueError",
        }
        outputs = {"9": {"images": [MADE]}} if urls else {}
        return job(word, outputs, **({"execution_error": error} if reason else {}))

    def refusal(self, status: int, words: str) -> Any:
        error = {"type": "refused", "message": words, "details": "", "extra_info": {}}
        return {"error": error, "node_errors": {}}

    def polls(self, server: Scripted, *answers: Reply) -> None:
        server.on(self.poll_path, *answers)
        server.on(VIEW, Answer(body=PNG))

    def test_the_key_goes_to_the_platform_and_not_to_a_result_host(
        self, server: Scripted, play: Play, tmp_path: Path
    ) -> None:
        with Scripted() as elsewhere:
            elsewhere.on("/signed.png", Answer(body=PNG))
            server.on(VIEW, redirect(f"{elsewhere.url}/signed.png?signature=abc"))
            assert self.outcome(play, server, tmp_path).files
            (fetched,) = elsewhere.seen
        assert {seen.headers.get("authorization") for seen in server.seen} == {f"Bearer {KEY}"}
        assert KEY not in str(fetched)
