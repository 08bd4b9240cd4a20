"""Pins that the imitated Comfy API v2 takes what its document allows and no more."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from _clock import StoppedClock
from _waiting import PATIENCE, until
from PIL import Image, ImageOps
from sandboxes import SandboxClient
from skyport.sandbox import Sandbox
from skyport.sandbox._comfyui_v2 import KEY_SECONDS, RETRY_AFTER
from skyport.sandbox._comfyui_v2_assets import URL_SECONDS
from skyport.sandbox._comfyui_v2_jobs import RETENTION

ASSETS, JOBS = "/api/v2/assets", "/api/v2/jobs"


class Client(SandboxClient):
    platform = "comfyui"

    def __init__(self, box: Sandbox, clock: StoppedClock) -> None:
        super().__init__(box, clock)
        self.v2 = self.imitation.v2
        self.v2.is_on = True

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        from_host_on = path.startswith("/comfyui/")
        return super().ask(method, self.box.origin + path if from_host_on else path, **more)

    def data(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = self.ask(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        answer = self.ask(method, path, **more)
        error = answer.json()["error"]
        assert set(error) == {"code", "message", "details"}
        assert error["message"]
        return answer.status_code, error["code"]

    def asset(self, content: bytes, name: str = "fox.png") -> Any:
        form = {"file_path": (None, name), "file": (name, content, "image/png")}
        return self.data("POST", ASSETS, 201, files=form)

    def submit(self, workflow: Any, key: str | None = None, status: int = 201) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self.data("POST", JOBS, status, json={"workflow": workflow}, headers=headers)

    def ended(self, job: Any) -> Any:
        self.clock.now += 1000
        return self.data("GET", f"{JOBS}/{job['id']}")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client.open() as client:
        yield client


def png(color: str = "aqua") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(file, "PNG")
    return file.getvalue()


def inverted(asset: Mapping[str, Any], prefix: str = "fox") -> dict[str, Any]:
    reference = {"__type": "core/ASSET", "info": {"id": asset["id"]}}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": reference}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": prefix},
        },
    }


def test_an_asset_is_uploaded_found_by_its_hash_and_fetched_without_the_key(client: Client) -> None:
    asset = client.asset(png())
    assert uuid.UUID(asset["id"])
    assert asset["hash"].startswith("blake3:")
    assert (asset["size_bytes"], asset["content_type"]) == (len(png()), "image/png")
    assert (asset["file_path"], asset["created_new"]) == ("fox.png", True)
    again = client.data("POST", ASSETS + "/from-hash", 201, json={"hash": asset["hash"]})
    assert (again["created_new"], again["id"] == asset["id"]) == (False, False)
    assert client.data("GET", f"{ASSETS}/by-hash/{asset['hash']}")["hash"] == asset["hash"]
    assert requests.get(asset["url"], timeout=PATIENCE).content == png()
    client.clock.now += URL_SECONDS
    assert requests.get(asset["url"], timeout=PATIENCE).status_code == 401
    fresh = client.data("GET", f"{ASSETS}/{asset['id']}")
    assert requests.get(fresh["url"], timeout=PATIENCE).content == png()


def test_the_hash_that_a_client_states_is_the_assets(client: Client) -> None:
    stated = f"blake3:{'5a' * 32}"
    form = {"file": ("fox.png", png()), "expected_hash": (None, stated)}
    assert client.data("POST", ASSETS, 201, files=form)["hash"] == stated
    assert client.data("POST", ASSETS + "/from-hash", 201, json={"hash": stated})["hash"] == stated


def test_what_is_no_asset_is_refused(client: Client) -> None:
    assert client.refused("GET", f"{ASSETS}/{uuid.uuid4()}") == (404, "not_found")
    unknown = {"hash": "blake3:00"}
    assert client.refused("POST", ASSETS + "/from-hash", json=unknown) == (404, "blob_not_found")
    assert client.refused("GET", ASSETS + "/by-hash/blake3:00") == (404, "blob_not_found")
    form = {"file": ("fox.png", png()), "folder": (None, "x")}
    assert client.refused("POST", ASSETS, files=form) == (400, "invalid_request")
    form = {"file": ("fox.png", png()), "expected_hash": (None, "blake3:00")}
    assert client.refused("POST", ASSETS, files=form) == (409, "hash_mismatch")


def test_nothing_is_answered_without_the_key(client: Client) -> None:
    wrong = {"Authorization": "Bearer another"}
    for path in (JOBS, f"{ASSETS}/{uuid.uuid4()}"):
        assert client.refused("GET", path, headers=wrong) == (401, "unauthorized")


def test_a_job_waits_runs_and_succeeds_with_what_comfyui_would_make(client: Client) -> None:
    job = client.submit(inverted(client.asset(png())))
    assert (job["status"], job["queue_position"], job["outputs"]) == ("queued", 1, [])
    client.clock.now += 2
    running = client.data("GET", f"{JOBS}/{job['id']}")
    assert running["status"] == "running"
    assert 0 < running["progress"]["value"] < 1
    assert running["progress"]["current_node"] in ("1", "2", "9")
    done = client.ended(job)
    assert (done["status"], done["progress"], done["error"]) == ("succeeded", None, None)
    [output] = done["outputs"]
    assert (output["node_id"], output["type"]) == ("9", "image")
    assert output["name"] == "fox_00001_.png"
    made = Image.open(io.BytesIO(client.ask("GET", output["url"]).content))
    expected = ImageOps.invert(Image.open(io.BytesIO(png())))
    assert made.convert("RGB").tobytes() == expected.tobytes()
    assert set(done["metrics"]) == {"queue_ms", "execution_ms"}


def test_outputs_grow_while_a_job_runs(client: Client) -> None:
    workflow = inverted(client.asset(png()))
    for number in range(10, 13):
        workflow[str(number)] = workflow["9"]
    job = client.submit(workflow)
    until(lambda: all(task.drawing.done() for task in client.box.tasks))
    counts = []
    for _ in range(8):
        client.clock.now += 0.5
        counts.append(len(client.data("GET", f"{JOBS}/{job['id']}")["outputs"]))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert 0 < counts[-3] <= counts[-1] == 4


def test_a_key_is_used_once_and_ends_after_a_day(client: Client) -> None:
    workflow, key = inverted(client.asset(png())), str(uuid.uuid4())
    client.submit(workflow, key)
    body, header = {"workflow": workflow}, {"Idempotency-Key": key}
    used = (422, "idempotency_key_reuse")
    assert client.refused("POST", JOBS, json=body, headers=header) == used
    assert client.box.charges["comfyui"] == 1
    client.clock.now += KEY_SECONDS
    client.submit(workflow, key)
    assert client.box.charges["comfyui"] == 2


def test_a_key_is_free_again_after_a_refusal_and_held_where_nobody_knows(client: Client) -> None:
    workflow, key = inverted(client.asset(png())), str(uuid.uuid4())
    body, header = {"workflow": workflow}, {"Idempotency-Key": key}
    client.v2.refusals = ["insufficient_credits", "upstream_unreachable"]
    seen = [client.refused("POST", JOBS, json=body, headers=header) for _ in range(3)]
    assert seen == [
        (402, "insufficient_credits"),
        (503, "upstream_unreachable"),
        (422, "idempotency_key_reuse"),
    ]
    assert client.box.charges["comfyui"] == 0


@pytest.mark.parametrize("code", ["queue_full", "deployment_not_ready"])
def test_later_is_said_with_the_seconds(client: Client, code: str) -> None:
    client.v2.refusals = [code]
    body = {"workflow": inverted(client.asset(png()))}
    answer = client.ask("POST", JOBS, json=body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(RETRY_AFTER))
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"workflow": {"nodes": [], "links": []}}, (422, "workflow_format_ui")),
        ({"workflow": {}}, (422, "invalid_workflow")),
        ({}, (422, "invalid_workflow")),
        ({"workflow": {"1": {"class_type": "LoadImage"}}}, (422, "invalid_workflow")),
        ({"workflow": inverted({"id": "nowhere"})}, (422, "missing_asset")),
        ({"workflow": {"1": {}}, "prompt": {}}, (400, "invalid_request")),
        ({"workflow": {"1": {}}, "extra_data": {"client_id": "x"}}, (400, "invalid_request")),
    ],
)
def test_what_cannot_run_is_refused_by_its_code(
    client: Client, body: Any, expected: tuple[int, str]
) -> None:
    assert client.refused("POST", JOBS, json=body) == expected


def test_every_wrong_input_is_named_by_node_and_field(client: Client) -> None:
    workflow = inverted(client.asset(png()))
    workflow["1"]["inputs"]["image"] = "nowhere.png"
    workflow["10"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}
    error = client.ask("POST", JOBS, json={"workflow": workflow}).json()["error"]
    assert error["code"] == "invalid_workflow"
    named = {
        node: [each["field"] for each in all]
        for node, all in error["details"]["node_errors"].items()
    }
    assert named == {"1": ["image"], "10": ["images"]}


def test_a_server_that_does_not_speak_it_has_no_such_routes(client: Client) -> None:
    client.v2.is_on = False
    answer = client.ask("GET", JOBS)
    assert answer.status_code == 404
    assert "code" not in answer.json()["error"]


def test_files_that_are_gone_are_missing(client: Client) -> None:
    asset = client.asset(png())
    client.box.clear_uploads()
    body = {"workflow": inverted(asset)}
    assert client.refused("POST", JOBS, json=body) == (422, "missing_asset")
    assert client.refused("GET", f"{ASSETS}/{asset['id']}") == (404, "not_found")


def test_jobs_are_listed_newest_first_page_by_page_and_show_what_was_run(client: Client) -> None:
    workflow = inverted(client.asset(png()))
    jobs = [client.submit(workflow, str(uuid.uuid4()))["id"] for _ in range(5)]
    client.v2.page = 2
    found, cursor = [], None
    while True:
        page = client.data("GET", JOBS, params={"cursor": cursor} if cursor else {})
        found += [job["id"] for job in page["jobs"]]
        if (cursor := page.get("next_cursor")) is None:
            break
    assert found == jobs[::-1]
    shown = client.data("GET", f"{JOBS}/{jobs[0]}/workflow")
    assert shown["format"] == "api"
    assert shown["workflow"]["2"] == workflow["2"]
    assert isinstance(shown["workflow"]["1"]["inputs"]["image"], str)


def test_a_waiting_job_is_canceled_at_once_and_a_running_one_in_a_moment(client: Client) -> None:
    workflow = inverted(client.asset(png()))
    waiting = client.submit(workflow)
    assert client.data("POST", f"{JOBS}/{waiting['id']}/cancel")["status"] == "canceled"
    running = client.submit(workflow)
    client.clock.now += 2
    assert client.data("POST", f"{JOBS}/{running['id']}/cancel")["status"] == "canceling"
    assert client.ended(running)["status"] == "canceled"
    done = client.submit(workflow)
    client.ended(done)
    assert client.data("POST", f"{JOBS}/{done['id']}/cancel")["status"] == "succeeded"


def test_a_failed_job_names_its_node(client: Client) -> None:
    job = client.submit(inverted(client.asset(png()), "[[fail:no more foxes]]"))
    error = client.ended(job)["error"]
    assert (error["code"], error["message"]) == ("node_execution_error", "no more foxes")
    assert (error["node_id"], error["class_type"]) == ("9", "SaveImage")


def test_a_job_expires_after_its_time_and_in_a_restart_before_it(client: Client) -> None:
    workflow = inverted(client.asset(png()))
    lost, kept = client.submit(workflow), client.submit(workflow)
    client.v2.restart()
    assert client.data("GET", f"{JOBS}/{lost['id']}")["status"] == "expired"
    kept = client.submit(workflow)
    assert client.ended(kept)["status"] == "succeeded"
    client.v2.restart()
    assert client.data("GET", f"{JOBS}/{kept['id']}")["status"] == "succeeded"
    client.clock.now += RETENTION
    expired = client.data("GET", f"{JOBS}/{kept['id']}")
    assert (expired["status"], expired["outputs"]) == ("expired", [])


def test_links_are_whole_or_begin_at_the_host(client: Client) -> None:
    workflow = inverted(client.asset(png()))
    whole, relative = (client.submit(workflow)["urls"]["self"] for _ in range(2))
    assert whole.startswith(f"{client.box.origin}/comfyui/api/v2/jobs/")
    assert relative.startswith("/comfyui/api/v2/jobs/")
    client.v2.jobs.addresses = "relative"
    assert client.submit(workflow)["urls"]["cancel"].startswith("/comfyui/")


def test_events_tell_of_a_job_until_it_has_ended(client: Client) -> None:
    job = client.submit(inverted(client.asset(png())))
    client.ended(job)
    text = client.ask("GET", job["urls"]["events"]).text
    events = [part.split("\n") for part in text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    assert names == ["status", "output"]
    assert json.loads(events[0][1].removeprefix("data: "))["status"] == "succeeded"
    client.v2.events = False
    assert client.refused("GET", job["urls"]["events"]) == (501, "not_implemented")


@pytest.mark.parametrize(
    ("marker", "expected"),
    [("[[status:500]]", (500, "upstream_error")), ("[[balance]]", (402, "insufficient_credits"))],
)
def test_markers_refuse_in_its_own_form(
    client: Client, marker: str, expected: tuple[int, str]
) -> None:
    body = {"workflow": inverted(client.asset(png()), marker)}
    assert client.refused("POST", JOBS, json=body) == expected


def test_markers_spoil_polls_in_its_own_form(client: Client) -> None:
    for marker, expected in (
        ("[[missing:1]]", (404, "not_found")),
        ("[[busy:1]]", (503, "upstream_unreachable")),
        ("[[polls:500:1:own]]", (500, "upstream_error")),
    ):
        job = client.submit(inverted(client.asset(png()), marker))
        assert client.refused("GET", f"{JOBS}/{job['id']}") == expected
        assert client.ended(job)["status"] == "succeeded"


def test_a_job_whose_answer_is_cut_was_taken_and_charged(client: Client) -> None:
    workflow, key = inverted(client.asset(png()), "[[cut_after]]"), str(uuid.uuid4())
    with pytest.raises(requests.ConnectionError):
        client.submit(workflow, key)
    assert client.box.charges["comfyui"] == 1
    body, header = {"workflow": workflow}, {"Idempotency-Key": key}
    used = (422, "idempotency_key_reuse")
    assert client.refused("POST", JOBS, json=body, headers=header) == used
    assert len(client.data("GET", JOBS)["jobs"]) == 1
