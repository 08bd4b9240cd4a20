"""Pins how answers are read: by the document first, then as real platforms and gateways spell them.

Every spelling is read on every platform and endpoint; a table says which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from scripted import Answer, Scripted, answer_json, answer_page
from skyport.engine.base.errors import (
    ApiError,
    BadResult,
    InputRejected,
    NotFound,
    OutcomeUnknown,
    SkyportError,
)
from skyport.engine.base.types import Output, Request, Status, Task, TaskState
from skyport.engine.http.client import Http
from skyport.engine.http.retry import may_be_accepted, should_repeat
from skyport.engine.platforms.provider import Provider
from skyport.providers import names, provider_class
from skyport.providers.gpugeek import WORKFLOW as GPUGEEK
from skyport.providers.haiyi import APP, GENERATE
from skyport.providers.haiyi import WORKFLOW as HAIYI_WORKFLOW
from skyport.providers.happyhorse import ROUTES
from skyport.providers.opencomputing import IMAGES, VIDEOS

BASE = "http://127.0.0.1:1"  # stands for the server's address


@dataclass(frozen=True)
class Endpoint:
    """Where tasks of one kind are sent, and how its document wraps what an answer says."""

    platform: str
    name: str
    wrap: Callable[[dict[str, Any]], Any] = lambda said: said
    words: tuple[Any, Any, Any] = ("running", "success", "failed")
    payload: Any = None

    def __str__(self) -> str:
        return f"{self.platform} {self.name}"

    @property
    def running(self) -> Any:
        return self.words[0]

    @property
    def success(self) -> Any:
        return self.words[1]

    @property
    def failure(self) -> Any:
        return self.words[2]


def enveloped(said: dict[str, Any]) -> Any:
    return {"code": 0, "msg": "success", "data": said}


def traced(said: dict[str, Any]) -> Any:
    return {"code": 0, "message": "success", "traceid": "t", "data": said}


OC = ("RUNNING", "SUCCEEDED", "FAILED")
ENDPOINTS = [
    Endpoint("haiyi", GENERATE),
    Endpoint("haiyi", APP, enveloped),
    Endpoint("haiyi", HAIYI_WORKFLOW, enveloped),
    Endpoint("gpugeek", GPUGEEK, traced, (2, 3, 4)),
    Endpoint("opencomputing", IMAGES, words=OC, payload={"catelogid": "t2i"}),
    Endpoint("opencomputing", VIDEOS, words=OC, payload={"catelogid": "t2v"}),
    *(
        Endpoint("happyhorse", route, lambda said: {"data": said})
        if ROUTES[route].home == "data"
        else Endpoint("happyhorse", route)
        for route in ROUTES
    ),
]
each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)


_SERVERS: list[Scripted] = []


@pytest.fixture(scope="module", autouse=True)
def one_server() -> Iterator[None]:
    """One server for all rows of the tables: there are many."""
    with Scripted() as server:
        _SERVERS.append(server)
        yield
    _SERVERS.pop()


def provider(endpoint: Endpoint, base_url: str = "http://127.0.0.1:1") -> Provider:
    kind = provider_class(endpoint.platform)
    return kind(Http(kind.label, base_url, kind.auth_headers("k-123456789")))


def read(endpoint: Endpoint, body: Any, sent: frozenset[str] = frozenset()) -> TaskState:
    """The state that the answer `body` to a poll describes, as the platform's `poll` reads it."""
    server = _SERVERS[-1]
    server.on("*", answer_json(body))
    task = Task(endpoint.platform, endpoint.name, "7", sent)
    state = provider(endpoint, server.url).poll(task)
    places = [output.url.replace(server.url, BASE) for output in state.outputs]
    outputs = [Output(url, o.data, o.text) for url, o in zip(places, state.outputs, strict=True)]
    return TaskState(**{**vars(state), "outputs": tuple(outputs)})


def poll_error(endpoint: Endpoint, answer: Answer) -> SkyportError:
    server = _SERVERS[-1]
    server.on("*", answer)
    with pytest.raises(SkyportError) as caught:
        provider(endpoint, server.url).poll(Task(endpoint.platform, endpoint.name, "7"))
    return caught.value


