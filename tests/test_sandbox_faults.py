"""Pins the faults of submits, polls and files that every imitated platform has."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from _waiting import PATIENCE
from orders import (
    GENERATION,
    GPUGEEK,
    HAIYI,
    IMAGE,
    OPEN,
    PICTURE,
    Client,
    Order,
    every_order,
    every_platform,
    first,
    generation,
    of_horse,
    open_client,
    png,
    results,
    status,
    texts,
)
from sandboxes import fetch
from skyport.sandbox.gpugeek import WORKFLOW_ID


@pytest.fixture(scope="module")
def opened() -> Iterator[Client]:
    """One sandbox for every test of the file."""
    with open_client() as client:
        yield client


@pytest.fixture
def client(opened: Client) -> Iterator[Client]:
    yield opened
    opened.as_new()


# -- pages of a gateway ----------------------------------------------------------------------------

FORMS = {
    "html": ("text/html", lambda text: text.startswith("<html>")),
    "text": ("text/plain", lambda text: bool(text) and "<" not in text and "{" not in text),
    "empty": (None, lambda text: text == ""),
    "json": ("application/json", lambda text: list(json.loads(text)) == ["message"]),
    "list": ("application/json", lambda text: json.loads(text) == []),
}
OWN = {"haiyi": ["code", "msg"], "happyhorse": ["error"], "opencomputing": ["error"]}
STATUSES = (404, 410, 429, 500, 502, 503)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("form", FORMS)
def test_a_gateway_answers_a_submit_that_was_taken_and_charged(client, status, form):
    before = client.charged(GENERATION)
    answer = client.submit(GENERATION, f"a fox [[gateway:{status}:{form}]]")
    kind, fits = FORMS[form]
    assert (answer.status_code, answer.headers.get("Content-Type")) == (status, kind)
    assert fits(answer.text)
    assert "Retry-After" not in answer.headers
    assert client.charged(GENERATION) == before + 1


@every_order
def test_a_gateway_stands_before_every_endpoint(client, order):
    before = client.charged(order)
    answer = client.submit(order, "a fox [[gateway:503]]")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/html")
    assert client.charged(order) == before + 1


def test_a_gateway_may_say_when_to_come_again(client):
    answer = client.submit(GENERATION, "a fox [[gateway:429:text:7]]")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


@every_platform
def test_a_page_may_be_in_the_platforms_own_form(client, order):
    answer = client.submit(order, "a fox [[gateway:503:own]]")
    assert answer.status_code == 503
    body = answer.json()
    assert list(body) == OWN.get(order.platform, ["code", "message", "traceid", "data"])


@pytest.mark.parametrize("where", ["gateway:200:deep", "polls:200:1:deep"])
def test_an_answer_may_be_deeper_than_any_parser_goes(client, where):
    answer = client.submit(GENERATION, f"a fox [[{where}]]")
    if where.startswith("polls"):
        answer = client.poll(GENERATION, str(answer.json()["task_id"]))
    with pytest.raises(RecursionError):
        json.loads(answer.text)


def test_chat_is_charged_behind_a_gateway_too(client):
    body = {"model": "qwen3-max", "prompt": "hello [[gateway:502]]", "stream": True}
    before = client.charged(PICTURE)
    answer = client.ask(PICTURE, "POST", f"{OPEN}/chat/completions", json=body)
    assert answer.status_code == 502
    assert client.charged(PICTURE) == before + 1


@every_order
def test_the_first_polls_are_answered_by_a_page_and_the_task_goes_on(client, order):
    id = client.order(order, "a fox [[polls:404:3]]")
    pages = [client.poll(order, id, after=60) for _ in range(3)]
    assert {(page.status_code, page.headers["Content-Type"]) for page in pages} == {
        (404, "text/html")
    }
    after = client.poll(order, id)
    assert after.status_code == 200
    assert [text for text in texts(after.json()) if any(a in text for a in results(client, order))]


@pytest.mark.parametrize(
    ("window", "seen"),
    [
        ("2", [410, 410, 200, 200, 200]),
        ("2-3", [200, 410, 410, 200, 200]),
        ("3-", [200, 200, 410, 410, 410]),
        ("25s", [410, 410, 200, 200, 200]),
        ("15-35s", [200, 410, 410, 200, 200]),
    ],
)
def test_polls_go_wrong_by_number_or_by_seconds(client, window, seen):
    id = client.order(GENERATION, f"a fox [[polls:410:{window}]]")
    answers = [client.poll(GENERATION, id, after=10) for _ in range(5)]
    assert [answer.status_code for answer in answers] == seen


def test_seconds_are_multiplied_by_the_pace():
    with open_client(pace=0.1) as client:
        id = client.order(GENERATION, "a fox [[polls:503:20s]]")
        answers = [client.poll(GENERATION, id, after=1.5).status_code for _ in range(2)]
    assert answers == [503, 200]


def test_pages_can_be_scripted_before_a_request_is_taken_and_after(client):
    before = client.charged(GENERATION)
    path = f"POST {GENERATION.path}"
    client.box.faults.add(path, "page", status=503, form="json", retry_after=3)
    client.box.faults.add(path, "page", status=500, taken=True)
    lost, taken = (client.submit(GENERATION, "a fox") for _ in range(2))
    assert (lost.status_code, lost.headers["Retry-After"]) == (503, "3")
    assert lost.json() == {"message": "no Route matched with those values"}
    assert (taken.status_code, taken.headers["Content-Type"]) == (500, "text/html")
    assert client.charged(GENERATION) == before + 1
    client.box.faults.add(f"POST {GPUGEEK.path}", "page", status=502, form="own")
    assert client.submit(GPUGEEK, "a fox").json()["code"] == 502


def test_a_page_of_no_known_form_is_refused(client):
    with pytest.raises(ValueError, match="papyrus"):
        client.box.faults.add("/x", "page", form="papyrus")


# -- early, late, at once, cancelled ---------------------------------------------------------------


@every_order
def test_a_success_may_be_told_before_its_results_are_there(client, order):
    id = client.order(order, "a fox [[late:2]]")
    polls = [client.poll(order, id, after=60).json() for _ in range(3)]
    known = results(client, order)
    assert len({str(status(poll)).lower() for poll in polls}) == 1
    body = [[a for a in known if any(a in text for text in texts(poll))] for poll in polls]
    assert body[:2] == [[], []]
    assert body[2] == known


NO_TASK = {
    "haiyi": (404, "msg", "Task {id} does not exist."),
    "happyhorse": (404, "message", "Task {id} does not exist."),
    "gpugeek": (200, "message", "task {id} does not exist"),
    "opencomputing": (200, "error", "taskid={id} not exist"),
}


@every_order
def test_a_task_may_be_unknown_at_first_in_the_platforms_own_form(client, order):
    id = client.order(order, "a fox [[missing:2]]")
    code, key, words = NO_TASK[order.platform]
    for _ in range(2):
        answer = client.poll(order, id)
        assert answer.status_code == code
        assert first(answer.json(), (key,)) == words.format(id=id)
    known = client.poll(order, id, after=60).json()
    assert [text for text in texts(known) if any(a in text for a in results(client, order))]


def test_the_platforms_say_no_such_task_as_they_do(client):
    gone = client.poll(GPUGEEK, client.order(GPUGEEK, "[[missing]]")).json()
    assert (gone["code"], gone["data"]) == (30404, None)
    assert status(client.poll(PICTURE, client.order(PICTURE, "[[missing]]")).json()) == "FAILED"


BUSY = {"haiyi": 200, "happyhorse": 503, "gpugeek": 200, "opencomputing": 503}


@every_platform
def test_a_poll_may_be_refused_because_the_system_is_busy(client, order):
    id = client.order(order, "a fox [[busy:1]]")
    answer = client.poll(order, id)
    assert answer.status_code == BUSY[order.platform]
    assert "system busy" in texts(answer.json())
    assert answer.json().get("code", 1) != 0
    assert client.poll(order, id, after=60).status_code == 200


@every_platform
def test_both_can_be_scripted(client, order):
    id = client.order(order, "a fox")
    for kind in ("missing", "busy"):
        client.box.faults.add(f"GET {order.poll.partition('?')[0]}*", kind)
    missing, busy, known = (client.poll(order, id) for _ in range(3))
    assert "not exist" in missing.text
    assert "system busy" in busy.text
    assert status(known.json()) is not None


@every_order
def test_a_submit_may_be_answered_with_the_result_itself(client, order):
    before = client.charged(order)
    answer = client.submit(order, "a fox [[at_once]]")
    body = texts(answer.json())
    known = results(client, order)
    assert known
    assert [a for a in known if not any(a in text for text in body)] == []
    assert client.charged(order) == before + 1


CANCELLED = {"haiyi": "cancelled", "happyhorse": "cancelled", "gpugeek": 5}


@every_order
def test_a_task_may_be_cancelled_on_the_platform_by_somebody_else(client, order):
    id = client.order(order, "a fox [[slow:100]] [[cancelled:20]]")
    alive = client.poll(order, id, after=10).json()
    over = [client.poll(order, id, after=after).json() for after in (15, 1000)]
    said = {str(status(body)).lower() for body in over}
    assert said <= {str(CANCELLED.get(order.platform, "cancelled")), "canceled"}
    assert str(status(alive)).lower() not in said
    assert not any(
        a in text for body in over for text in texts(body) for a in results(client, order)
    )


def test_a_task_that_ended_before_is_not_cancelled(client):
    assert status(client.ended(GENERATION, "a fox [[cancelled:20]]")).lower() == "success"


# -- OpenComputing's other form --------------------------------------------------------------------


@pytest.fixture
def server(client: Client) -> Client:
    client.box.platforms["opencomputing"].form = "server"
    return client


def test_the_other_form_wraps_what_a_task_tells(server):
    answer = server.submit(PICTURE, "a fox").json()
    assert answer["status"] == "submitted"
    body = server.poll(PICTURE, answer["taskid"], after=60).json()
    assert list(body) == ["status", "data"]
    assert (body["status"], body["data"]["status"]) == ("ok", "SUCCEEDED")
    assert fetch(body["data"]["image"])


def test_the_other_form_words_errors_and_a_missing_login_in_its_way(server):
    wrong = server.ask(PICTURE, "POST", PICTURE.path, json={"model": "x"})
    assert wrong.status_code == 400
    assert wrong.json() == {
        "status": "error",
        "data": {"message": "Missing required parameter: prompt"},
    }
    url = server.box.base_url("opencomputing") + f"{OPEN}/models"
    assert requests.get(url, timeout=PATIENCE).status_code == 403
    page = server.submit(PICTURE, "a fox [[gateway:503:own]]").json()
    assert list(page) == ["status", "data"]


def test_the_other_form_tells_of_an_unknown_task_as_failed(server):
    body = server.poll(PICTURE, "oc-999999")
    assert body.status_code == 200
    assert body.json()["data"] == {"status": "FAILED", "error": "taskid=oc-999999 not exist"}


def test_the_other_form_streams_chat_as_json(server):
    body = {"model": "qwen3-max", "prompt": "hi [[slow:0]]", "stream": True}
    answer = server.ask(PICTURE, "POST", f"{OPEN}/chat/completions", json=body)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.text.startswith("data: {")


# -- trickling -------------------------------------------------------------------------------------


def beginning(client: Client, order: Order, method: str, path: str, body: Any = None) -> bytes:
    """What a patient reader of a trickle has after some bytes; it leaves then."""
    data = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} /{order.platform}{path} HTTP/1.1\r\nHost: sandbox\r\n"
        f"Authorization: Bearer {client.box.key(order.platform)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.box.port), timeout=PATIENCE) as line:
        line.sendall(head.encode() + data)
        seen = b""
        while len(seen) < 400:
            got = line.recv(64)
            assert got, seen
            seen += got
    return seen


@pytest.fixture
def quick() -> Iterator[Client]:
    with open_client(pace=0.001) as client:
        yield client


def test_a_poll_trickles_for_ever(quick):
    id = quick.order(GENERATION, "a fox [[trickle]]")
    seen = beginning(quick, GENERATION, "GET", GENERATION.poll + id)
    assert b"Transfer-Encoding: chunked" in seen
    assert b"\r\n1\r\n{\r\n1\r\n" in seen


def test_a_submit_trickles_once_it_was_charged(quick):
    body = generation("a fox [[trickle:submit]]")["json"]
    seen = beginning(quick, GENERATION, "POST", GENERATION.path, body)
    assert b"\r\n1\r\n{\r\n1\r\n" in seen
    assert quick.charged(GENERATION) == 1


def test_headers_trickle_for_ever(quick):
    id = quick.order(GENERATION, "a fox [[trickle:poll:1:head]]")
    seen = beginning(quick, GENERATION, "GET", GENERATION.poll + id)
    assert b"X-Trickle: ......" in seen
    assert b"\r\n\r\n" not in seen


def test_a_result_trickles_with_its_true_length_and_only_once_where_asked(quick):
    quick.ended(GENERATION, "a fox [[trickle:result:3600:once]]")
    (url,) = results(quick, GENERATION)
    with requests.get(url, timeout=PATIENCE, stream=True) as slow:
        assert slow.status_code == 200
        length = int(slow.headers["Content-Length"])
    assert len(fetch(url)) == length


def test_a_scripted_trickle_ends_when_the_test_says_so(client):
    over = threading.Event()
    client.box.faults.add(f"GET {GENERATION.poll}*", "trickle", seconds=PATIENCE, until=over)
    client.box.faults.add(
        f"GET {GENERATION.poll}*", "trickle", seconds=PATIENCE, until=over, head=True
    )
    id = client.order(GENERATION, "a fox")
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            client.poll(GENERATION, id, timeout=(PATIENCE, 0.05))
    over.set()
    client.box.faults.add(f"GET {GENERATION.poll}*", "trickle", until=over, head=True)
    assert str(client.poll(GENERATION, id).json()).count(id) >= 1


# -- files that are gone ---------------------------------------------------------------------------


UPLOAD = f"{HAIYI}/file/upload"
EDIT = {"provider": "google", "model": "gemini-3-pro-image-preview", "type": "image2image"}


def hosted(client: Client) -> str:
    file = {"file": ("a.png", png())}
    return str(client.ask(GENERATION, "POST", UPLOAD, files=file).json()["url"])


def edit(client: Client, url: str, text: str = "a fox") -> requests.Response:
    body = {"model": EDIT, "parameters": {"prompt": text, "images": [url]}}
    return client.ask(GENERATION, "POST", GENERATION.path, json=body)


def refused(answer: requests.Response, url: str) -> bool:
    return answer.status_code == 400 and url in answer.text and "gone" in answer.text


def test_an_uploaded_file_may_be_gone_before_the_end_of_its_address(client):
    url, before = hosted(client), client.charged(GENERATION)
    assert refused(edit(client, url, "a fox [[cleared]]"), url)
    assert requests.get(url, timeout=PATIENCE).status_code == 404
    assert refused(edit(client, url), url)
    assert client.charged(GENERATION) == before
    assert edit(client, hosted(client), "a fox [[cleared]]").status_code == 200


def test_every_upload_so_far_can_be_cleared_at_once(client):
    link = "/api/v1/file/upload/commit"
    far = {"oss_url": "https://example.com/a.png"}
    known = client.ask(GPUGEEK, "POST", link, json=far).json()["data"]["oss_url"]
    url = hosted(client)
    client.box.clear_uploads()
    assert refused(edit(client, url), url)
    loader = {"class_type": "LoadImage", "inputs": {"image": known}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}
    body = {"workflow_id": WORKFLOW_ID, "task_type": 1, "prompt": {"1": loader, "9": save}}
    assert refused(client.ask(GPUGEEK, "POST", GPUGEEK.path, json=body), known)
    again = client.ask(GPUGEEK, "POST", link, json=far).json()["data"]["oss_url"]
    assert again != known
    assert edit(client, hosted(client)).status_code == 200


def test_a_file_hosted_for_another_platform_may_be_gone_too(client):
    url = hosted(client)
    body = {"model": "kling-video", "prompt": "a fox [[cleared:film]]", "image": url}
    order = of_horse("kling-video", "/v1/videos", "/v1/videos")
    answer = client.ask(order, "POST", order.path, json=body)
    assert refused(answer, url)
    assert list(answer.json()) == ["error"]


# -- some of several results -----------------------------------------------------------------------


def several(client: Client, text: str) -> list[str]:
    parameters = {"prompt": text, "aspect_ratio": "1:1", "n": 3}
    body = {"model": IMAGE, "parameters": parameters}
    answer = client.ask(GENERATION, "POST", GENERATION.path, json=body).json()
    client.poll(GENERATION, str(answer["task_id"]), after=60)
    return results(client, GENERATION)


def kind_of(url: str) -> tuple[int, str]:
    answer = requests.get(url, timeout=PATIENCE)
    return answer.status_code, answer.headers["Content-Type"].partition(";")[0]


def test_results_may_be_gone(client):
    assert {kind_of(url)[0] for url in several(client, "a fox [[gone]]")} == {404}


def test_one_of_several_results_goes_wrong_and_the_others_do_not(client):
    gone = [kind_of(url)[0] for url in several(client, "a fox [[gone]] [[only:2]]")]
    assert gone == [200, 404, 200]
    pages = [kind_of(url)[1] for url in several(client, "a fox [[html]] [[only:3]]")]
    assert pages == ["image/png", "image/png", "text/html"]
    sizes = [len(fetch(url)) for url in several(client, "a fox [[truncated]] [[only:1]]")]
    assert sizes[0] < min(sizes[1:]) * 0.7
