"""Pins the spellings of answers that are in no document, and that what they name is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from _waiting import PATIENCE
from orders import (
    GENERATION,
    OPEN,
    ORDERS,
    PICTURE,
    Client,
    Order,
    every_order,
    every_platform,
    first,
    open_client,
    results,
    status,
    texts,
    walk,
)
from skyport.sandbox import SPELLINGS


@pytest.fixture(scope="module")
def opened() -> Iterator[Client]:
    """One sandbox for every test of the file."""
    with open_client() as client:
        yield client


@pytest.fixture
def client(opened: Client) -> Iterator[Client]:
    yield opened
    opened.as_new()


# -- other spellings -------------------------------------------------------------------------------

IDS = {
    "id_camel": lambda key, id: {"taskId": id},
    "id_nested": lambda key, id: {"data": {"task": {"id": id}}},
    "id_listed": lambda key, id: {"data": [{key: id}]},
    "id_bare": lambda key, id: {"code": "success", "message": "", "data": id},
    "id_ok": lambda key, id: {"status": "ok", "data": {key: id}},
    "id_code_word": lambda key, id: {"code": "success", "data": {key: id}},
    "id_code_200": lambda key, id: {"code": 200, "message": "success", "data": {key: id}},
    "id_code_flat": lambda key, id: {"code": 200, "message": "success", key: id},
    "id_beside_error": lambda key, id: {"code": 1, "message": "busy, queued", "data": {key: id}},
}


def named(kind: str) -> Sequence[str]:
    return [name for name in SPELLINGS if name.startswith(f"{kind}_")]


def one_on_every_order(names: Sequence[str]) -> list[Any]:
    """Every name on one order, and every order with one name."""
    pairs = {(GENERATION, name) for name in names}
    pairs |= {(order, names[at % len(names)]) for at, order in enumerate(ORDERS)}
    return [pytest.param(o, n, id=f"{n} {o}") for o, n in sorted(pairs, key=str)]


@every_platform
@pytest.mark.parametrize("name", named("id"))
def test_an_id_is_spelled_in_another_way_and_can_be_polled(client, order, name):
    answer = client.submit(order, f"a fox [[spelling:{name}]]").json()
    id = first(answer, (order.key, "task_id", "taskId", "id", "data"))
    if name in IDS and name != "id_camel":
        key = next((key for key, value in walk(answer) if value == id), "")
        assert answer == IDS[name](key, id)
    if name == "id_camel":
        assert [key for key, _ in walk(answer) if key in (order.key, "task_id", "id")] == []
    if name in ("id_number", "id_text"):
        assert type(id) is (int if name == "id_number" else str)
    if name == "id_long":
        assert len(str(id)) == 200
    assert status(client.poll(order, str(id)).json()) is not None


WORDS = "[[running:PROCESSING]] [[success:succeed]] [[failure:exception]]"


@every_order
@pytest.mark.parametrize(("marker", "word"), [("", "succeed"), ("[[fail]]", "exception")])
def test_a_status_is_any_word_at_its_time(client, order, marker, word):
    id = client.order(order, f"a fox {WORDS} {marker}")
    assert status(client.poll(order, id).json()) == "PROCESSING"
    assert status(client.poll(order, id, after=60).json()) == word


def as_known(body: str, order: Order, client: Client) -> str:
    """The address that a reader makes of `body`."""
    return urljoin(f"{client.box.base_url(order.platform)}/", body.strip())


VARIANTS = {
    "url_relative": lambda text: text.startswith(("/haiyi/", "/happy", "/gpugeek/", "/open")),
    "url_no_scheme": lambda text: text.startswith("//127.0.0.1"),
    "url_upper_scheme": lambda text: text.startswith("HTTP://"),
    "url_padded": lambda text: text.startswith(" http:") and text.endswith("\n"),
    "url_space": lambda text: "/~a picture/" in text,
    "url_chinese": lambda text: "/~\u56fe\u7247/" in text,
}


@pytest.mark.parametrize(("order", "name"), one_on_every_order(tuple(VARIANTS)))
def test_an_address_is_written_in_another_way_and_leads_to_the_file(client, order, name):
    body = client.ended(order, f"a fox [[spelling:{name}]]")
    spelled = [text for text in texts(body) if VARIANTS[name](text)]
    assert len(spelled) >= len(results(client, order))
    headers = {"Authorization": f"Bearer {client.box.key(order.platform)}"}
    for each in spelled:
        answer = requests.get(as_known(each, order, client), headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text


POSITIONS = {
    "url_content": lambda body: body["content"]["video_url"],
    "url_images": lambda body: body["images"][0]["url"],
    "url_videos": lambda body: body["videos"][0]["url"],
    "url_outputs": lambda body: body["outputs"][0],
    "url_data": lambda body: body["data"][0]["url"],
    "url_result": lambda body: body["result"]["video_url"],
    "url_plain": lambda body: body["url"],
    "url_json_text": lambda body: json.loads(body["resultJson"])["resultUrls"][0],
    "url_twice": lambda body: body["url"],
}


@pytest.mark.parametrize(("order", "name"), one_on_every_order(tuple(POSITIONS)))
def test_results_are_at_another_place_only(client, order, name):
    body = client.ended(order, f"a fox [[spelling:{name}]]")
    holder = next(v for v in [body, *(v for _, v in walk(body))] if holds_status(v))
    url = POSITIONS[name](holder)
    url = url[0] if isinstance(url, list) else url
    headers = {"Authorization": f"Bearer {client.box.key(order.platform)}"}
    assert requests.get(url, headers=headers, timeout=PATIENCE).status_code == 200
    assert [text for text in texts(body) if text == url] or name == "url_json_text"


def holds_status(tree: Any) -> bool:
    return isinstance(tree, dict) and bool({"status", "task_status", "state"} & set(tree))


def test_the_same_address_may_stand_there_three_times(client):
    body = client.ended(GENERATION, "a fox [[spelling:url_twice]]")
    (url,) = results(client, GENERATION)
    assert texts(body).count(url) == 3


@every_order
def test_results_may_lie_thirty_levels_down(client, order):
    body = client.ended(order, "a fox [[spelling:url_deep]]")
    assert '{"item": {"item": {"item": ' in json.dumps(body)
    known = results(client, order)[0]
    assert any(known in text for text in texts(body))


@every_order
def test_an_object_may_stand_where_a_list_or_an_address_is_documented(client, order):
    body = client.ended(order, "a fox [[spelling:url_object]]")
    known = results(client, order)
    at = {key for key, value in walk(body) if isinstance(value, str) and value in known}
    at |= {key for key, value in walk(body) if isinstance(value, str) and "api/view" in value}
    assert at == {"url"}
    lists = [value for _, value in walk(body) if isinstance(value, list)]
    assert not any(known[0] in json.dumps(value) for value in lists)


MEDIA = ("image/png", "image/jpeg", "video/mp4", "audio/mpeg", "audio/x-wav")


@every_order
def test_a_result_may_be_inside_a_data_url(client, order):
    body = client.ended(order, "a fox [[spelling:url_data_url]]")
    inside = [text for text in texts(body) if text.startswith("data:")]
    assert len(inside) >= len(results(client, order))
    heads = {text.partition(",")[0] for text in inside}
    assert heads <= {f"data:{kind};base64" for kind in MEDIA}


REASONS = {
    "reason_error_message": lambda body: body["error_message"],
    "reason_failure_reason": lambda body: body["failure_reason"],
    "reason_detail": lambda body: body["detail"],
    "reason_details": lambda body: body["detail"][0]["msg"],
    "reason_fail_msg": lambda body: (body["err_code"], body["fail_msg"])[1],
    "reason_err_code": lambda body: body["err_code"],
    "reason_error": lambda body: body["error"]["message"],
    "reason_python": lambda body: body["error"].partition("'message': '")[2].partition("'")[0],
}


@pytest.mark.parametrize(("order", "name"), one_on_every_order(named("reason")))
def test_a_reason_is_at_another_place_only(client, order, name):
    body = client.ended(order, f"[[fail:no foxes today]] [[spelling:{name}]]")
    holder = next(v for v in [body, *(v for _, v in walk(body))] if holds_status(v))
    assert REASONS[name](holder) == "no foxes today"
    assert len([text for text in texts(body) if text == "no foxes today"]) <= 1


PROGRESS = {
    "progress_percent": (str, "%"),
    "progress_share": (float, ""),
    "progress_share_text": (str, "0."),
}


@pytest.mark.parametrize(("order", "name"), one_on_every_order(named("progress")))
def test_progress_is_told_in_another_way(client, order, name):
    id = client.order(order, f"a fox [[slow:100]] [[spelling:{name}]]")
    body = client.poll(order, id, after=40).json()
    share = first(body, ("total_progress", "progress"))
    kind, part = PROGRESS[name]
    assert type(share) is kind
    assert part in str(share)
    assert 0 < float(str(share).strip("%")) < 100


TEXTS = {"text_halves": "\U0001f60a", "text_lone": "\ud83d", "text_nul": "\x00"}


@pytest.mark.parametrize(("order", "name"), one_on_every_order(named("text")))
def test_a_reason_holds_text_that_is_hard_to_keep(client, order, name):
    body = client.ended(order, f"[[fail:no foxes]] [[spelling:{name}]]")
    assert f"no foxes {TEXTS[name]}" in texts(body)


@pytest.mark.parametrize("name", named("text"))
def test_chat_says_text_that_is_hard_to_keep(client, name):
    body = {"model": "qwen3-max", "prompt": f"hi [[spelling:{name}]] [[slow:0]]", "stream": True}
    answer = client.ask(PICTURE, "POST", f"{OPEN}/chat/completions", json=body)
    lines = [line.partition("data: ")[2] for line in answer.text.splitlines()]
    events = [json.loads(line) for line in lines if line and line != "[DONE]"]
    deltas = [event["choices"][0]["delta"].get("content", "") for event in events]
    if name == "text_halves":
        at = next(at for at, delta in enumerate(deltas) if delta.strip() == "\ud83d")
        assert deltas[at + 1].strip() == "\ude0a"
    else:
        assert TEXTS[name] in "".join(deltas)


def test_several_spellings_go_together(client):
    order = GENERATION
    text = "a fox [[spelling:id_camel,url_data]] [[spelling:url_relative]]"
    answer = client.submit(order, text).json()
    body = client.poll(order, str(answer["taskId"]), after=60).json()
    assert [text for text in texts(body) if text.startswith("/haiyi/oss/")]


def test_a_spelling_can_be_scripted_for_one_answer(client):
    client.box.faults.add(f"POST {GENERATION.path}", "spelling", name="id_camel")
    assert "taskId" in client.submit(GENERATION, "a fox").json()
    assert "task_id" in client.submit(GENERATION, "a fox").json()


@every_platform
def test_an_unknown_spelling_is_refused_uncharged(client, order):
    before = client.charged(order)
    answer = client.submit(order, "a fox [[spelling:url_backwards]]")
    assert answer.status_code == 400
    assert "url_backwards" in answer.text
    assert client.charged(order) == before


@every_platform
def test_a_knob_gives_every_request_a_marker(client, order):
    client.box.platforms[order.platform].always = "[[fail:not today]]"
    assert "not today" in texts(client.ended(order, "a fox"))
