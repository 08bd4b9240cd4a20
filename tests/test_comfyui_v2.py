"""Pins what goes to a server of the Comfy API v2 and comes back, as literal bodies."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENT
from PIL import Image
from scripted import Answer, LoggedRequest, Scripted, answer_json, answer_page, redirect
from skyport.engine.base.errors import (
    ApiError,
    AuthRejected,
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TaskFailed,
    TransportError,
)
from skyport.engine.base.types import MediaFile, Output, Request, Result, Status, Task
from skyport.engine.http.client import Http
from skyport.engine.http.retry import may_be_accepted, should_repeat
from skyport.providers import comfyui
from skyport.providers.comfyui import Comfyui, _detect, _servers
from skyport.providers.comfyui._servers import Server
from skyport.providers.comfyui._v2 import V2Dialect
from skyport.sandbox import Sandbox, start
from skyport.sandbox._comfyui_v2 import RETRY_AFTER
from virtual import Play

KEY = "comfyui-0123456789abcdef"
JOBS, ASSETS = "/api/v2/jobs", "/api/v2/assets"
ORDER = "7f3d2c1b-9a8e-4d6f-b012-3c4d5e6f7a8b"
ID = "0b9e5a4e-52c7-4f7d-9f0e-1f2f3a4b5c6d"
TASK = Task("comfyui", "studio", ID)
JOB = f"{JOBS}/{ID}"
ASSET_ID = "9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b"
HASH = "blake3:9f8a1c0d"
ASSET = {"__type": "core/ASSET", "info": {"id": ASSET_ID, "hash": HASH, "file_path": "photo.png"}}
WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": ASSET}, "_meta": {"title": "The fox"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "fox"}},
}


def job(status: str, **more: Any) -> dict[str, Any]:
    urls = {"self": JOB, "events": f"{JOB}/events", "cancel": f"{JOB}/cancel"}
    fields = {
        "id": ID,
        "status": status,
        "created_at": "2026-08-20T10:00:00Z",
        "started_at": None,
        "completed_at": None,
        "expires_at": "2026-08-27T10:00:00Z",
        "queue_position": None,
        "progress": None,
        "outputs": [],
        "error": None,
        "metrics": {"queue_ms": None, "execution_ms": None},
        "urls": urls,
    }
    return {**fields, **more}


def output(url: str = "/api/v2/assets/T0KEN/content", **more: Any) -> dict[str, Any]:
    fields = {
        "node_id": "9",
        "name": "fox_00001_.png",
        "type": "image",
        "content_type": "image/png",
        "size_bytes": 12,
        "id": ASSET_ID,
        "hash": None,
        "url": url,
        "url_expires_at": "2126-08-20T11:00:00Z",
    }
    return {**fields, **more}


def asset(**more: Any) -> dict[str, Any]:
    fields = {
        "id": ASSET_ID,
        "hash": HASH,
        "size_bytes": 4,
        "content_type": "image/png",
        "file_path": "photo.png",
        "created_new": True,
        "url": "/api/v2/assets/9/content",
        "url_expires_at": "2126-08-20T11:00:00Z",
        "expires_at": None,
    }
    return {**fields, **more}


def error(code: str, status: int, message: str = "No.", details: Any = None, **headers: str) -> Any:
    body = {"error": {"code": code, "message": message, "details": details}}
    return answer_json(body, status, **headers)


def workflow_of(order_id: str) -> Any:
    node = {**WORKFLOW["1"], "_meta": {"title": "The fox", "skyport_order": order_id}}
    return {"workflow": {**WORKFLOW, "1": node}, "format": "api"}


@pytest.fixture
def http(server: Scripted) -> Http:
    _detect.forget(Http("ComfyUI", server.url, {}))
    key = {"Authorization": f"Bearer {KEY}"}
    return Http("ComfyUI", server.url, key, timeout=PATIENT)


@pytest.fixture
def v2(http: Http) -> V2Dialect:
    return V2Dialect(http)


@pytest.fixture
def photo(tmp_path: Path) -> MediaFile:
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return MediaFile(path, "photo.png", "image/png", digest, 4)


# -- assets ---------------------------------------------------------------------------------------


def test_a_file_goes_up_as_a_form_and_comes_back_as_the_object_that_a_workflow_names_it_by(
    server: Scripted, v2: V2Dialect, photo: MediaFile
) -> None:
    server.on(ASSETS, answer_json(asset(), 201))
    assert v2.upload(photo) == ASSET
    [seen] = server.asked(ASSETS)
    assert seen.method == "POST"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    parts = seen.body.split(b"--" + seen.headers["content-type"].rpartition("=")[2].encode())
    named = [part.split(b"\r\n\r\n", 1) for part in parts[1:-1]]
    assert [value.rstrip(b"\r\n") for _, value in named] == [
        b"image/png",
        photo.sha256[:32].encode() + b".png",
        b"\x89PNG",
    ]
    assert [
        b'name="%s"' % name in head
        for name, (head, _) in zip((b"content_type", b"file_path", b"file"), named, strict=True)
    ] == [True, True, True]


def test_an_asset_without_a_hash_is_named_by_its_id_alone(
    server: Scripted, v2: V2Dialect, photo: MediaFile
) -> None:
    server.on(ASSETS, answer_json(asset(hash=None, file_path=None), 201))
    assert v2.upload(photo) == {"__type": "core/ASSET", "info": {"id": ASSET_ID}}


def test_bytes_that_the_server_has_hashed_are_not_sent_again(
    server: Scripted, v2: V2Dialect, photo: MediaFile
) -> None:
    server.on(ASSETS, answer_json(asset(), 201))
    server.on(ASSETS + "/from-hash", answer_json(asset(id="another", created_new=False), 201))
    v2.upload(photo)
    again: Any = v2.upload(photo)
    assert again["info"]["id"] == "another"
    assert server.counts == {ASSETS: 1, ASSETS + "/from-hash": 1}
    assert server.asked(ASSETS + "/from-hash")[0].json()["hash"] == HASH


def test_bytes_that_the_server_has_deleted_since_are_sent_again(
    server: Scripted, v2: V2Dialect, photo: MediaFile
) -> None:
    server.on(ASSETS, answer_json(asset(), 201))
    server.on(ASSETS + "/from-hash", error("blob_not_found", 404))
    assert [v2.upload(photo), v2.upload(photo)] == [ASSET, ASSET]
    assert server.counts[ASSETS] == 2


def test_an_asset_is_relied_on_until_it_expires_by_the_servers_clock(
    server: Scripted, v2: V2Dialect, photo: MediaFile
) -> None:
    dated = answer_json(asset(expires_at="2026-08-20T10:30:00+00:00"), 201)
    date = ("Date", "Thu, 20 Aug 2026 10:00:00 GMT")
    server.on(ASSETS, Answer(201, dated.body, (*dated.headers, date)))
    assert v2.url_lifetime(v2.upload(photo)) == pytest.approx(1800, abs=300)


def test_an_upload_that_names_no_asset_is_no_success(
    server: Scripted, v2: V2Dialect, photo: MediaFile
) -> None:
    server.on(ASSETS, answer_json({"ok": True}, 201))
    with pytest.raises(BadResult, match="names no asset"):
        v2.upload(photo)


# -- submit ---------------------------------------------------------------------------------------


def test_a_job_is_sent_under_the_orders_key_and_names_the_order_in_its_workflow(
    server: Scripted, v2: V2Dialect
) -> None:
    server.on(JOBS, answer_json(job("queued"), 201))
    assert v2.submit(WORKFLOW, ORDER) == ID
    [seen] = server.seen
    assert (seen.method, seen.headers["idempotency-key"]) == ("POST", ORDER)
    first = {**WORKFLOW["1"], "_meta": {"title": "The fox", "skyport_order": ORDER}}
    assert seen.json() == {"workflow": {**WORKFLOW, "1": first}}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("insufficient_credits", 402, OutOfCredit),
        ("workflow_format_ui", 422, InputRejected),
        ("missing_asset", 422, InputRejected),
        ("deployment_stopped", 422, InputRejected),
        ("unauthorized", 401, AuthRejected),
        ("forbidden", 403, AuthRejected),
        ("queue_full", 429, RateLimited),
        ("deployment_not_ready", 429, RateLimited),
    ],
)
def test_a_refusal_is_certain_and_says_what_it_is(
    server: Scripted, v2: V2Dialect, code: str, status: int, kind: type[ApiError]
) -> None:
    server.on(JOBS, error(code, status, "It is so."))
    with pytest.raises(ApiError) as caught:
        v2.submit(WORKFLOW, ORDER)
    assert type(caught.value) is kind
    assert "It is so" in caught.value.what
    assert (caught.value.code, caught.value.http) == (code, status)
    assert not may_be_accepted(caught.value)


@pytest.mark.parametrize("code", ["queue_full", "deployment_not_ready"])
def test_a_server_that_is_not_ready_is_asked_again_when_it_says(
    server: Scripted, v2: V2Dialect, code: str
) -> None:
    server.on(JOBS, error(code, 429, retry_after="17"))
    with pytest.raises(RateLimited) as caught:
        v2.submit(WORKFLOW, ORDER)
    assert should_repeat(caught.value, submit=True)
    assert caught.value.retry_after == 17


def test_an_invalid_workflow_is_refused_with_every_node_and_field(
    server: Scripted, v2: V2Dialect
) -> None:
    node_errors = {
        "1": [
            {"field": "image", "reason": "not_found"},
            {"field": "upload", "reason": "no credit"},
        ],
        "9": [{"field": "images", "reason": "missing_input"}],
    }
    server.on(JOBS, error("invalid_workflow", 422, "Two nodes.", {"node_errors": node_errors}))
    with pytest.raises(InputRejected) as caught:
        v2.submit(WORKFLOW, ORDER)
    for words in (
        "Two nodes",
        "node 1 (LoadImage), image: not_found",
        "node 1 (LoadImage), upload: no credit",
        "node 9 (SaveImage), images: missing_input",
    ):
        assert words in caught.value.what


def test_an_invalid_workflow_is_understood_in_the_words_of_comfyui_itself(
    server: Scripted, v2: V2Dialect
) -> None:
    complaint = {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": "ckpt_name: 'x' not in []",
        "extra_info": {"input_name": "ckpt_name"},
    }
    node_errors = {"9": {"errors": [complaint], "class_type": "SaveImage"}}
    server.on(JOBS, error("invalid_workflow", 422, "Bad.", {"node_errors": node_errors}))
    with pytest.raises(InputRejected, match=r"node 9 \(SaveImage\), ckpt_name: Value not in list"):
        v2.submit(WORKFLOW, ORDER)


@pytest.mark.parametrize(
    "answer", [error("upstream_error", 500), error("upstream_unreachable", 503)]
)
def test_a_server_that_could_not_reach_its_comfyui_may_have_the_job(
    server: Scripted, v2: V2Dialect, answer: Answer
) -> None:
    server.on(JOBS, answer)
    with pytest.raises((ApiError, OutcomeUnknown)) as caught:
        v2.submit(WORKFLOW, ORDER)
    assert may_be_accepted(caught.value)
    assert not should_repeat(caught.value, submit=True)


def test_an_answer_without_a_job_is_neither_yes_nor_no(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOBS, answer_json({"status": "queued"}, 201))
    with pytest.raises(OutcomeUnknown):
        v2.submit(WORKFLOW, ORDER)


def test_a_key_that_is_taken_leads_to_the_job_that_took_it(server: Scripted, v2: V2Dialect) -> None:
    def jobs(seen: LoggedRequest) -> Answer:
        if seen.method == "POST":
            return error("idempotency_key_reuse", 422)
        return answer_json({"jobs": [job("running")]})

    server.on(JOBS, jobs)
    server.on(f"{JOB}/workflow", answer_json(workflow_of(ORDER)))
    assert v2.submit(WORKFLOW, ORDER) == ID


@pytest.mark.parametrize(
    "listed",
    [
        answer_json({"jobs": []}),
        error("not_found", 404),
        error("queue_full", 429),
        error("unauthorized", 401),
        Answer(drop="after"),
    ],
)
def test_a_key_that_is_taken_by_no_job_that_can_be_seen_leaves_the_outcome_open(
    server: Scripted, v2: V2Dialect, listed: Answer
) -> None:
    server.on(JOBS, error("idempotency_key_reuse", 422), listed)
    with pytest.raises(OutcomeUnknown):
        v2.submit(WORKFLOW, ORDER)
    with pytest.raises(SkyportError):
        v2.find(ORDER)


# -- find -----------------------------------------------------------------------------------------


def test_a_lost_job_is_found_on_whichever_page_it_is(server: Scripted, v2: V2Dialect) -> None:
    def page(seen: LoggedRequest) -> Answer:
        if "cursor=second" in seen.target:
            return answer_json({"jobs": [{"id": ID, "status": "queued"}]})
        return answer_json({"jobs": [{"id": "other"}], "next_cursor": "second"})

    server.on(JOBS, page)
    server.on(f"{JOBS}/other/workflow", answer_json(workflow_of("another order")))
    server.on(f"{JOB}/workflow", answer_json(workflow_of(ORDER)))
    assert v2.find(ORDER) == ID


@pytest.mark.parametrize("list_key", ["jobs", "items", "data", "results"])
def test_lists_are_read_wherever_they_are(server: Scripted, v2: V2Dialect, list_key: str) -> None:
    server.on(JOBS, answer_json({list_key: [{"id": ID, "idempotency_key": ORDER}]}))
    assert v2.find(ORDER) == ID


def test_no_job_of_the_order_in_the_whole_list_means_that_it_did_not_arrive(
    server: Scripted, v2: V2Dialect
) -> None:
    server.on(JOBS, answer_json({"jobs": [{"id": "other"}]}))
    server.on(f"{JOBS}/other/workflow", answer_json(workflow_of("another order")))
    assert v2.find(ORDER) is None
    assert v2.find(ORDER) is None
    assert server.counts[f"{JOBS}/other/workflow"] == 1


@pytest.mark.parametrize(
    "more", [{"truncated": True}, {"has_more": True}, {"next_cursor": "the same"}]
)
def test_a_list_that_does_not_end_proves_nothing(
    server: Scripted, v2: V2Dialect, more: Any
) -> None:
    server.on(JOBS, answer_json({"jobs": [{"id": "other"}], **more}))
    server.on(f"{JOBS}/other/workflow", answer_json(workflow_of("another order")))
    with pytest.raises(OutcomeUnknown, match="more jobs"):
        v2.find(ORDER)


def test_a_job_whose_workflow_is_not_shown_may_be_ours(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOBS, answer_json({"jobs": [{"id": "other"}]}))
    server.on(f"{JOBS}/other/workflow", error("not_found", 404))
    with pytest.raises(OutcomeUnknown, match="does not show"):
        v2.find(ORDER)


def test_a_list_that_is_a_page_proves_nothing(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOBS, answer_page("<h1>Welcome</h1>"))
    with pytest.raises(BadResult):
        v2.find(ORDER)


# -- poll -----------------------------------------------------------------------------------------


def test_a_waiting_job_tells_its_position(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOB, answer_json(job("queued", queue_position=3)))
    state = v2.poll(TASK)
    assert (state.status, state.queue) == (Status.QUEUED, (3, None))


def test_a_running_job_tells_its_progress_and_its_node(server: Scripted, v2: V2Dialect) -> None:
    progress = {
        "value": 0.42,
        "nodes_done": 11,
        "nodes_total": 31,
        "current_node": "12",
        "current_node_class": "KSampler",
        "step": 21,
        "steps": 50,
        "message": "KSampler 21/50",
    }
    server.on(JOB, answer_json(job("running", progress=progress, outputs=[output()])))
    state = v2.poll(TASK)
    assert (state.status, state.progress, state.node) == (Status.RUNNING, 0.42, "KSampler")
    assert state.node_progress == pytest.approx(0.42)
    assert state.outputs == ()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", Status.QUEUED),
        ("running", Status.RUNNING),
        ("canceling", Status.RUNNING),
        ("canceled", Status.CANCELLED),
        ("failed", Status.FAILED),
    ],
)
def test_every_word_has_its_meaning(
    server: Scripted, v2: V2Dialect, word: str, status: Status
) -> None:
    server.on(JOB, answer_json(job(word)))
    state = v2.poll(TASK)
    assert (state.status, state.word, state.known) == (status, word, True)


def test_a_word_of_no_document_is_left_as_it_is(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOB, answer_json(job("thinking")))
    state = v2.poll(TASK)
    assert (state.status, state.word, state.known) == (Status.RUNNING, "thinking", False)
    assert "thinking" in state.answer


def test_a_job_that_succeeded_names_its_outputs_by_node(server: Scripted, v2: V2Dialect) -> None:
    server.on("/api/v2/assets/W0RDS/content", Answer(body=b"a fox"))
    outputs = [
        output(),
        output("https://storage.example/film.mp4?sig=a%2Bb", type="video", node_id="10"),
        output("/api/v2/assets/W0RDS/content", type="text", node_id="11"),
        {"node_id": "12", "type": "text", "text": "said at once", "url": None},
        output("/api/v2/assets/L4TENT/content", type="latent", node_id="13"),
    ]
    metrics = {"queue_ms": 9000, "execution_ms": 42100}
    server.on(JOB, answer_json(job("succeeded", outputs=outputs, metrics=metrics)))
    state = v2.poll(TASK)
    assert state.outputs == (
        Output(url=f"{server.url}/api/v2/assets/T0KEN/content", node_id="9"),
        Output(url="https://storage.example/film.mp4?sig=a%2Bb", node_id="10"),
        Output(text="a fox", node_id="11"),
        Output(text="said at once", node_id="12"),
        Output(url=f"{server.url}/api/v2/assets/L4TENT/content", node_id="13"),
    )
    assert state.details == (("queued", "9.0 s"), ("ran", "42.1 s"))
    assert state.progress == 1.0


def test_a_text_kept_elsewhere_is_a_file_like_any_other_and_gets_no_key(
    server: Scripted, elsewhere: Scripted, v2: V2Dialect
) -> None:
    moved = "/api/v2/assets/W0RDS/content"
    server.on(moved, redirect(f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/words"))
    entries = [output(moved, type="text"), output(f"{elsewhere.url}/words", type="text")]
    server.on(JOB, answer_json(job("succeeded", outputs=entries)))
    assert [each.url for each in v2.poll(TASK).outputs] == [
        server.url + moved,
        f"{elsewhere.url}/words",
    ]
    assert elsewhere.seen == []


def test_an_address_that_has_ended_is_asked_for_anew(server: Scripted, v2: V2Dialect) -> None:
    entry = output("https://storage.example/old.png", url_expires_at="2020-01-01T00:00:00Z")
    server.on(JOB, answer_json(job("succeeded", outputs=[entry])))
    server.on(f"{ASSETS}/{ASSET_ID}", answer_json(asset(url="https://storage.example/new.png")))
    assert [each.url for each in v2.poll(TASK).outputs] == ["https://storage.example/new.png"]


def test_a_host_relative_address_begins_at_the_host(server: Scripted) -> None:
    v2 = V2Dialect(Http("ComfyUI", f"{server.url}/deployment/fox", {}))
    url = "/deployment/fox/api/v2/assets/T0KEN/content"
    server.on(f"/deployment/fox{JOB}", answer_json(job("succeeded", outputs=[output(url)])))
    assert [each.url for each in v2.poll(TASK).outputs] == [server.url + url]


def test_a_failed_job_tells_the_node_and_its_words(server: Scripted, v2: V2Dialect) -> None:
    failure = {
        "code": "node_execution_error",
        "message": "CUDA out of memory",
        "node_id": "12",
        "class_type": "KSampler",
        "traceback": "...",
    }
    server.on(JOB, answer_json(job("failed", error=failure)))
    assert v2.poll(TASK).message == "node 12 (KSampler): CUDA out of memory"


def test_results_that_the_server_has_deleted_are_told(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOB, answer_json(job("expired", expires_at="2020-01-01T00:00:00Z")))
    state = v2.poll(TASK)
    assert state.status is Status.FAILED
    assert "deleted its results" in state.message


def test_a_job_that_expired_before_its_time_was_lost_in_a_restart(
    server: Scripted, v2: V2Dialect
) -> None:
    server.on(JOB, answer_json(job("expired", expires_at="2126-01-01T00:00:00Z")))
    with pytest.raises(NotFound, match="restarted") as caught:
        v2.poll(TASK)
    assert caught.value.own_form


def test_a_job_that_was_on_its_way_from_queue_to_history_is_looked_at_again(
    server: Scripted, v2: V2Dialect
) -> None:
    gone = answer_json(job("expired", expires_at="2126-01-01T00:00:00Z"))
    server.on(JOB, gone, answer_json(job("succeeded", outputs=[output()])))
    assert v2.poll(TASK).status is Status.SUCCEEDED


def test_a_job_that_was_taken_out_of_the_queue_is_cancelled_also_where_it_is_not_remembered(
    server: Scripted, v2: V2Dialect
) -> None:
    gone = answer_json(job("expired", expires_at="2126-01-01T00:00:00Z"))
    server.on(JOB, gone)
    server.on(f"{JOB}/cancel", gone)
    assert v2.cancel(TASK)
    assert v2.poll(TASK).status is Status.CANCELLED


@pytest.mark.parametrize("answer", [answer_json([]), answer_json({"message": "no Route"})])
def test_a_gateways_json_is_no_answer_about_a_job(
    server: Scripted, v2: V2Dialect, answer: Answer
) -> None:
    server.on(JOB, answer)
    with pytest.raises(BadResult):
        v2.poll(TASK)


def test_a_job_that_is_not_known_is_not_found(server: Scripted, v2: V2Dialect) -> None:
    server.on(JOB, error("not_found", 404))
    with pytest.raises(NotFound) as caught:
        v2.poll(TASK)
    assert caught.value.own_form


# -- links and cancelling -------------------------------------------------------------------------


def test_links_of_the_server_itself_are_followed(server: Scripted, v2: V2Dialect) -> None:
    urls = {"self": f"/v9/{ID}", "cancel": f"{server.url}/v9/{ID}/cancel"}
    server.on(JOBS, answer_json(job("queued", urls=urls), 201))
    server.on(f"/v9/{ID}", answer_json(job("running", urls=urls)))
    server.on(f"/v9/{ID}/cancel", answer_json(job("canceling", urls=urls)))
    task_id = v2.submit(WORKFLOW, ORDER)
    assert task_id == ID
    assert v2.poll(TASK).status is Status.RUNNING
    assert v2.cancel(TASK)


def test_links_to_another_host_are_not_followed(
    server: Scripted, elsewhere: Scripted, v2: V2Dialect
) -> None:
    urls = {"self": elsewhere.url + JOB, "cancel": f"{elsewhere.url}{JOB}/cancel"}
    server.on(JOB, answer_json(job("running", urls=urls)))
    server.on(f"{JOB}/cancel", answer_json(job("canceling", urls=urls)))
    assert [v2.poll(TASK).status, v2.poll(TASK).status] == [Status.RUNNING, Status.RUNNING]
    assert v2.cancel(TASK)
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("answer", "is_stopped"),
    [
        (answer_json(job("canceling")), True),
        (answer_json(job("canceled")), True),
        (answer_json(job("succeeded")), False),
        (answer_json(job("failed")), False),
        (error("not_found", 404), False),
    ],
)
def test_cancelling_says_whether_it_stops_the_job(
    server: Scripted, v2: V2Dialect, answer: Answer, is_stopped: bool
) -> None:
    server.on(f"{JOB}/cancel", answer)
    assert v2.cancel(TASK) is is_stopped
    assert [seen.method for seen in server.seen] == ["POST"]


# -- the server -----------------------------------------------------------------------------------


def test_the_queue_counts_what_waits_and_runs_and_what_is_ahead(
    server: Scripted, v2: V2Dialect
) -> None:
    jobs = [job("queued", queue_position=5), job("running"), job("succeeded"), job("canceled")]
    server.on(JOBS, answer_json({"jobs": jobs}), answer_json({"jobs": jobs[1:]}))
    assert [v2.queue_length(), v2.queue_length()] == [5, 1]
    assert v2.about().queue == 1


def test_node_classes_are_told_by_the_native_route_where_a_server_has_it(
    server: Scripted, v2: V2Dialect
) -> None:
    classes = {"A": {"input": {"required": {}}}}
    server.on("/api/object_info", answer_json(classes), error("not_found", 404), Answer(200))
    assert [v2.object_info() for _ in range(3)] == [classes, None, None]
    asked = server.asked("/api/object_info")[0].headers
    assert (asked["x-api-key"], asked["authorization"]) == (KEY, f"Bearer {KEY}")


STATS = {"system": {"comfyui_version": "0.33.0"}, "devices": []}


def test_a_plain_comfyui_speaks_native_and_is_asked_only_once(server: Scripted, http: Http) -> None:
    server.on("/api/system_stats", answer_json(STATS))
    assert [_detect.interface_at(http), _detect.interface_at(http)] == ["native", "native"]
    assert server.counts == {JOBS: 1, "/api/system_stats": 1}


@pytest.mark.parametrize(
    "answer", [answer_json({"jobs": []}), error("unauthorized", 401), error("internal", 500)]
)
def test_a_server_that_answers_as_v2_speaks_v2(
    server: Scripted, http: Http, answer: Answer
) -> None:
    server.on(JOBS, answer)
    server.on("/api/system_stats", answer_json(STATS))
    assert _detect.interface_at(http) == "v2"


def test_a_queue_is_sign_enough_where_a_proxy_hides_the_machine(
    server: Scripted, http: Http
) -> None:
    server.on("*", answer_page("<title>App</title>", 403))
    server.on("/api/queue", answer_json({"queue_running": [], "queue_pending": []}))
    assert _detect.interface_at(http) == "native"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (answer_page("<h1>Please log in</h1>"), InvalidInput, "login page"),
        (answer_page("<h1>Welcome to nginx!</h1>"), InvalidInput, "Welcome to nginx"),
        (answer_page("Not Found", 404), InvalidInput, "Check host, port and path"),
        (answer_json({"hello": "world"}), InvalidInput, "JSON of another kind"),
        (Answer(body=b"hello"), InvalidInput, "hello"),
        (redirect("https://login.example/"), InvalidInput, "redirects to"),
        (answer_page("Bad Gateway", 502), ServerFault, "Bad Gateway"),
        (answer_page("Who are you?", 401), AuthRejected, "Who are you"),
    ],
)
def test_an_address_without_a_comfyui_says_what_is_there(
    server: Scripted, http: Http, answer: Answer, kind: type[Exception], words: str
) -> None:
    server.on("*", answer)
    with pytest.raises(kind) as caught:
        _detect.interface_at(http)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    server.on("/api/system_stats", answer_json(STATS))
    assert _detect.interface_at(http) == "native", "a failure is not remembered"


def test_an_address_where_nobody_listens_is_no_answer(http: Http, server: Scripted) -> None:
    server.on("*", Answer(drop="after"))
    with pytest.raises(TransportError):
        _detect.interface_at(http)


# -- against the sandbox, from an order to its result ---------------------------------------------


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with start(pace=0.01) as box:
        box.platforms["comfyui"].v2.is_on = True
        yield box


@pytest.fixture(params=["v2", "auto"])
def studio(box: Sandbox, request: pytest.FixtureRequest) -> Comfyui:
    """The sandbox as a person's own server."""
    server = Server("studio", box.base_url("comfyui"), dialect=request.param, header="bearer")
    _servers.add(server, box.key("comfyui"))
    return Comfyui.connected()