def submit(endpoint: Endpoint, answer: Answer) -> Any:
    """The id that a submit brings, or its error."""
    server = _SERVERS[-1]
    server.on("*", answer)
    request = Request(endpoint.platform, endpoint.name, endpoint.payload or {})
    try:
        return provider(endpoint, server.url).submit(request)
    except SkyportError as error:
        return error


# -- addresses ----------------------------------------------------------------------------------

SPELLINGS = {
    "relative": ("/files/a.mp4?x=1", f"{BASE}/files/a.mp4?x=1"),
    "without scheme": ("//cdn.example/a.mp4", "http://cdn.example/a.mp4"),
    "capitals": ("HTTPS://cdn.example/A.mp4", "https://cdn.example/A.mp4"),
    "padded": ("  https://cdn.example/a.mp4\n", "https://cdn.example/a.mp4"),
    "a space": ("https://cdn.example/my film.mp4", "https://cdn.example/my%20film.mp4"),
    "Chinese": (
        "https://cdn.example/\u5f71\u7247.mp4",
        "https://cdn.example/%E5%BD%B1%E7%89%87.mp4",
    ),
    "encoded": ("https://cdn.example/a%2Fb.mp4?s=%3D", "https://cdn.example/a%2Fb.mp4?s=%3D"),
}
FILM = "https://cdn.example/a.mp4"
PLACES = {
    "url": {"url": FILM},
    "content": {"content": {"video_url": FILM}},
    "images": {"images": [{"url": FILM}]},
    "videos": {"videos": [{"url": FILM}]},
    "outputs": {"outputs": [FILM]},
    "data": {"data": [{"url": FILM}]},
    "result": {"result": {"deeper": {"video_url": FILM}}},
    "object": {"results": {"url": FILM}},
    "text": {"result": json.dumps({"video_url": FILM})},
    "list text": {"output": json.dumps([FILM])},
    "twice": {"url": FILM, "video_url": FILM, "videos": [FILM]},
    "new signature": {"url": f"{FILM}?Signature=1", "video_url": f"{FILM}?Signature=2"},
}


@each_endpoint
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_address_is_read_however_it_is_spelled(endpoint: Endpoint, spelling: str) -> None:
    text, url = SPELLINGS[spelling]
    state = read(endpoint, endpoint.wrap({"status": endpoint.success, "video_url": text}))
    assert [output.url for output in state.outputs] == [url]


@each_endpoint
@pytest.mark.parametrize("place", PLACES)
def test_a_result_is_found_wherever_it_stands(endpoint: Endpoint, place: str) -> None:
    said = {"status": endpoint.success, **PLACES[place]}
    if "video" not in place and endpoint.name == VIDEOS and "images" in said:
        pytest.skip("on this endpoint a picture is the cover")
    state = read(endpoint, endpoint.wrap(said))
    assert state.status is Status.SUCCEEDED
    assert [output.url.partition("?")[0] for output in state.outputs] == [FILM]


@each_endpoint
def test_a_result_inside_the_answer_is_read(endpoint: Endpoint) -> None:
    said = {"status": endpoint.success, "url": "data:image/png;base64,iVBORw0KGgo="}
    state = read(endpoint, endpoint.wrap(said))
    assert [output.data for output in state.outputs] == [b"\x89PNG\r\n\x1a\n"]


@each_endpoint
def test_what_the_request_sent_is_no_result(endpoint: Endpoint) -> None:
    said = {
        "status": endpoint.success,
        "input": {"image_url": "https://files.example/other.png"},
        "image_url": "https://files.example/sent.png?Signature=new",
        "cover_url": "https://files.example/cover.png",
        "video_url": FILM,
    }
    state = read(endpoint, endpoint.wrap(said), frozenset({"https://files.example/sent.png"}))
    assert [output.url for output in state.outputs] == [FILM]


@each_endpoint
def test_two_results_that_differ_in_their_query_are_two(endpoint: Endpoint) -> None:
    urls = [f"https://cdn.example/view?filename={name}&sig=1" for name in ("a.mp4", "b.mp4")]
    state = read(endpoint, endpoint.wrap({"status": endpoint.success, "videos": urls}))
    assert [output.url for output in state.outputs] == urls


# -- words --------------------------------------------------------------------------------------

