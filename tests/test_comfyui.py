"""ComfyUI servers of one's own: what every platform must do, spoken natively, and its oddities."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from _waiting import PATIENT
from contract import KEY, PNG, HostingContract
from scripted import Answer, LoggedRequest, Reply, Scripted, answer_json, answer_page, redirect
from skyport.engine.base.errors import InputRejected, NotFound, OutcomeUnknown, SkyportError
from skyport.engine.base.types import MediaFile, Request, Status, Task, TaskState
from skyport.engine.http.client import Http
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

    @pytest.mark.parametrize(
        "trouble", [Answer(drop="after"), answer_page("Bad gateway", 502), answer_json({})]
    )
    def test_a_submit_is_made_once_and_may_have_been_charged(
        self, server: Scripted, play: Play, tmp_path: Path, trouble: Answer
    ) -> None:
        """Where the server does not say either what became of it."""
        server.on(self.submit_path, trouble)
        assert isinstance(self.outcome(play, server, tmp_path), OutcomeUnknown)
        assert server.counts[self.submit_path] == 1

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


# -- a lost answer ------------------------------------------------------------------------------


def lost_after(server: Scripted, knows: Callable[[str], Answer]) -> list[str]:
    """The first submit gets no answer; `knows` answers what is asked about its id, by path."""
    ids: list[str] = []

    def submit(seen: LoggedRequest) -> Answer:
        ids.append(seen.json()["prompt_id"])
        server.on(f"/api/jobs/{ids[-1]}", lambda _: knows(ids[-1]))
        body = {"prompt_id": ids[-1], "number": 1, "node_errors": {}}
        return Answer(drop="after") if len(ids) == 1 else answer_json(body)

    server.on("/api/prompt", submit)
    return ids


def run(play: Play, server: Scripted, folder: Path, prompt: Any = None) -> Any:
    provider = Comfyui(Http("ComfyUI", server.url, Comfyui.auth_headers(KEY), timeout=PATIENT))
    request = comfyui.workflow(prompt or loading("a.png"))
    try:
        return play.result(provider, request, folder / "results")
    except SkyportError as error:
        return error


def done(id: str, outputs: Any = None) -> Answer:
    return answer_json({**job("completed", outputs or {"9": {"images": [MADE]}}), "id": id})


NOT_KNOWN = answer_json({"error": "Job not found"}, 404)


def test_a_task_whose_submit_got_no_answer_is_found_by_our_own_id(
    server: Scripted, play: Play, tmp_path: Path
) -> None:
    server.on(VIEW, Answer(body=PNG))
    ids = lost_after(server, done)
    result = run(play, server, tmp_path)
    assert (result.task_id, len(ids)) == (ids[0], 1)
    assert str(uuid.UUID(ids[0])) == ids[0]


def test_a_submit_that_did_not_arrive_is_made_again_under_the_same_id(
    server: Scripted, play: Play, tmp_path: Path
) -> None:
    server.on(VIEW, Answer(body=PNG))

    def knows(id: str) -> Answer:
        return done(id) if len(ids) == 2 else NOT_KNOWN

    ids = lost_after(server, knows)
    assert run(play, server, tmp_path).files
    assert ids == [ids[0]] * 2


# -- what a server says is wrong ------------------------------------------------------------------


def complaint(name: str, message: str, details: str) -> dict[str, Any]:
    return {"type": "x", "message": message, "details": details, "extra_info": {"input_name": name}}


COMPLAINTS = {
    "1": {
        "errors": [complaint("image", "Custom validation failed for node", "image - no a.png")],
        "dependent_outputs": ["9"],
        "class_type": "LoadImage",
    },
    "9": {
        "errors": [complaint("width", "Value -1 smaller than min of 1", "width")],
        "dependent_outputs": ["9"],
        "class_type": "SaveImage",
    },
}


def test_every_complaint_about_a_workflow_is_told_at_once_by_node_and_input(
    server: Scripted, play: Play, tmp_path: Path
) -> None:
    error = {"type": "prompt_outputs_failed_validation", "message": "failed", "details": ""}
    body = {"error": {**error, "extra_info": {}}, "node_errors": COMPLAINTS}
    server.on("/api/prompt", answer_json(body, 400))
    refused = run(play, server, tmp_path)
    assert type(refused) is InputRejected
    assert refused.what == (
        "Input image of LoadImage (1): Custom validation failed for node (image - no a.png); "
        "Input width of Keep it (9): Value -1 smaller than min of 1."
    )


def test_a_class_that_the_server_does_not_have_is_named(
    server: Scripted, play: Play, tmp_path: Path
) -> None:
    error = {"type": "missing_node_type", "message": "Node 'Ghost' not found.", "details": "#5"}
    server.on("/api/prompt", answer_json({"error": error, "node_errors": []}, 400))
    refused = run(play, server, tmp_path)
    assert type(refused) is InputRejected
    assert "Node 'Ghost' not found." in refused.what


def test_what_the_server_left_out_is_a_warning(
    server: Scripted, play: Play, tmp_path: Path
) -> None:
    body = {"prompt_id": TASK, "number": 1, "node_errors": {"1": COMPLAINTS["1"]}}
    server.on("/api/prompt", answer_json(body))
    server.on(JOB, done(TASK))
    server.on(VIEW, Answer(body=PNG))
    (warning,) = run(play, server, tmp_path).warnings
    assert "left out what it could not run: Input image of LoadImage (1)" in warning


@pytest.mark.parametrize(
    ("kind", "message", "words"),
    [
        ("torch.OutOfMemoryError", "Allocation on device", "Invert it (2) ran out of memory there"),
        ("ValueError", "bad size\n  3 x 4", "Invert it (2) failed: bad size 3 x 4"),
        ("builtins.KeyError", "", "Invert it (2) failed: KeyError"),
    ],
)
def test_a_failed_node_is_told_by_its_title_and_the_kind_of_failure(
    server: Scripted, kind: str, message: str, words: str
) -> None:
    nodes = loading("a.png")
    nodes["2"]["_meta"] = {"title": "Invert it"}
    error = {
        "node_id": "2",
        "node_type": "ImageInvert",
        "exception_type": kind,
        "exception_message": message,
        "traceback": ["secret path"],
    }
    state = polled(server, job("failed", execution_error=error, workflow={"prompt": nodes}))
    assert state.status is Status.FAILED
    assert words in state.message


def test_an_interrupted_task_is_cancelled_and_says_where(server: Scripted) -> None:
    event = ["execution_interrupted", {"node_id": "2", "node_type": "ImageInvert"}]
    status = {"status_str": "error", "completed": False, "messages": [event]}
    state = polled(server, job("cancelled", execution_status=status))
    assert (state.status, state.message) == (Status.CANCELLED, "interrupted at ImageInvert (2)")


# -- results ------------------------------------------------------------------------------------


def polled(server: Scripted, body: Any) -> TaskState:
    server.on(JOB, answer_json(body))
    http = Http("ComfyUI", server.url, {}, timeout=PATIENT)
    return Comfyui(http).poll(Task("comfyui", "auto", TASK))


def test_results_of_every_kind_are_taken_and_inputs_are_not(server: Scripted) -> None:
    outputs = {
        "9": {"images": [MADE, MADE, {**MADE, "type": "temp", "filename": "p.png"}]},
        "10": {"gifs": [{"filename": "a.mp4", "subfolder": "v", "type": "output"}]},
        "11": {"audio": [{"filename": "s 1.flac", "subfolder": "", "type": "output"}]},
        "12": {"video": [{"filename": "v.mp4", "subfolder": "", "type": "output"}]},
        "13": {"text": ["a fox", ""], "tags": ["x"], "animated": [True]},
        "14": {"3d": ["mesh/a.glb"], "result": ["mesh/a.glb", {"camera": 1}, None]},
        "15": {"images": [{"filename": "in.png", "subfolder": "", "type": "input"}]},
        "16": None,
    }
    state = polled(server, job("completed", outputs))
    found = [
        (o.node_id, o.url.removeprefix(f"{server.url}{VIEW}?") or o.text) for o in state.outputs
    ]
    assert found == [
        ("9", "filename=made.png&subfolder=&type=output"),
        ("9", "filename=p.png&subfolder=&type=temp"),
        ("10", "filename=a.mp4&subfolder=v&type=output"),
        ("11", "filename=s+1.flac&subfolder=&type=output"),
        ("12", "filename=v.mp4&subfolder=&type=output"),
        ("13", "a fox"),
        ("13", ""),  # a text of a workflow's value may be empty
        ("14", "filename=a.glb&subfolder=mesh&type=output"),
    ]
    assert state.outputs[0].title == "Keep it"


def test_a_waiting_task_says_its_place_in_the_queue(server: Scripted) -> None:
    waits = [[number, f"id-{number}", {}, {}, []] for number in (9, 4)]
    mine = [5, TASK, {}, {}, []]
    running = [[1, "other", {}, {}, []]]
    queue = {"queue_running": running, "queue_pending": [waits[0], mine, waits[1]]}
    server.on("/api/queue", answer_json(queue))
    assert polled(server, job("pending")).queue == (2, 3)


def test_times_are_told_in_seconds(server: Scripted) -> None:
    times = {"create_time": 1000, "execution_start_time": 3500, "execution_end_time": 14500}
    state = polled(server, job("completed", {"13": {"text": ["x"]}}, **times))
    assert state.details == (("queued", "2.5 s"), ("ran", "11.0 s"))


# -- servers of before /api/jobs ------------------------------------------------------------------

OLD = Answer(404, b"404: Not Found", (("Content-Type", "text/plain"),))


def test_an_older_server_is_asked_by_its_queue_and_its_history(
    server: Scripted, play: Play, tmp_path: Path
) -> None:
    entry = {
        "prompt": [1, TASK, loading("a.png"), {}, ["9"]],
        "outputs": {"9": {"images": [MADE]}},
        "status": {"status_str": "success", "completed": True, "messages": []},
    }
    mine = [1, TASK, {}, {}, []]
    server.on("/api/prompt", answer_json({"prompt_id": TASK, "number": 1, "node_errors": {}}))
    server.on(JOB, OLD)
    waiting = {"queue_running": [], "queue_pending": [mine]}
    running, empty = {"queue_running": [mine], "queue_pending": []}, {key: [] for key in waiting}
    server.on("/api/queue", *map(answer_json, (waiting, waiting, running, empty)))
    history = f"/api/history/{TASK}"
    server.on(history, answer_json({}), answer_json({}), answer_json({TASK: entry}))
    server.on(VIEW, Answer(body=PNG))
    assert run(play, server, tmp_path).files[0].title == "Keep it"


def test_a_task_that_an_older_server_does_not_know_is_not_found_in_its_own_words(
    server: Scripted,
) -> None:
    server.on(JOB, OLD)
    server.on("/api/queue", answer_json({"queue_running": [], "queue_pending": []}))
    server.on(f"/api/history/{TASK}", answer_json({}))
    with pytest.raises(NotFound) as caught:
        Comfyui(Http("ComfyUI", server.url, {}, timeout=PATIENT)).poll(Task("comfyui", "x", TASK))
    assert caught.value.own_form


def test_an_older_server_interrupts_only_what_is_ours(server: Scripted) -> None:
    provider = Comfyui(Http("ComfyUI", server.url, {}, timeout=PATIENT))
    mine, other = [1, TASK, {}, {}, []], [0, "other", {}, {}, []]
    server.on(f"{JOB}/cancel", OLD)
    server.on("/api/interrupt", Answer())
    server.on("/api/queue", answer_json({"queue_running": [other], "queue_pending": []}))
    assert provider.cancel(Task("comfyui", "auto", TASK)) is False
    assert server.counts["/api/interrupt"] == 0
    server.on("/api/queue", answer_json({"queue_running": [mine], "queue_pending": [other]}))
    assert provider.cancel(Task("comfyui", "auto", TASK)) is True
    assert server.asked("/api/interrupt")[0].json() == {"prompt_id": TASK}