@pytest.fixture
def fox(tmp_path: Path) -> MediaFile:
    path = tmp_path / "fox.png"
    Image.new("RGB", (32, 24), "aqua").save(path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return MediaFile(path, "fox.png", "image/png", digest, len(content), 32, 24)


def inverted(fox: MediaFile, seed: int = 0, prefix: str = "fox") -> Request:
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": fox}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": prefix},
        },
    }
    return comfyui.workflow(prompt, "studio", seed=seed)


def color(result: Result) -> Any:
    [file] = result.files
    return Image.open(file.path).convert("RGB").getpixel((0, 0))


def test_an_order_becomes_its_picture(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path
) -> None:
    result = play.result(studio, inverted(fox), tmp_path)
    assert color(result) == (255, 0, 0)
    assert (result.files[0].node_id, box.charges["comfyui"]) == ("9", 1)
    assert not [seen for seen in box.log if seen.path.endswith("/prompt")]


def test_an_upload_that_the_server_has_cleared_is_made_anew_once(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path
) -> None:
    play.result(studio, inverted(fox, seed=1), tmp_path)
    box.clear_uploads()
    assert color(play.result(studio, inverted(fox, seed=2), tmp_path)) == (255, 0, 0)
    statuses = [seen.status for seen in box.log.of("POST", "/jobs")]
    assert statuses == [201, 422, 201]
    assert box.charges["comfyui"] == 2