WORDS = {
    Status.QUEUED: ("pending", "Queued", "CREATED", "submitted"),
    Status.RUNNING: ("running", "PROCESSING", "in_progress", "In Progress", "generating"),
    Status.SUCCEEDED: ("success", "succeed", "Succeeded", "COMPLETED", "done", "finished"),
    Status.FAILED: ("fail", "FAILED", "failure", "expired"),
    Status.CANCELLED: ("cancelled", "Canceled"),
}


@each_endpoint
@pytest.mark.parametrize(
    ("word", "status"), [(word, status) for status, words in WORDS.items() for word in words]
)
def test_every_platform_reads_the_words_of_one_table(
    endpoint: Endpoint, word: str, status: Status
) -> None:
    state = read(endpoint, endpoint.wrap({"status": word, "video_url": FILM}))
    assert (state.status, state.known) == (status, True)
    assert bool(state.outputs) == (status is Status.SUCCEEDED)


@each_endpoint
def test_a_strange_word_is_shown_and_runs(endpoint: Endpoint) -> None:
    state = read(endpoint, endpoint.wrap({"status": "UNKNOWN"}))
    assert (state.status, state.word, state.known) == (Status.RUNNING, "UNKNOWN", False)


@each_endpoint
def test_the_answer_is_kept_where_it_may_be_the_last_one(endpoint: Endpoint) -> None:
    kept = ("UNKNOWN", endpoint.success, endpoint.failure, endpoint.running)
    answers = [read(endpoint, endpoint.wrap({"status": word})).answer for word in kept]
    assert [bool(answer) for answer in answers] == [True, True, True, False]
    assert '"UNKNOWN"' in answers[0]


@each_endpoint
def test_a_strange_word_beside_a_result_has_succeeded(endpoint: Endpoint) -> None:
    state = read(endpoint, endpoint.wrap({"status": "Ready", "video_url": FILM}))
    assert (state.status, state.outputs[0].url) == (Status.SUCCEEDED, FILM)


@each_endpoint
def test_the_success_of_an_envelope_is_not_that_of_the_task(endpoint: Endpoint) -> None:
    inner = {"status": endpoint.running}
    state = read(endpoint, {"code": 0, "message": "", "status": "success", "data": inner})
    assert state.status is Status.RUNNING


# -- reasons and progress -----------------------------------------------------------------------

REASONS = {
    "error_message": {"error_message": "too dark"},
    "failure_reason": {"failure_reason": "too dark"},
    "detail": {"detail": "too dark"},
    "fail_msg": {"fail_msg": "too dark"},
    "fail_reason": {"fail_reason": "too dark"},
    "error": {"error": {"message": "too dark", "type": "x"}},
    "Python": {"error": "{'error': {'code': 'Bad', 'message': 'too dark'}}"},
    "list": {"detail": [{"loc": ["body"], "msg": "too dark"}]},
}


@each_endpoint
@pytest.mark.parametrize("key", REASONS)
def test_a_reason_is_read_however_it_is_called(endpoint: Endpoint, key: str) -> None:
    state = read(endpoint, endpoint.wrap({"status": endpoint.failure, **REASONS[key]}))
    assert state.status is Status.FAILED
    assert "too dark" in state.message
    assert "{" not in state.message


@each_endpoint
def test_all_reasons_are_given_with_their_code(endpoint: Endpoint) -> None:
    said = {"fail_reason": "refused", "error": {"message": "too dark"}, "err_code": "E77"}
    state = read(endpoint, endpoint.wrap({"status": endpoint.failure, **said}))
    assert all(words in state.message for words in ("refused", "too dark", "E77"))


@each_endpoint
@pytest.mark.parametrize("value", ["45%", 0.45, "0.45", 45, "45", {"percent": 45}])
def test_progress_is_read_however_it_is_given(endpoint: Endpoint, value: Any) -> None:
    state = read(endpoint, endpoint.wrap({"status": endpoint.running, "progress": value}))
    assert state.progress == pytest.approx(0.45)


@each_endpoint
def test_half_a_character_in_an_answer_is_replaced(endpoint: Endpoint) -> None:
    body = endpoint.wrap({"status": endpoint.failure, "error_message": "half \ud83d of it"})
    assert "half \ufffd of it" in read(endpoint, body).message


# -- ids ----------------------------------------------------------------------------------------

