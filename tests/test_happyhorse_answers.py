"""Pins that no picture of HappyHorse is lost unsaid and that its refusals are told in its words."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from _waiting import PATIENT
from contract import KEY, PNG
from scripted import Answer, Scripted, answer_json
from skyport.engine.base.errors import (
    AuthRejected,
    InputRejected,
    OutcomeUnknown,
    OutOfCredit,
    TaskUnresolved,
)
from skyport.engine.base.json_tree import without_signature
from skyport.engine.base.types import Status, Task, TaskState
from skyport.engine.http.client import Http
from skyport.providers import happyhorse
from skyport.providers.happyhorse import HappyHorse
from virtual import Play

DATA = PNG + bytes(2 - len(PNG) % 3) + b"\xff\xfe"  # its base64 has a "/", and "=" at its end
TEXT = base64.b64encode(DATA).decode()
SUBMIT, POLL = "/v1/images/async/generations", "/v1/images/async/t1"
MADE = "https://cdn.example/made.mp4"


@pytest.fixture
def platform(server: Scripted) -> HappyHorse:
    return connected(server.url)


def connected(address: str) -> HappyHorse:
    return HappyHorse(Http("HappyHorse", address, HappyHorse.auth_headers(KEY), timeout=PATIENT))


def pictures(*items: Any) -> Any:
    return {"data": {"status": "success", "data": {"data": list(items)}}}


def state(
    server: Scripted, platform: HappyHorse, answer: Any, route: str = "videos", *sent: str
) -> TaskState:
    server.on("*", answer_json(answer))
    return platform.poll(Task("happyhorse", route, "t1", frozenset(sent)))


def outcome(server: Scripted, answer: Any, tmp_path: Path) -> Any:
    server.on(SUBMIT, answer_json({"task_id": "t1"}))
    server.on(POLL, answer_json(answer))
    server.on("/made.png", Answer(body=PNG))
    with Play() as play:
        request = happyhorse.custom("m", "images/generations", {})
        return play.result(connected(server.url), request, tmp_path)


# -- pictures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"data:image/png;base64,{TEXT}",
        TEXT.rstrip("="),
        TEXT.replace("+", "-").replace("/", "_"),
        "\n".join(TEXT[n : n + 20] for n in range(0, len(TEXT), 20)),
    ],
    ids=["plain", "with its type", "without padding", "safe in a URL", "in lines"],
)
def test_a_picture_inside_an_answer_is_read_however_its_base64_is_written(
    server: Scripted, platform: HappyHorse, text: str
) -> None:
    found = state(server, platform, pictures({"url": "", "b64_json": text}), "images/edits")
    assert [output.data for output in found.outputs] == [DATA]


def test_a_url_may_hold_the_picture_itself(server: Scripted, platform: HappyHorse) -> None:
    answer = pictures({"url": f"data:image/png;base64,{TEXT}"})
    assert state(server, platform, answer, "images/edits").outputs[0].data == DATA


@pytest.mark.parametrize("broken", [{"b64_json": f"{TEXT[:40]}!{TEXT[40:]}"}, {"url": ""}])
def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_kept(
    server: Scripted, tmp_path: Path, broken: Any
) -> None:
    answer = pictures({"b64_json": TEXT}, broken, {"url": f"{server.url}/made.png"})
    result = outcome(server, answer, tmp_path)
    assert [file.size for file in result.files] == [len(DATA), len(PNG)]
    assert [one.number for one in result.missing] == [2]
    assert "Result 2 of 3 is missing" in result.warnings[0]


def test_what_stands_beside_a_result_and_is_none_is_not_missed(
    server: Scripted, platform: HappyHorse
) -> None:
    answer = {"status": "success", "results": [{"url": MADE}, {"seed": 7}, None]}
    found = state(server, platform, answer)
    assert ([one.url for one in found.outputs], found.warnings) == ([MADE], ())


def test_where_no_picture_can_be_read_it_is_said_so(server: Scripted, tmp_path: Path) -> None:
    with pytest.raises(TaskUnresolved, match=r"1 of the results in its answer cannot be read"):
        outcome(server, pictures({"b64_json": "no base64 at all!"}), tmp_path)


# -- results --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("videos", {"status": "success", "video_url": MADE, "media_url": "https://b.example/"}),
        ("videos", {"data": {"output": {"task_status": "success", "media_url": MADE}}}),
        ("videos", {"output": {"task_status": "success", "results": [{"url": MADE}]}}),
        ("videos", {"data": {"status": "success", "data": {"metadata": {"url": MADE}}}}),
    ],
)
def test_a_result_is_read_in_the_documents_order_however_deep_it_lies(
    server: Scripted, platform: HappyHorse, route: str, answer: Any
) -> None:
    found = state(server, platform, answer, route)
    assert (found.status, [one.url for one in found.outputs]) == (Status.SUCCEEDED, [MADE])


def test_a_host_that_tells_files_apart_by_a_query_hides_no_result(
    server: Scripted, platform: HappyHorse
) -> None:
    made, given = "https://h.example/view?id=2", "https://h.example/view?id=1"
    answer = {"status": "success", "video_url": given, "result_url": made}
    assert [one.url for one in state(server, platform, answer, "videos", given).outputs] == [made]


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Signature=1",
        "Expires=1&OSSAccessKeyId=LTAI&Signature=x%2F",
        "q-sign-algorithm=sha1&q-ak=x",
        "auth_key=1-2-3",
        "token=1",
    ],
)
def test_a_signature_is_no_part_of_what_a_url_names(query: str) -> None:
    assert without_signature(f"https://h.example/a.png?{query}") == "https://h.example/a.png"
    assert without_signature("https://h.example/view?name=a.png&type=b") == (
        "https://h.example/view?name=a.png&type=b"
    )


# -- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ({"data": {"fail_reason": "no such size"}}, InputRejected, "no such size"),
        ({"output": {"task_status": "failed", "fail_reason": "no size"}}, InputRejected, "no size"),
        ({"status": "FAILURE", "message": "no such size"}, InputRejected, "no such size"),
        ({"code": 401, "message": "who are you"}, AuthRejected, "who are you"),
        ({"code": 1, "message": "insufficient balance", "data": None}, OutOfCredit, "balance"),
        ({"message": "insufficient balance", "data": None}, OutcomeUnknown, "balance"),
        ({"error": {"code": "bad_size"}}, InputRejected, "bad_size"),
        ({"message": "look at your page"}, OutcomeUnknown, "look at your page"),
        ({"message": "success", "data": {}}, OutcomeUnknown, "no task id"),
    ],
)
def test_a_submit_without_a_task_tells_what_the_platform_said(
    server: Scripted, platform: HappyHorse, answer: Any, kind: type[Exception], words: str
) -> None:
    server.on("*", answer_json(answer))
    with pytest.raises(kind, match=words):
        platform.submit(happyhorse.custom("m", "images/generations", {}))


def test_a_poll_that_is_answered_with_words_alone_is_told_with_them(
    server: Scripted, tmp_path: Path
) -> None:
    with pytest.raises(TaskUnresolved, match="no such task"):
        outcome(server, {"error": {"message": "no such task"}}, tmp_path)


# -- where it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
@pytest.mark.parametrize("path", ["", "/proxy"])
def test_an_address_may_end_with_the_version_that_every_path_begins_with(
    server: Scripted, path: str, end: str
) -> None:
    server.on("*", answer_json({"id": "t1"}))
    platform = connected(f"{server.url}{path}{end}")
    platform.submit(happyhorse.custom("m", "videos", {}))
    platform.poll(Task("happyhorse", "videos", "t1"))
    paths = [one.target for one in server.seen]
    assert paths == [f"{path}/v1/videos", f"{path}/v1/videos/t1"]