def test_a_full_queue_is_waited_for(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path
) -> None:
    box.platforms["comfyui"].v2.refusals = ["queue_full", "deployment_not_ready"]
    began = play.loop.time()
    assert color(play.result(studio, inverted(fox), tmp_path)) == (255, 0, 0)
    assert play.loop.time() - began >= 2 * RETRY_AFTER
    assert box.charges["comfyui"] == 1


def test_no_credits_and_a_failing_node_are_told(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path
) -> None:
    box.platforms["comfyui"].v2.refusals = ["insufficient_credits"]
    with pytest.raises(OutOfCredit):
        play.result(studio, inverted(fox), tmp_path)
    with pytest.raises(TaskFailed, match=r"node 9 \(SaveImage\).*no more foxes"):
        play.result(studio, inverted(fox, prefix="[[fail:no more foxes]]"), tmp_path)


@pytest.mark.parametrize("fault", ["cut_after", "page"])
def test_an_order_whose_answer_was_lost_is_paid_for_once(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path, fault: str
) -> None:
    taken = {"taken": True} if fault == "page" else {}
    box.faults.add("POST /api/v2/jobs", fault, **taken)
    assert color(play.result(studio, inverted(fox), tmp_path)) == (255, 0, 0)
    assert box.charges["comfyui"] == 1
    assert len(box.log.of("POST", "/jobs")) == 1