IDS = {
    "as documented": {"task_id": "t-3"},
    "camel": {"taskId": "t-3"},
    "plain": {"taskid": "t-3"},
    "prompt": {"prompt_id": "t-3"},
    "nested": {"data": {"task": {"task_id": "t-3"}}},
    "in a list": {"data": [{"task_id": "t-3"}]},
    "ok": {"status": "ok", "data": {"taskid": "t-3"}},
    "text code": {"code": "success", "data": {"task_id": "t-3"}},
    "code 200": {"code": 200, "message": "ok", "data": {"prompt_id": "t-3"}},
    "error code": {"code": 500, "msg": "busy", "message": "busy", "data": {"task_id": "t-3"}},
    "id": {"code": 0, "message": "", "data": {"id": "t-3"}},
    "only data": {"code": 0, "message": "", "data": "t-3"},
    "JSON in text": {"code": 0, "message": "", "data": '{"task_id": "t-3"}'},
    "beside an error": {"error": "slow", "task_id": "t-3"},
    "beside numbers as keys": {"message": "{1: 'ok'}", "data": {"x": "{2: 1}", "taskid": "t-3"}},
}


@each_endpoint
@pytest.mark.parametrize("name", IDS)
def test_a_task_id_in_the_answer_wins_over_any_code(endpoint: Endpoint, name: str) -> None:
    assert submit(endpoint, answer_json(IDS[name])) == "t-3"


@pytest.mark.parametrize("route", [name for name, one in ROUTES.items() if one.home != "data"])
def test_a_documented_id_in_the_data_beside_a_code_is_the_tasks(route: str) -> None:
    body = {"code": 1, "message": "busy, queued", "data": {"id": "t-3"}}
    assert submit(Endpoint("happyhorse", route), answer_json(body)) == "t-3"


@each_endpoint
def test_a_task_id_in_an_error_answer_counts(endpoint: Endpoint) -> None:
    body = {"code": 500, "msg": "slow", "message": "slow", "data": {"task_id": "t-3"}}
    assert submit(endpoint, answer_json(body, 500)) == "t-3"


@each_endpoint
@pytest.mark.parametrize(("given", "text"), [(763289064770885, "763289064770885"), (3.0, "3")])
def test_an_id_may_be_a_number(endpoint: Endpoint, given: Any, text: str) -> None:
    assert submit(endpoint, answer_json({"code": 0, "data": {"task_id": given}})) == text


@each_endpoint
def test_the_id_of_an_error_or_of_a_request_is_no_task_id(endpoint: Endpoint) -> None:
    body = {"code": 400, "message": "bad", "msg": "bad", "error": {"id": "req-1"}, "id": "req-1"}
    error = submit(endpoint, answer_json(body, 400))
    assert isinstance(error, InputRejected)
    assert not may_be_accepted(error)


@each_endpoint
def test_an_answer_at_once_is_the_result(endpoint: Endpoint) -> None:
    state = submit(endpoint, answer_json(endpoint.wrap({"status": "succeeded", "video_url": FILM})))
    assert isinstance(state, TaskState)
    assert [output.url for output in state.outputs] == [FILM]


@each_endpoint
def test_an_answer_at_once_keeps_the_id_beside_it(endpoint: Endpoint) -> None:
    said = {"status": "succeeded", "task_id": "vendor-7", "video_url": FILM}
    state = submit(endpoint, answer_json(endpoint.wrap(said)))
    assert isinstance(state, TaskState)
    assert (state.task_id, state.outputs[0].url) == ("vendor-7", FILM)


# -- what proves that a submit was refused ------------------------------------------------------

FORMS: dict[str, Callable[[str], Any]] = {
    "haiyi": lambda words: {"code": 1003, "msg": words, "data": None},
    "gpugeek": lambda words: {"code": 20404, "message": words, "traceid": "t", "data": None},
    "opencomputing": lambda words: {"error": words},
    "happyhorse": lambda words: {"error": {"message": words, "type": "invalid"}},
    "comfyui": lambda words: {"error": {"type": "x", "message": words}, "node_errors": {}},
}
OWN_SERVER = Endpoint("comfyui", "auto", payload={"prompt": {}})
each_platform = pytest.mark.parametrize(
    "endpoint",
    [next(e for e in [*ENDPOINTS, OWN_SERVER] if e.platform == name) for name in FORMS],
    ids=str,
)


