"""Pins: nothing is paid for twice, a key stays at its origin, uploads hold no file in memory."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import random
import re
import ssl
import sys
import threading
import traceback
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from _clock import TickingClock
from _waiting import PATIENCE, PATIENT
from scripted import Answer, Scripted, answer_json, answer_page, closed_port, redirect
from skyport.engine.base.errors import (
    ApiError,
    AuthRejected,
    BadResult,
    InputRejected,
    InvalidInput,
    NotFound,
    OutOfCredit,
    RateLimited,
    ServerFault,
    SkyportError,
    TransportError,
)
from skyport.engine.base.types import MediaFile
from skyport.engine.http.client import Http
from skyport.engine.http.error_answers import api_error, parse_retry_after
from skyport.engine.http.failures import describe_failure
from skyport.engine.http.messages import message_in
from skyport.engine.http.response import Response, StreamListener, read_json
from skyport.engine.http.retry import (
    may_be_accepted,
    outcome_unknown,
    pause,
    retrying,
    should_repeat,
)
from skyport.engine.http.slow_answers import MinimumRate

KEY = "AI-0123456789abcdef"
SECRET = "s3cret"
BEARER = {"Authorization": f"Bearer {KEY}"}


def api(server: Scripted, **options: Any) -> Http:
    return Http("HaiYi", server.url, BEARER, **options)


def carry(call: Callable[[], Any], *, submit: bool = False) -> tuple[Any, list[float]]:
    """(what came of `call`, the pauses made): through `retrying`, with no time passing."""
    pauses: list[float] = []

    async def run_blocking(blocking: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(blocking)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def whole() -> Any:
        try:
            return await retrying(
                call, submit=submit, run_blocking=run_blocking, sleep=sleep, jitter=lambda: 0.0
            )
        except SkyportError as error:
            return error

    return asyncio.run(whole()), pauses


def submit(server: Scripted, path: str = "/submit") -> tuple[Any, list[float]]:
    http = api(server, timeout=PATIENT)
    return carry(lambda: read_json(http.post_json(path, {"prompt": "x"})), submit=True)


def media(folder: Path, data: bytes, name: str = "photo.png", mime: str = "image/png") -> MediaFile:
    path = folder / "encoded.bin"
    path.write_bytes(data)
    return MediaFile(path, name, mime, hashlib.sha256(data).hexdigest(), len(data))


# -- reads are made again -------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_made_again_while_the_platform_stumbles(server: Scripted, status: int) -> None:
    server.on("/task", answer_json({"msg": "busy"}, status), answer_json({"ok": 1}))
    http = api(server)
    answer, pauses = carry(lambda: read_json(http.get("task")))
    assert answer == {"ok": 1}
    assert pauses == [0.5]


def test_a_read_is_tried_five_times_with_doubling_pauses_then_fails_in_its_words(
    server: Scripted,
) -> None:
    server.on("/task", answer_json({"msg": "overloaded"}, 503))
    error, pauses = carry(lambda: api(server).get("task"))
    assert server.counts["/task"] == 5
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    assert isinstance(error, ServerFault)
    assert str(error).startswith("HaiYi: overloaded (HTTP 503)")


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(drop="after"),
        Answer(body=b'{"ok": 1}' * 9, cut=20),
        Answer(body=b'{"ok": ', headers=(("Content-Type", "application/json"),)),
        Answer(body=b""),
    ],
    ids=["dropped", "cut body", "bad JSON", "empty"],
)
def test_a_read_without_a_whole_answer_is_made_again(server: Scripted, trouble: Answer) -> None:
    server.on("/task", trouble, answer_json({"ok": 1}))
    answer, pauses = carry(lambda: read_json(api(server).get("task")))
    assert answer == {"ok": 1}
    assert len(pauses) == 1


def test_a_read_that_finds_nobody_listening_says_so_after_five_attempts() -> None:
    http = Http("HaiYi", f"http://127.0.0.1:{closed_port()}", BEARER)
    error, pauses = carry(lambda: http.get("task"))
    assert isinstance(error, TransportError)
    assert len(pauses) == 4
    assert "No answer from 127.0.0.1: the connection was refused." in str(error)
    assert "HAIYI_BASE_URL" in str(error)


def test_a_read_that_gets_no_answer_in_time_says_so(server: Scripted) -> None:
    server.on("/task", Answer(delay=PATIENCE))
    with pytest.raises(TransportError, match="it did not answer in time"):
        api(server, timeout=(PATIENCE, 0.05)).get("task")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422])
def test_a_refusal_is_never_asked_for_twice(server: Scripted, status: int) -> None:
    server.on("/task", answer_json({"msg": "no"}, status))
    error, pauses = carry(lambda: api(server).get("task"))
    assert isinstance(error, ApiError)
    assert server.counts["/task"] == 1
    assert pauses == []


def test_a_page_in_place_of_json_is_shown_and_not_asked_for_again(server: Scripted) -> None:
    page = "<html><head><title>x</title><style>p{}</style></head><p>Sign in &amp; go</p></html>"
    server.on("/task", answer_page(page))
    error, _ = carry(lambda: read_json(api(server).get("task")))
    assert isinstance(error, BadResult)
    assert server.counts["/task"] == 1
    assert "got text/html: Sign in & go" in str(error)
    assert "HAIYI_BASE_URL" in str(error)


def test_every_attempt_passes_the_gate_first(server: Scripted) -> None:
    server.on("/task", Answer(503), Answer(503), answer_json({}))
    passed: list[int] = []

    async def before() -> None:
        passed.append(len(server.seen))

    async def sleep(_: float) -> None:
        return None

    asyncio.run(
        retrying(
            lambda: api(server).get("task"),
            run_blocking=asyncio.to_thread,
            sleep=sleep,
            before=before,
        )
    )
    assert passed == [0, 1, 2]


def test_a_pause_takes_no_number_from_a_generator_that_others_have_seeded(
    server: Scripted,
) -> None:
    server.on("/task", Answer(503), answer_json({}))
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    before = random.getstate()
    asyncio.run(
        retrying(lambda: api(server).get("task"), run_blocking=asyncio.to_thread, sleep=sleep)
    )
    assert random.getstate() == before
    assert 0.5 <= pauses[0] <= 0.625  # and it does take one


# -- Retry-After ----------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("0", 0.0), ("600", 120.0)])
def test_retry_after_is_obeyed_up_to_two_minutes_and_zero_is_zero(
    server: Scripted, asked: str, waited: float
) -> None:
    server.on("/task", answer_json({}, 429, retry_after=asked), answer_json({}))
    _, pauses = carry(lambda: api(server).get("task"))
    assert pauses == [waited]


def test_retry_after_may_be_a_date() -> None:
    noon = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", noon) == 10.0
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", noon) == 0.0
    assert parse_retry_after("soon", noon) is None
    assert parse_retry_after(None, noon) is None


def test_pauses_double_to_eight_seconds_and_spread_by_a_quarter() -> None:
    assert [pause(n, None, 0.0) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert pause(1, None, 1.0) == 0.625
    assert pause(9, None, 1.0) == 8


# -- submits are sent once ------------------------------------------------------------------


def test_a_submit_that_found_nobody_listening_is_made_again(server: Scripted) -> None:
    away = Http("HaiYi", f"http://127.0.0.1:{closed_port()}", BEARER)
    error, pauses = carry(lambda: away.post_json("submit", {}), submit=True)
    assert isinstance(error, TransportError)
    assert error.sent is False
    assert not may_be_accepted(error)
    assert len(pauses) == 4


@pytest.mark.parametrize("status", [429, 503])
def test_a_submit_turned_away_at_the_door_is_made_again(server: Scripted, status: int) -> None:
    server.on("/submit", answer_json({"msg": "busy"}, status), answer_json({"task_id": 7}))
    assert submit(server) == ({"task_id": 7}, [0.5])


@pytest.mark.parametrize("status", [429, 503])
def test_a_submit_turned_away_for_want_of_money_is_not(server: Scripted, status: int) -> None:
    server.on("/submit", answer_json({"error": "Insufficient balance"}, status))
    error, pauses = submit(server)
    assert isinstance(error, OutOfCredit)
    assert pauses == []
    assert server.counts["/submit"] == 1


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(drop="after"),
        Answer(body=b'{"task_id": 12345}', cut=9),
        Answer(body=b'{"task_id": ', headers=(("Content-Type", "application/json"),)),
        answer_page("<html>Please sign in</html>"),
        answer_page("<html>Bad gateway</html>", 502),
        Answer(504),
        Answer(524),
        Answer(408),
        Answer(raw=b"\x15\x03\x01 what is this"),
        Answer(303, headers=(("Location", "/done"),)),
    ],
    ids=["dropped", "cut", "bad JSON", "page", "502", "504", "524", "408", "no HTTP", "303"],
)
def test_a_submit_without_a_readable_answer_is_sent_once_and_may_be_accepted(
    server: Scripted, trouble: Answer
) -> None:
    server.on("/submit", trouble, answer_json({"task_id": 7}))
    error, pauses = submit(server)
    assert may_be_accepted(error)
    assert server.counts["/submit"] == 1
    assert pauses == []
    unknown = outcome_unknown(error, "HaiYi")
    assert "may have been charged" in str(unknown)
    assert error.what in str(unknown)
    assert unknown.platform == "HaiYi"


def test_a_fault_of_the_platforms_server_proves_nothing_in_whatever_words(
    server: Scripted,
) -> None:
    server.on("/submit", answer_json({"msg": "worker crashed"}, 500), answer_json({"task_id": 7}))
    error, _ = submit(server)
    assert isinstance(error, ServerFault)
    assert error.own_form
    assert may_be_accepted(error)
    assert "worker crashed" in str(outcome_unknown(error, "HaiYi"))
    assert server.counts["/submit"] == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_page_that_turns_a_submit_away_is_not_believed(server: Scripted, status: int) -> None:
    server.on("/submit", answer_page("too many requests", status), answer_json({"task_id": 7}))
    error, pauses = submit(server)
    assert may_be_accepted(error)
    assert (pauses, server.counts["/submit"]) == ([], 1)


def test_a_submit_that_timed_out_is_sent_once(server: Scripted) -> None:
    server.on("/submit", Answer(delay=PATIENCE), answer_json({"task_id": 7}))
    http = api(server, timeout=(PATIENCE, 0.05))
    error, _ = carry(lambda: http.post_json("submit", {}), submit=True)
    assert may_be_accepted(error)
    assert server.counts["/submit"] == 1


def test_a_submit_never_rides_on_a_connection_kept_from_before(server: Scripted) -> None:
    server.on("/list", Answer(body=b"{}", leave=True))  # the platform closes it while it is idle
    server.on("/submit", answer_json({"task_id": 7}))
    http = api(server)
    http.get("list")
    assert http.post_json("submit", {}).status_code == 200
    assert http.post_json("submit", {}).status_code == 200
    assert [seen.connection for seen in server.seen] == [1, 2, 3]


def test_reads_of_one_thread_share_a_connection(server: Scripted) -> None:
    server.on("/task", answer_json({}))
    http = api(server)
    http.get("task")
    http.get("task")
    assert server.connections == 1


def test_reads_of_several_threads_share_a_connection(server: Scripted) -> None:
    server.on("/task", answer_json({}))
    clients = [api(server), api(server)]  # as `connect` makes them, one for each job
    for http in clients * 3:
        thread = threading.Thread(target=http.get, args=("task",))
        thread.start()
        thread.join(PATIENCE)
    assert server.counts["/task"] == 6
    assert server.connections == 1


def test_a_form_cut_while_its_file_goes_out_is_sent_once_and_may_be_accepted(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("/run", Answer(drop="before"), answer_json({"task_id": 7}))
    file = media(tmp_path, b"\x89PNG" * 500_000)
    http = api(server)
    error, _ = carry(lambda: http.post_form("run", [("image", file)]), submit=True)
    assert may_be_accepted(error)
    assert server.counts["/run"] == 1


# -- answers that trickle -------------------------------------------------------------------

OPEN_END = (("Content-Length", "999999"), ("Content-Type", "application/json"))
EVENTS = (("Content-Type", "text/event-stream"),)
TRICKLING = [
    Answer(headers=OPEN_END, length=False, endless=b" "),
    Answer(headers=(("Transfer-Encoding", "chunked"),), length=False, endless=b"1\r\n \r\n"),
    Answer(headers=(("Transfer-Encoding", "chunked"),), length=False, endless=b"1;x"),
    Answer(length=False, endless=b"\n"),
    Answer(500, headers=OPEN_END, length=False, endless=b" "),
    Answer(raw=b"HTTP/1.1 200 OK\r\n", endless=b"X: y\r\n"),
    Answer(raw=b"HTTP/1.1 200 OK\r\nX: ", endless=b"y"),
    Answer(raw=b"", endless=b"HTTP/1.1 100 Continue\r\n\r\n"),
]
SHAPES = ["length", "chunks", "chunk line", "no length", "500", "headers", "header", "100"]


def slow(server: Scripted, step: float = 1.0, **more: Any) -> Http:
    """A client to whom every piece of an answer takes `step` seconds."""
    return api(server, timeout=PATIENT, rate=MinimumRate(clock=TickingClock(step), **more))


@pytest.mark.parametrize("answer", TRICKLING, ids=SHAPES)
def test_a_read_whose_answer_trickles_is_made_again(server: Scripted, answer: Answer) -> None:
    server.on("/task", answer, answer_json({"ok": 1}))
    assert carry(lambda: read_json(slow(server).get("task"))) == ({"ok": 1}, [0.5])


@pytest.mark.parametrize("answer", TRICKLING, ids=SHAPES)
def test_a_submit_whose_answer_trickles_has_an_unknown_outcome(
    server: Scripted, answer: Answer
) -> None:
    server.on("/submit", answer, answer_json({"task_id": 7}))
    error, pauses = carry(lambda: slow(server).post_json("submit", {}), submit=True)
    assert may_be_accepted(error)
    assert "its answer came too slowly" in str(error)
    assert (server.counts["/submit"], pauses) == (1, [])


def test_an_upload_whose_answer_trickles_is_made_again(server: Scripted, tmp_path: Path) -> None:
    server.on("/bucket", TRICKLING[0], Answer())
    file = media(tmp_path, b"\x89PNG")
    answer, _ = carry(lambda: slow(server).put_file(f"{server.url}/bucket", file, {}))
    assert answer.status_code == 200


def test_an_answer_that_brings_enough_may_take_as_long_as_it_likes(server: Scripted) -> None:
    server.on("/task", Answer(body=bytes(4 << 20)))
    assert len(slow(server, 59.0, size=1).get("task").content) == 4 << 20


def test_a_platform_may_think_before_it_answers(server: Scripted) -> None:
    server.on("/task", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    assert slow(server, 3000.0).get("task").content == b"{}"


def chat(http: Http, on_line: Callable[[str], bool]) -> Response:
    return http.post_json("chat", {}, StreamListener(on_line, PATIENCE))


def test_a_stream_lives_as_long_as_lines_arrive(server: Scripted) -> None:
    server.on("/chat", Answer(headers=EVENTS, length=False, endless=b"data\n"))
    lines: list[str] = []

    def on_line(line: str) -> bool:
        lines.append(line)
        return len(lines) == 300

    chat(slow(server, PATIENCE / 8), on_line)
    assert lines == ["data"] * 300


@pytest.mark.parametrize(
    "answer",
    [
        Answer(headers=EVENTS, length=False, endless=b"x"),
        Answer(headers=(*EVENTS, ("Transfer-Encoding", "chunked")), length=False, endless=b"1;x"),
        *TRICKLING,
    ],
    ids=["no line", "chunk line of a stream", *SHAPES],
)
def test_a_chat_that_brings_no_line_is_broken_off(server: Scripted, answer: Answer) -> None:
    server.on("/chat", answer)
    with pytest.raises((TransportError, ServerFault)) as caught:
        chat(slow(server, PATIENCE / 8, size=10**9), lambda line: False)
    assert getattr(caught.value, "sent", True)


LONG_LINE = "data: " + "x" * 3_000_000


@pytest.mark.parametrize("shape", ["length", "connection", "chunked", "gzip"])
def test_a_stream_is_read_as_it_arrives_however_long_its_lines_are(
    server: Scripted, shape: str
) -> None:
    body = f"a\n{LONG_LINE}\r\n\nz".encode()
    headers = EVENTS
    if shape == "gzip":
        body, headers = gzip.compress(body), (*EVENTS, ("Content-Encoding", "gzip"))
    if shape == "chunked":
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in body[:9]) + (
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - 9, body[9:])
        )
        headers = (*EVENTS, ("Transfer-Encoding", "chunked"))
    server.on("/chat", Answer(body=body, headers=headers, length=shape in ("length", "gzip")))
    lines: list[str] = []
    chat(api(server, timeout=PATIENT), lambda line: bool(lines.append(line)))
    assert lines == ["a", LONG_LINE, "", "z"]


def test_a_line_of_a_stream_is_passed_on_before_the_next_one_comes(server: Scripted) -> None:
    body, promised = b"data: 1\n", (("Content-Length", "999"),)
    server.on("/chat", Answer(body=body, headers=(*EVENTS, *promised), length=False, endless=b"."))
    lines: list[str] = []
    chat(api(server, timeout=PATIENT), lambda line: not lines.append(line))
    assert lines == ["data: 1"]


# -- what an answer means -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "bad token", AuthRejected),
        (403, "forbidden", AuthRejected),
        (402, "", OutOfCredit),
        (403, "Account balance is insufficient", OutOfCredit),
        (429, "Not enough credits", OutOfCredit),
        (200, "\u4f59\u989d\u4e0d\u8db3", OutOfCredit),
        (400, "\u79ef\u5206\u4e0d\u8db3", OutOfCredit),
        (429, "Quota exceeded for requests per minute", RateLimited),
        (429, "\u5e76\u53d1\u989d\u5ea6\u4e0d\u8db3", RateLimited),
        (503, "load balancer: not enough nodes", ServerFault),
        (400, "white balance must be 1 to 5", InputRejected),
        (404, "no such task", NotFound),
        (422, "duration", InputRejected),
        (200, "cluster not found", InputRejected),
        (500, "oops", ServerFault),
    ],
)
def test_status_and_words_choose_the_class(status: int, words: str, kind: type) -> None:
    error = api_error("HaiYi", status, words)
    assert type(error) is kind
    assert error.do


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"code": 1, "msg": "no cluster"}, "no cluster"),
        ({"error": {"message": "bad size", "code": "E7"}}, "bad size"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        ({"data": {"fail_reason": "NSFW"}}, "NSFW"),
        ({"message": "failed", "error": "failed"}, "failed"),
        ({"message": "failed", "detail": "no GPU is free"}, "no GPU is free"),
        ({"errorMessage": "bad size"}, "bad size"),
        ({"message": "bad", "data": {"reason": "size"}}, "bad; size"),
        ({"detail": [{"loc": ["body", "width"], "msg": "too small"}]}, "too small; width"),
        ({"error": "{1: 'bad size'}"}, "{1: 'bad size'}"),
        ({"error": "{1: {'msg': b'x'}}"}, "{1: {'msg': b'x'}}"),
        ([{"message": "bad size"}], "bad size"),
        ({"nothing": "here"}, ""),
    ],
)
def test_the_platforms_words_are_dug_out_of_its_body(body: Any, words: str) -> None:
    assert message_in(body) == words


def test_an_error_has_status_code_and_words_and_is_kept_short(server: Scripted) -> None:
    server.on("/task", answer_json({"code": 1007, "msg": "x" * 2000}, 400))
    with pytest.raises(InputRejected) as caught:
        api(server).get("task")
    assert (caught.value.status, caught.value.code) == (400, "1007")
    assert len(caught.value.what) < 550


def test_an_error_page_is_shown_without_its_tags(server: Scripted) -> None:
    server.on("/task", answer_page("<h1>502</h1><p>Bad&nbsp;gateway", 502))
    with pytest.raises(ServerFault, match=re.escape("502 Bad gateway (HTTP 502)")):
        api(server).get("task")


def test_an_answer_too_large_to_hold_is_refused(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (257 << 20)
    server.on("/task", Answer(raw=huge))
    with pytest.raises(BadResult, match="larger than 256 MB"):
        api(server).get("task")


# -- the key stays at home ------------------------------------------------------------------


def test_the_key_goes_to_the_base_url_and_to_no_other_origin(
    server: Scripted, elsewhere: Scripted
) -> None:
    for host in (server, elsewhere):
        host.on("/task", answer_json({}))
    http = api(server)
    http.get("task")
    http.get(f"{server.url}/task")
    http.get(f"{elsewhere.url}/task")
    assert [seen.headers.get("authorization") for seen in server.seen] == [f"Bearer {KEY}"] * 2
    assert [seen.headers.get("authorization") for seen in elsewhere.seen] == [None]


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_redirect_to_another_origin_is_refused_by_name_and_nothing_is_sent_there(
    server: Scripted, elsewhere: Scripted, method: str
) -> None:
    server.on("/task", redirect(f"{elsewhere.url}/steal?token=s3cret", 307))
    http = api(server)
    with pytest.raises(ApiError) as caught:
        http.get("task") if method == "get" else http.post_json("task", {})
    assert elsewhere.seen == []
    assert elsewhere.url in str(caught.value)
    assert "HAIYI_BASE_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_redirect_within_the_origin_is_followed_for_reads(server: Scripted) -> None:
    server.on("/old", redirect("/new?page=2", 301))
    server.on("/new", answer_json({"ok": 1}))
    assert read_json(api(server).get("old", {"page": 1})) == {"ok": 1}
    assert [seen.target for seen in server.seen] == ["/old?page=1", "/new?page=2"]
    assert server.seen[1].headers["authorization"] == f"Bearer {KEY}"


def test_a_redirect_that_never_ends_is_given_up(server: Scripted) -> None:
    server.on("/task", redirect("/task"))
    with pytest.raises(ApiError, match="redirect"):
        api(server).get("task")
    assert server.counts["/task"] == 6


def test_a_post_is_never_redirected_even_at_home(server: Scripted) -> None:
    server.on("/submit", redirect("/other", 308))
    with pytest.raises(ApiError, match="redirect"):
        api(server).post_json("submit", {})
    assert server.counts == {"/submit": 1}


def test_netrc_neither_replaces_the_key_nor_adds_one(
    server: Scripted, elsewhere: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for host in (server, elsewhere):
        host.on("/task", answer_json({}))
    http = api(server)
    http.get("task")
    http.post_json("task", {})
    http.get(f"{elsewhere.url}/task")
    assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {KEY}"}
    assert "authorization" not in elsewhere.seen[0].headers


def test_cookies_are_not_kept(server: Scripted) -> None:
    server.on("/task", answer_json({}, set_cookie="session=1; Path=/"))
    http = api(server)
    http.get("task")
    http.get("task")
    assert all("cookie" not in seen.headers for seen in server.seen)


def test_a_platform_that_quotes_the_key_is_not_quoted(server: Scripted) -> None:
    server.on("/task", answer_json({"msg": f"invalid token {KEY}"}, 401))
    with pytest.raises(AuthRejected) as caught:
        api(server).get("task")
    assert "invalid token ***" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "echo", ["alice:wine & roses/7", "wine & roses/7", "wine%20%26%20roses%2F7"]
)
def test_a_server_that_quotes_a_name_and_a_password_is_not_quoted(
    server: Scripted, echo: str
) -> None:
    pair = base64.b64encode(b"alice:wine & roses/7").decode()
    server.on("/task", answer_json({"msg": f"no {echo} or {pair} here"}, 401))
    with pytest.raises(AuthRejected) as caught:
        Http("HaiYi", server.url, {"Authorization": f"Basic {pair}"}).get("task")
    assert "no *** or *** here" in str(caught.value)


def test_a_signed_url_in_a_platforms_words_loses_its_query(server: Scripted) -> None:
    server.on("/task", answer_json({"msg": "cannot load https://oss.cn/a.png?Signature=q5m"}, 400))
    with pytest.raises(InputRejected, match=r"https://oss\.cn/a\.png \(HTTP 400\)"):
        api(server).get("task")


@pytest.mark.parametrize(
    "trouble", [Answer(drop="after"), Answer(body=b"{}" * 9, cut=3), Answer(500)]
)
def test_a_traceback_holds_neither_key_nor_query(server: Scripted, trouble: Answer) -> None:
    server.on("/task", trouble)
    with pytest.raises(SkyportError) as caught:
        api(server).get("task", {"token": SECRET})
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert SECRET not in shown
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", [f"{KEY}\nX: y", "\u5bc6\u94a5", ""])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(
    server: Scripted, key: str
) -> None:
    with pytest.raises(InvalidInput, match="HAIYI_API_KEY") as caught:
        Http("HaiYi", server.url, {"token": key}).get("task")
    assert not key or key not in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize(
    "base", ["", "art.example.com", "ftp://a.example", "http://", "http://a:b:c"]
)
def test_a_base_url_that_cannot_be_called_is_refused(base: str) -> None:
    with pytest.raises(InvalidInput, match="HAIYI_BASE_URL"):
        Http("HaiYi", base, BEARER).get("task")


def test_proxies_of_the_environment_are_honoured(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.on("/openapi/task", answer_json({"ok": 1}))
    assert read_json(Http("HaiYi", "http://api.example.com/openapi/", BEARER).get("/task"))
    assert server.seen[0].target == "http://api.example.com/openapi/task"


# -- this machine's proxy and certificates --------------------------------------------------

SECURE = "https://api.example.com"
PIP = f'"{sys.executable}" -s -m pip install'


def refused_words(base_url: str, monkeypatch: pytest.MonkeyPatch, **env: str) -> str:
    """The words for a submit that got nowhere; it was not sent."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TransportError) as caught:
        Http("HaiYi", base_url, BEARER).post_json("submit", {})
    assert caught.value.sent is False
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("base_url", [SECURE, "http://api.example.com"])
@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (
            "socks5h://me:s3cret@127.0.0.1:1",
            f"socks5h://127.0.0.1:1 needs another package: run {PIP} pysocks and restart",
        ),
        ("htp://me:s3cret@127.0.0.1:1", "htp://127.0.0.1:1 is not the address of a proxy"),
        ("http://127.0.0.1:99999", "http://127.0.0.1:99999 is not the address of a proxy"),
        ("http://", "http:// is not the address of a proxy"),
        ("127.0.0.1:port", "127.0.0.1:port is not the address of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_and_not_the_platforms_address(
    monkeypatch: pytest.MonkeyPatch, base_url: str, proxy: str, words: str
) -> None:
    said = refused_words(base_url, monkeypatch, HTTP_PROXY=proxy, HTTPS_PROXY=proxy)
    assert words in said
    assert SECRET not in said
    assert "is not a valid http or https address" not in said


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://me:{SECRET}@127.0.0.1:{closed_port()}"
    said = refused_words(SECURE, monkeypatch, HTTPS_PROXY=proxy)
    assert "the proxy http://127.0.0.1:" in said
    assert "cannot be used: the connection was refused" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "asks for a user name and a password (407)"), (503, "refused the connection (503)")],
)
def test_a_proxy_that_refuses_says_why(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, status: int, words: str
) -> None:
    server.on("*", Answer(status))
    said = refused_words(SECURE, monkeypatch, HTTPS_PROXY=server.url)
    assert f"the proxy {server.url} {words}" in said


