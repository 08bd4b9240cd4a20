"""Pins that the imitated ComfyUI takes what the native interface takes, and answers as it does."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from _clock import LONG
from _waiting import PATIENCE
from PIL import Image, ImageOps
from sandboxes import SandboxClient

websocket = pytest.importorskip("websocket")


class Client(SandboxClient):
    platform = "comfyui"

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = self.ask("POST", path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def upload(self, data: bytes, name: str = "photo.png", **fields: str) -> Any:
        files = {"image": (name, data), **{key: (None, value) for key, value in fields.items()}}
        answer = self.ask("POST", "/api/upload/image", files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, prompt: Any, **more: Any) -> str:
        answer = self.post("/api/prompt", {"prompt": prompt, **more})
        assert answer["node_errors"] == {}
        return str(answer["prompt_id"])

    def job(self, id: str) -> Any:
        return self.get(f"/api/jobs/{id}")

    def view(self, **at: str) -> bytes:
        answer = self.ask("GET", f"/api/view?{urlencode(at)}")
        assert answer.status_code == 200, at
        return answer.content

    def queued(self) -> tuple[list[str], list[str]]:
        body = self.get("/queue")
        running, pending = body["queue_running"], body["queue_pending"]
        return [each[1] for each in running], [each[1] for each in pending]


@pytest.fixture
def client() -> Iterator[Client]:
    with Client.open() as client:
        yield client


def picture(colour: str = "red") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(made, "PNG")
    return made.getvalue()


def inverted(file: str) -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": file}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x/y"}},
    }


def painted(words: str = "a fox", saver: str = "SaveImage") -> dict[str, Any]:
    prefix = {"filename_prefix": "fox"} if saver == "SaveImage" else {}
    return {
        "1": {"class_type": "SandboxPainter", "inputs": {"text": words}},
        "9": {"class_type": saver, "inputs": {"images": ["1", 0], **prefix}},
    }


# -- files --------------------------------------------------------------------------------------


def test_an_equal_file_is_found_again_and_another_of_its_name_gets_a_number(client):
    first = client.upload(picture(), subfolder="skyport")
    assert first == {"name": "photo.png", "subfolder": "skyport", "type": "input"}
    assert client.upload(picture(), subfolder="skyport") == first
    other = client.upload(picture("blue"), subfolder="skyport")
    assert other == {**first, "name": "photo (1).png"}
    assert client.upload(picture("blue"), subfolder="skyport", overwrite="true") == first


def test_any_kind_of_file_is_taken_and_none_outside_of_the_folders(client):
    assert client.upload(b"1,2\n", "table.csv")["name"] == "table.csv"
    assert client.view(filename="table.csv", type="input") == b"1,2\n"
    files = {"image": ("../x.png", picture())}
    assert client.ask("POST", "/upload/image", files=files).status_code == 400


# -- prompts ------------------------------------------------------------------------------------


def test_a_workflow_runs_and_its_picture_is_where_the_job_says(client):
    client.upload(picture(), subfolder="skyport")
    id = client.submit(inverted("skyport/photo.png"), prompt_id=str(uuid.uuid4()))
    assert client.job(id)["status"] == "pending"
    client.clock.now += 1
    assert client.job(id)["status"] == "in_progress"
    client.clock.now += 60
    job = client.job(id)
    (file,) = job["outputs"]["9"]["images"]
    assert (job["status"], job["id"]) == ("completed", id)
    assert file == {"filename": "y_00001_.png", "subfolder": "x", "type": "output"}
    with Image.open(io.BytesIO(client.view(**file))) as made:
        assert made.getpixel((3, 3)) == ImageOps.invert(Image.new("RGB", (1, 1), "red")).getpixel(
            (0, 0)
        )
    assert client.get(f"/api/history/{id}")[id]["outputs"] == job["outputs"]
    assert client.get(f"/history/{id}")[id]["status"]["status_str"] == "success"


def test_one_prompt_runs_at_a_time_the_smallest_number_first(client):
    ids = [client.submit(painted(LONG)) for _ in range(3)]
    first = client.submit(painted(), front=True)
    client.clock.now += 1
    assert client.queued() == ([first], ids)
    client.clock.now += 60
    assert client.queued() == ([ids[0]], ids[1:])


def test_an_id_that_is_no_uuid_is_refused_and_one_without_is_made(client):
    body = client.post("/prompt", {"prompt": painted(), "prompt_id": "A-1"}, 400)
    assert body["error"]["type"] == "invalid_prompt_id"
    assert uuid.UUID(client.submit(painted()))


def test_complaints_name_node_and_input_all_at_once(client):
    prompt = {
        **inverted("gone.png"),
        "3": {
            "class_type": "ImageScale",
            "inputs": {"image": ["1", 0], "upscale_method": "best", "width": -1, "height": 8},
        },
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }
    body = client.post("/api/prompt", {"prompt": prompt}, 400)
    assert body["error"]["type"] == "prompt_outputs_failed_validation"
    found = {
        node: [each["extra_info"]["input_name"] for each in about["errors"]]
        for node, about in body["node_errors"].items()
    }
    assert found == {"1": ["image"], "3": ["upscale_method", "width", "crop"]}
    assert body["node_errors"]["1"]["dependent_outputs"] == ["9", "8"]


def test_an_output_that_cannot_be_made_is_left_out_and_the_others_run(client):
    prompt = {
        **painted(),
        "2": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    body = client.post("/api/prompt", {"prompt": prompt})
    assert list(body["node_errors"]) == ["2"]
    client.clock.now += 60
    assert list(client.job(body["prompt_id"])["outputs"]) == ["9"]


def test_a_strict_server_refuses_a_class_that_it_does_not_have(client):
    client.imitation.strict = True
    body = client.post("/api/prompt", {"prompt": painted()}, 400)
    assert body["error"]["type"] == "missing_node_type"
    assert "SandboxPainter" in body["error"]["message"]


def test_a_failed_node_is_named_in_job_and_history(client):
    id = client.submit(painted("a fox [[fail:no more memory]]"))
    client.clock.now += 60
    error = client.job(id)["execution_error"]
    assert (error["node_id"], error["exception_message"]) == ("9", "no more memory")
    events = client.get(f"/history/{id}")[id]["status"]["messages"]
    assert [name for name, _ in events] == ["execution_start", "execution_error"]


# -- events -------------------------------------------------------------------------------------


def listening(client: Client, name: str) -> Any:
    key = client.box.key("comfyui")
    address = f"ws{client.base.removeprefix('http')}/ws?clientId={name}"
    return websocket.create_connection(
        address, timeout=PATIENCE, header=[f"Authorization: Bearer {key}"]
    )


def told(socket: Any, until: str) -> list[tuple[str, Any]]:
    """(type, data) of what comes, to the first event of a type."""
    found: list[tuple[str, Any]] = []
    while not found or found[-1][0] != until:
        message = json.loads(socket.recv())
        found.append((message["type"], message["data"]))
    return found


def test_a_client_is_told_of_each_node_its_steps_and_the_end_of_its_prompts(client):
    with closing(listening(client, "me")) as socket, closing(listening(client, "you")) as other:
        ((_, first),) = told(socket, "status")
        assert first == {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"}
        id = client.submit(painted(), client_id="me")
        one_left = ("status", {"status": {"exec_info": {"queue_remaining": 1}}})
        assert told(socket, "status") == [one_left]
        assert len(told(other, "status")) == 1
        assert told(other, "status") == [one_left]
        client.clock.now += 1
        progress = told(socket, "progress")
        assert [name for name, _ in progress] == [
            *("execution_start", "execution_cached", "executing", "progress_state", "progress")
        ]
        assert progress[-1][1] == {"node": "1", "value": 1, "max": 20, "prompt_id": id}
        assert progress[-2][1]["nodes"] == {"1": {"value": 1, "max": 20, "state": "running"}}
        client.clock.now += 60
        *_, executed, success, end = [
            one for one in told(socket, "status")[:-1] if "progress" not in one[0]
        ]
        assert executed[1]["output"] == client.job(id)["outputs"]["9"]
        assert (executed[1]["node"], success[0]) == ("9", "execution_success")
        assert end == ("executing", {"node": None, "prompt_id": id})
        assert len(told(other, "status")) == 1  # of somebody else's only how many are left


def test_a_prompt_that_fails_or_is_interrupted_is_told_with_its_end(client):
    with closing(listening(client, "me")) as socket:
        client.submit(painted("[[fail:no more memory]]"), client_id="me")
        client.clock.now += 60
        error = told(socket, "execution_error")[-1][1]
        assert (error["node_id"], error["exception_message"]) == ("9", "no more memory")
        stopped = client.submit(painted(LONG), client_id="me")
        client.clock.now += 300
        told(socket, "progress")
        client.post(f"/api/jobs/{stopped}/cancel", None)
        told(socket, "execution_interrupted")
        assert json.loads(socket.recv())["data"] == {"node": None, "prompt_id": stopped}


def test_a_restart_ends_the_stream_of_events(client):
    with closing(listening(client, "me")) as socket:
        client.imitation.restart()
        with pytest.raises(websocket.WebSocketException):
            told(socket, "progress")


def test_events_are_for_websockets_with_the_key(client):
    assert client.ask("GET", "/ws?clientId=me").status_code == 400
    assert requests.get(f"{client.base}/ws", timeout=PATIENCE).status_code == 401


# -- stop, restart --------------------------------------------------------------------------------


def test_a_waiting_prompt_is_forgotten_when_cancelled_and_a_running_one_is_interrupted(client):
    running, waiting = client.submit(painted(LONG)), client.submit(painted(LONG))
    client.clock.now += 1
    for id in (running, waiting):
        assert client.post(f"/api/jobs/{id}/cancel", None) == {"cancelled": True}
    assert client.queued() == ([], [])
    assert client.job(running)["status"] == "cancelled"
    assert client.ask("GET", f"/api/jobs/{waiting}").status_code == 404
    assert client.post(f"/api/jobs/{running}/cancel", None) == {"cancelled": False}


def test_a_server_of_before_has_a_queue_and_a_history_only(client):
    client.imitation.jobs = False
    running, waiting = client.submit(painted(LONG)), client.submit(painted(LONG))
    client.clock.now += 1
    assert client.ask("GET", f"/api/jobs/{running}").status_code == 404
    client.post("/api/queue", {"delete": [waiting, running]})
    assert client.queued() == ([running], [])
    client.post("/api/interrupt", {"prompt_id": waiting})
    assert client.queued() == ([running], [])
    client.post("/api/interrupt", {"prompt_id": running})
    (name, _) = client.get(f"/history/{running}")[running]["status"]["messages"][-1]
    assert name == "execution_interrupted"


def test_a_restart_forgets_every_job_and_temporary_files(client):
    ids = [client.submit(painted(saver=saver)) for saver in ("SaveImage", "PreviewImage")]
    client.clock.now += 60
    (kept,), (temporary,) = (next(iter(client.job(id)["outputs"].values()))["images"] for id in ids)
    client.imitation.restart()
    assert [client.get(f"/history/{id}") for id in ids] == [{}, {}]
    assert client.queued() == ([], [])
    assert client.view(**kept)
    assert client.ask("GET", f"/view?{urlencode(temporary)}").status_code == 404


# -- what it says of itself -----------------------------------------------------------------------


def test_it_lists_its_classes_models_and_uploads(client):
    client.upload(picture(), subfolder="skyport")
    info = client.get("/object_info")
    assert info["LoadImage"]["input"]["required"]["image"][0] == ["skyport/photo.png"]
    checkpoints = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0]
    assert client.get("/models/checkpoints") == checkpoints
    assert client.get("/object_info/KSampler") == {"KSampler": info["KSampler"]}
    assert client.get("/object_info/Nope") == {}
    assert client.get("/api/system_stats")["system"]["comfyui_version"]


def test_it_answers_nobody_without_its_key(client):
    answer = requests.get(f"{client.base}/api/queue", timeout=PATIENCE)
    assert answer.status_code == 401