def test_every_platform_is_in_the_table() -> None:
    assert set(FORMS) == set(names())


@each_platform
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 422, 429, 503])
def test_a_refusal_in_its_own_form_is_believed(endpoint: Endpoint, status: int) -> None:
    error = submit(endpoint, answer_json(FORMS[endpoint.platform]("no"), status))
    assert isinstance(error, ApiError)
    assert error.own_form
    assert not may_be_accepted(error)


# Whatever its first fields say, no platform nests so, and not all of it is read.
DEEP = b'{"code": 9, "message": "no", "msg": "no", "error": "no", "data": %s}' % (
    b"[" * 5000 + b"]" * 5000
)
OTHERS = {
    "page": lambda status: answer_page("<html>Bad gateway</html>", status),
    "text": lambda status: Answer(status, b"upstream error", (("Content-Type", "text/plain"),)),
    "empty": lambda status: Answer(status),
    "half": lambda status: Answer(
        status, b'{"code": 0, "da', (("Content-Type", "application/json"),)
    ),
    "another JSON": lambda status: answer_json({"message": "no Route matched"}, status),
    "a server's JSON": lambda status: answer_json(
        {"timestamp": "now", "status": status, "error": "Busy", "path": "/x"}, status
    ),
    "deep JSON": lambda status: Answer(status, DEEP, (("Content-Type", "application/json"),)),
    "null": lambda status: answer_json(None, status),
    "a list": lambda status: answer_json([], status),
}


@each_platform
@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize(
    "status", [200, 400, 404, 405, 408, 409, 410, 422, 429, 500, 502, 503, 504]
)
def test_what_is_not_its_own_form_proves_nothing(
    endpoint: Endpoint, form: str, status: int
) -> None:
    error = submit(endpoint, OTHERS[form](status))
    assert isinstance(error, SkyportError)
    assert may_be_accepted(error, address_known=True)


@pytest.mark.parametrize(
    "endpoint", [e for e in ENDPOINTS if e.platform in ("haiyi", "happyhorse")], ids=str
)
def test_an_error_worded_by_its_status_alone_is_a_gateways(endpoint: Endpoint) -> None:
    """Of a platform whose document shows no errors; where it does, the document decides."""
    error = submit(endpoint, answer_json({"error": "Service Unavailable"}, 503))
    assert may_be_accepted(error)
    assert not should_repeat(error, submit=True)


@each_platform
@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("status", [401, 403, 407, 411, 413, 414, 431])
def test_what_is_refused_before_it_is_let_through_was_not_accepted(
    endpoint: Endpoint, form: str, status: int
) -> None:
    assert not may_be_accepted(submit(endpoint, OTHERS[form](status)))


@each_platform
@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_page_that_knows_no_such_address_is_believed_of_an_unknown_one(
    endpoint: Endpoint, status: int
) -> None:
    error = submit(endpoint, answer_page("not here", status))
    is_looked_up = provider_class(endpoint.platform).can_look_up()  # then nothing is only believed
    assert may_be_accepted(error, address_known=False) == is_looked_up
    assert may_be_accepted(error, address_known=True)


@each_platform
@pytest.mark.parametrize("status", [500, 502, 504, 408])
def test_a_fault_of_the_platform_itself_proves_nothing(endpoint: Endpoint, status: int) -> None:
    error = submit(endpoint, answer_json(FORMS[endpoint.platform]("crashed"), status))
    assert may_be_accepted(error)


@each_platform
def test_an_answer_without_an_id_and_without_an_error_is_an_unknown_outcome(
    endpoint: Endpoint,
) -> None:
    assert isinstance(
        submit(endpoint, answer_json(endpoint.wrap({"status": "ok"}))), OutcomeUnknown
    )


# -- polls that say nothing about the task ------------------------------------------------------


@each_platform
@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("status", [200, 404, 410, 502])
def test_a_poll_answered_by_somebody_else_says_nothing(
    endpoint: Endpoint, form: str, status: int
) -> None:
    error = poll_error(endpoint, OTHERS[form](status))
    assert not getattr(error, "own_form", False)