def test_a_407_is_about_the_proxy(server: Scripted) -> None:
    server.on("/task", answer_page("Proxy Authentication Required", 407))
    with pytest.raises(ApiError, match="write them into HTTPS_PROXY"):
        api(server).get("task")


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "of another kind"])
def test_a_ca_file_that_cannot_be_used_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, server: Scripted, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "company.pem"
    if content is not None:
        path.write_text(content)
    base_url = server.url.replace("http:", "https:")
    said = refused_words(base_url, monkeypatch, REQUESTS_CA_BUNDLE=str(path))
    assert f"the CA certificates in {path}, which REQUESTS_CA_BUNDLE names" in said


@pytest.mark.parametrize(
    ("code", "reason", "advises"),
    [
        (20, "unable to get local issuer certificate", True),
        (19, "self-signed certificate in certificate chain", True),
        (10, "certificate has expired", False),
        (62, "Hostname mismatch", False),
    ],
)
def test_a_certificate_of_an_unknown_authority_points_at_the_companys_own(
    code: int, reason: str, advises: bool
) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_code, error.verify_message = code, reason
    words = describe_failure(requests.exceptions.SSLError(error))
    assert reason in words
    assert ("set REQUESTS_CA_BUNDLE" in words) is advises


# -- what goes out --------------------------------------------------------------------------