def test_an_order_that_never_arrived_is_sent_again_by_itself(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path
) -> None:
    box.faults.add("POST /api/v2/jobs", "cut_before")
    assert color(play.result(studio, inverted(fox), tmp_path)) == (255, 0, 0)
    assert box.charges["comfyui"] == 1


def test_an_order_of_which_nobody_knows_is_not_sent_under_another_key(
    box: Sandbox, studio: Comfyui, fox: MediaFile, play: Play, tmp_path: Path
) -> None:
    box.platforms["comfyui"].v2.refusals = ["upstream_unreachable"]
    with pytest.raises(OutcomeUnknown):
        play.result(studio, inverted(fox), tmp_path)
    assert box.charges["comfyui"] == 0
    assert {seen.status for seen in box.log.of("POST", "/jobs")} == {503, 422}


@pytest.mark.parametrize(
    ("address", "is_free"),
    [
        ("https://cloud.comfy.org", False),
        ("https://fox.run.comfy.app", False),
        ("https://notcomfy.org", True),
        ("http://192.168.1.20:8188", True),
    ],
)
def test_a_task_that_is_lost_is_sent_again_only_where_nothing_is_charged(
    address: str, is_free: bool
) -> None:
    _servers.add(Server("there", address))
    assert Comfyui.connected().charges_nothing("there") is is_free
    assert Comfyui.connected().charges_nothing("auto") is is_free


def test_a_job_whose_answer_was_cut_is_found_and_never_sent_again(box: Sandbox) -> None:
    key = {"Authorization": f"Bearer {box.key('comfyui')}"}
    url = box.base_url("comfyui")
    workflow = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
        },
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    box.faults.add("POST /api/v2/jobs", "cut_after")
    with pytest.raises(TransportError):
        V2Dialect(Http("ComfyUI", url, key, timeout=PATIENT)).submit(workflow, ORDER)
    box.platforms["comfyui"].v2.page = 1
    for _ in range(3):
        V2Dialect(Http("ComfyUI", url, key, timeout=PATIENT)).submit(workflow, str(uuid.uuid4()))
    later = V2Dialect(Http("ComfyUI", url, key, timeout=PATIENT))
    task_id = later.find(ORDER)
    assert task_id is not None
    assert later.submit(workflow, ORDER) == task_id
    assert box.charges["comfyui"] == 4