@each_platform
def test_no_such_task_in_its_own_form_is_told_apart_from_a_page(endpoint: Endpoint) -> None:
    body = FORMS[endpoint.platform]("the task does not exist")
    for status in (200, 404):
        error = poll_error(endpoint, answer_json(body, status))
        assert isinstance(error, NotFound)
        assert error.own_form


@each_platform
def test_an_error_that_says_nothing_about_the_task_is_no_state(endpoint: Endpoint) -> None:
    error = poll_error(endpoint, answer_json(FORMS[endpoint.platform]("system busy")))
    assert isinstance(error, ApiError)
    assert not isinstance(error, NotFound)


# -- OpenComputing's other form -----------------------------------------------------------------


def test_the_envelope_of_the_public_server_is_read_too() -> None:
    endpoint = next(e for e in ENDPOINTS if e.name == VIDEOS)
    said = {"status": "SUCCEEDED", "video": FILM, "usage": {"credits": 3, "total_tokens": 12}}
    state = read(endpoint, {"status": "ok", "data": said})
    assert (state.outputs[0].url, state.cost) == (FILM, 3.0)
    assert ("total_tokens", "12") in state.details
    busy = {"status": "error", "data": {"message": "system busy"}}
    assert "system busy" in str(poll_error(endpoint, answer_json(busy)))


@pytest.mark.parametrize(
    "words",
    [
        "image file does not exist",
        "Task failed: model not found",
        "the task has an unknown parameter",
        "unknown task type",
        "job stopped, source not found",
    ],
)
def test_a_failure_for_want_of_something_else_is_a_failure(words: str) -> None:
    endpoint = next(e for e in ENDPOINTS if e.name == VIDEOS)
    assert read(endpoint, {"status": "FAILED", "error": words}).status is Status.FAILED


@pytest.mark.parametrize(
    "words",
    [
        "taskid=7 not exist",
        "Task oc-000001 does not exist.",
        "task 'abc-1' not found",
        "No such task",
        "task with id 7 was not found",
        "unknown task id",
        "\u4efb\u52a1 7 \u4e0d\u5b58\u5728",
        "prompt_id 763289064770885 not found",
    ],
)
def test_a_failure_that_says_the_task_does_not_exist_is_no_failure(words: str) -> None:
    endpoint = next(e for e in ENDPOINTS if e.name == VIDEOS)
    error = poll_error(endpoint, answer_json({"status": "FAILED", "error": words}))
    assert isinstance(error, NotFound)


@each_endpoint
@pytest.mark.parametrize(
    "said",
    [
        {"status": "error", "message": "Too many requests, try again later"},
        {"status": "error", "code": 502, "message": "Bad Gateway"},
        {"status": "fail", "code": 429, "message": "slow down"},
        {"status": "expired", "message": "token expired"},
    ],
    ids=lambda said: said["message"],
)
def test_an_error_about_the_poll_is_no_failure_of_the_task(
    endpoint: Endpoint, said: dict[str, Any]
) -> None:
    assert isinstance(poll_error(endpoint, answer_json(said)), (ApiError, BadResult))


@each_endpoint
@pytest.mark.parametrize("words", ["the picture is not allowed", "Too many requests"])
def test_an_error_of_the_task_is_its_failure(endpoint: Endpoint, words: str) -> None:
    said = {"status": endpoint.failure, "task_id": "7", "error_message": words}
    assert read(endpoint, endpoint.wrap(said)).status is Status.FAILED


@each_platform
@pytest.mark.parametrize("words", ["billing service timed out", "the task is overdue"])
@pytest.mark.parametrize("status", [408, 500, 504])
def test_words_that_are_not_of_the_persons_money_prove_no_refusal(
    endpoint: Endpoint, words: str, status: int
) -> None:
    assert may_be_accepted(submit(endpoint, answer_json(FORMS[endpoint.platform](words), status)))


def test_a_deep_answer_is_no_answer() -> None:
    deep = b'{"data":' * 200_000 + b"1" + b"}" * 200_000
    answer = Answer(body=deep, headers=(("Content-Type", "application/json"),))
    assert isinstance(poll_error(ENDPOINTS[0], answer), SkyportError)
    assert may_be_accepted(submit(ENDPOINTS[0], answer))
    assert not isinstance(BadResult("x"), ApiError)