def test_a_json_post_is_what_the_documents_samples_send(server: Scripted) -> None:
    server.on("/submit", answer_json({}))
    api(server).post_json("submit", {"parameters": {"prompt": "\u8349\u8393"}})
    seen = server.seen[0]
    assert seen.json() == {"parameters": {"prompt": "\u8349\u8393"}}
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["content-length"] == str(len(seen.body))
    assert "transfer-encoding" not in seen.headers
    assert seen.headers["user-agent"].startswith("ComfyUI-Skyport/")


def test_a_number_that_json_does_not_know_is_refused_before_sending(server: Scripted) -> None:
    with pytest.raises(InvalidInput):
        api(server).post_json("submit", {"strength": float("nan")})
    assert server.seen == []


def test_query_parameters_may_repeat(server: Scripted) -> None:
    server.on("/list", answer_json([]))
    api(server).get("list", [("model_types", "text2image"), ("model_types", "image2video")])
    assert server.seen[0].target == "/list?model_types=text2image&model_types=image2video"


def test_a_form_keeps_its_order_and_utf8_names_as_requests_sends_them(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("/run", answer_json({}))
    file = media(tmp_path, b"bytes", name="\u7ad9\u7acb.png")
    fields = [("workflow_id", "1234"), ("image", file), ("note", "\u4f60\u597d")]
    api(server).post_form("run", fields)
    seen = server.seen[0]
    boundary = seen.headers["content-type"].partition("boundary=")[2]
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert seen.body.decode() == (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="workflow_id"\r\n\r\n1234\r\n'
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="image"; filename="\u7ad9\u7acb.png"\r\n'
        "Content-Type: image/png\r\n\r\nbytes\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="note"\r\n\r\n\u4f60\u597d\r\n'
        f"--{boundary}--\r\n"
    )


def test_a_file_of_64_mb_streams_without_being_held_and_reports_its_progress(
    tmp_path: Path,
) -> None:
    size = 64 << 20
    file = media(tmp_path, bytes(range(256)) * (size // 256))
    received: list[tuple[int, int]] = []
    with Scripted(keep_bodies=False) as server:
        server.on("/upload", answer_json({}))
        tracemalloc.start()
        try:
            api(server).post_form("upload", [("file", file)], lambda *at: received.append(at))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        sent = server.seen[0].size
    assert sent > size
    assert peak < 4 << 20
    assert received[-1] == (sent, sent)
    assert [done for done, _ in received] == sorted(done for done, _ in received)
    assert len(received) > 100


def test_a_file_that_changed_since_it_was_checked_is_refused_before_sending(
    server: Scripted, tmp_path: Path
) -> None:
    file = media(tmp_path, b"1234")
    file.path.write_bytes(b"12345")
    with pytest.raises(InvalidInput, match=r"photo\.png changed"):
        api(server).post_form("upload", [("file", file)])
    file.path.unlink()
    with pytest.raises(InvalidInput, match=r"photo\.png cannot be read"):
        api(server).post_form("upload", [("file", file)])
    assert server.connections == 0


def test_a_put_sends_raw_bytes_to_the_exact_url_without_the_key(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("/bucket/a%2fb.png", Answer())
    file = media(tmp_path, b"\x89PNG")
    signed = f"{server.url}/bucket/a%2fb.png?Signature=q5m%2B~x%3d[1]"
    api(server).put_file(signed, file, {"Content-Type": "application/octet-stream"})
    seen = server.seen[0]
    assert (seen.method, seen.target) == ("PUT", signed.removeprefix(server.url))
    assert seen.body == b"\x89PNG"
    assert seen.headers["content-type"] == "application/octet-stream"
    assert "authorization" not in seen.headers


def test_a_put_to_a_private_host_is_refused(server: Scripted, tmp_path: Path) -> None:
    file = media(tmp_path, b"\x89PNG")
    with pytest.raises(BadResult, match="localhost"):
        api(server).put_file(f"http://localhost:{server.port}/x", file, {})
    assert server.connections == 0


# -- the decisions, by themselves -----------------------------------------------------------


def test_what_is_made_again_and_what_is_not() -> None:
    lost, unsent = TransportError("x", sent=True), TransportError("x", sent=False)
    reads = {error: should_repeat(error) for error in (lost, unsent)}
    submits = {error: should_repeat(error, submit=True) for error in (lost, unsent)}
    assert reads == {lost: True, unsent: True}
    assert submits == {lost: False, unsent: True}
    assert not should_repeat(OutOfCredit("x", status=429))
    assert not should_repeat(ServerFault("x", status=500), submit=True)
    assert not should_repeat(InvalidInput("x"))
