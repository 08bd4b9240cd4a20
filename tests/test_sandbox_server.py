"""Pins the sandbox's own machinery: loopback only, keys, forms, ranges, faults, an honest log."""

from __future__ import annotations

import io
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import chain, repeat
from typing import Any

import av
import pytest
import requests
from _waiting import PATIENCE
from PIL import Image
from skyport.sandbox import Sandbox, platform_names, start
from skyport.sandbox._draw import DrawSpec
from skyport.sandbox._film import draw

FOX = "\u72d0\u72f8.png"
UPLOAD = "/openapi/v1/file/upload"
LIST = "/openapi/v1/model/list"
CLUSTERS = "/openapi/v1/workflow/cluster/all_active_clusters_status"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with start(pace=0.01) as sandbox:
        yield sandbox


def png(size: tuple[int, int] = (8, 6), color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def ask(box: Sandbox, method: str, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {box.key('haiyi')}", **more.pop("headers", {})}
    url = box.base_url("haiyi") + path
    return requests.request(method, url, headers=headers, timeout=PATIENCE, **more)


def get(box: Sandbox, path: str, **more: Any) -> requests.Response:
    return ask(box, "GET", path, **more)


def upload(box: Sandbox, data: bytes, name: str = "a.png") -> str:
    answer = ask(box, "POST", UPLOAD, files={"file": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()["url"]


def raw_form(box: Sandbox, body: bytes, kind: str = "multipart/form-data; boundary=XX") -> Any:
    return ask(box, "POST", UPLOAD, data=body, headers={"Content-Type": kind})


def part(disposition: str, data: bytes, end: str = "\r\n--XX--\r\n") -> bytes:
    head = f"--XX\r\nContent-Disposition: {disposition}\r\n\r\n"
    return head.encode() + data + end.encode()


def exchange(box: Sandbox, *pieces: bytes) -> bytes:
    """What comes back for bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", box.port), timeout=PATIENCE) as line:
        for piece in pieces:
            line.sendall(piece)
        return b"".join(iter(lambda: line.recv(65536), b""))


def head(box: Sandbox, method: str, path: str, *lines: str) -> bytes:
    headers = (f"Authorization: Bearer {box.key('haiyi')}", "Connection: close", *lines)
    start_line = f"{method} /haiyi{path} HTTP/1.1"
    return "\r\n".join([start_line, "Host: sandbox", *headers, "", ""]).encode()


# -- where it listens ---------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.1.4", "::", "example.com"])
def test_it_refuses_to_be_reached_from_elsewhere(host):
    with pytest.raises(ValueError, match="loopback"):
        start(host=host)


@pytest.mark.parametrize("pace", [0, -1])
def test_a_pace_must_be_positive(pace):
    with pytest.raises(ValueError, match="pace"):
        start(pace=pace)


def test_every_platform_is_found_by_its_module(box):
    assert "haiyi" in platform_names()
    assert set(box.platforms) == set(platform_names())
    assert box.base_url("haiyi") == f"http://127.0.0.1:{box.port}/haiyi"


def test_after_stop_nobody_listens_and_open_connections_end():
    others = threading.enumerate()
    with requests.Session() as session, start() as box:
        session.headers["Authorization"] = f"Bearer {box.key('haiyi')}"
        url = box.base_url("haiyi") + LIST
        assert session.get(url, timeout=PATIENCE).status_code == 200
        box.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(url, timeout=PATIENCE)
    ours = [one for one in threading.enumerate() if one not in others]
    assert not any(one.name == "skyport-sandbox" for one in ours)


def test_a_connection_serves_many_requests(box):
    with closing(HTTPConnection("127.0.0.1", box.port, timeout=PATIENCE)) as line:
        headers = {"Authorization": f"Bearer {box.key('haiyi')}"}
        line.connect()
        first = line.sock
        for path in (LIST, "/openapi/v1/nothing", LIST):
            line.request("GET", f"/haiyi{path}", headers=headers)
            line.getresponse().read()
            assert line.sock is first


# -- keys and paths -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer wrong", "AI-sandbox-haiyi"])
def test_only_the_key_opens_it(box, value):
    headers = {} if value is None else {"Authorization": value}
    answer = requests.get(box.base_url("haiyi") + LIST, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 401
    assert answer.json() == {"code": 401, "msg": "The API key is missing or not valid."}


def test_a_refused_upload_is_read_to_its_end_and_the_connection_lives_on(box):
    good = {"Authorization": f"Bearer {box.key('haiyi')}"}
    with closing(HTTPConnection("127.0.0.1", box.port, timeout=PATIENCE)) as line:
        line.request("POST", f"/haiyi{UPLOAD}", b"x" * 3_000_000)
        answer = line.getresponse()
        assert (answer.status, answer.read()[:12]) == (401, b'{"code": 401')
        line.request("GET", f"/haiyi{LIST}", headers=good)
        assert line.getresponse().status == 200


def test_unknown_paths_and_methods_are_refused_in_json(box):
    assert get(box, "/openapi/v1/nothing").status_code == 404
    wrong = ask(box, "POST", LIST)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")
    assert requests.get(f"{box.origin}/nowhere/x", timeout=PATIENCE).json()["code"] == 404
    assert b'"code": 501' in exchange(box, head(box, "BREW", LIST))


# -- the log ------------------------------------------------------------------------------------


def test_the_log_tells_what_was_asked_and_never_the_key(box):
    url = upload(box, png(), FOX)
    get(box, LIST + "?model_types=text2image")
    requests.get(url, timeout=PATIENCE)
    sent, listed, fetched = box.log
    assert (sent.method, sent.path, sent.status) == ("POST", f"/haiyi{UPLOAD}", 200)
    assert sent.content_type.startswith("multipart/form-data; boundary=")
    assert sent.fields == {"file": {"filename": FOX, "content_type": "", "size": len(png())}}
    assert sent.size > len(png())
    assert (listed.query, listed.status) == ("model_types=text2image", 200)
    assert (sent.keyed, listed.keyed, fetched.keyed) == (True, True, False)
    assert box.key("haiyi") not in repr(box.log.all())
    assert box.log.of("POST", "file/upload") == [sent]


# -- bodies -------------------------------------------------------------------------------------

FORM = 'form-data; name="file"; filename="a.png"'


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (
            'form-data; name="file"; filename="\u7ad9\u7acb \u4eba\u7269.png"',
            "\u7ad9\u7acb \u4eba\u7269.png",
        ),
        ("form-data; name=\"file\"; filename*=utf-8''%E7%AB%99%20a.png", "\u7ad9 a.png"),
        (
            'form-data; name="file"; filename="x.png"; filename*=UTF-8\'\'%E7%AB%99.png',
            "\u7ad9.png",
        ),
        ("form-data; name=\"file\"; filename*0*=utf-8''%E7%AB; filename*1*=%99.png", "\u7ad9.png"),
        ('form-data; name="file"; filename="a%22b.png"', 'a"b.png'),
        (r'form-data; name="file"; filename="a\"b;c.png"', 'a"b;c.png'),
        ("form-data; name=file; filename=plain.png", "plain.png"),
    ],
)
def test_a_file_name_arrives_however_it_is_written(box, disposition, name):
    answer = raw_form(box, part(disposition, png()))
    assert answer.json()["filename"] == name


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (part(FORM, png(), end=""), "closing boundary"),
        (part(FORM, png(), end="\r\n--XX\r\n"), "closing boundary"),
        (b"--YY\r\n" + part(FORM, png()), "not well formed"),
        (b"", "closing boundary"),
        (part(FORM + "; filename=b.png", png()), "twice"),
        (part('attachment; name="file"; filename="a"', png()), "form-data"),
        (part('form-data; filename="a.png"', png()), "name="),
        (part(FORM + "\r\nContent-Disposition: form-data; name=x", png()), "same header twice"),
        (part(FORM, png(), end="\r\n") + part(FORM, png()), "given twice"),
        (part("form-data; name=file", b"\xff\xfe"), "not UTF-8"),
        (part(FORM, png()).replace(b"a.png", b"\xff.png"), "not UTF-8"),
        (
            part("form-data; name=file; filename*=utf-8''%ff.png", png()),
            "Cannot read the file name",
        ),
        (part("form-data; name=file; filename*=nonsense''a.png", png()), "Cannot read"),
    ],
)
def test_a_form_that_is_not_well_formed_is_refused(box, body, words):
    answer = raw_form(box, body)
    assert answer.status_code == 400
    assert words in answer.json()["msg"]


def test_a_form_must_say_that_it_is_one(box):
    assert raw_form(box, part(FORM, png()), "application/json").status_code == 415
    assert raw_form(box, part(FORM, png()), "").status_code == 415
    assert "boundary" in raw_form(box, part(FORM, png()), "multipart/form-data").json()["msg"]


def test_a_body_may_come_in_chunks(box):
    data = part(FORM, png((64, 64)))
    pieces = (data[at : at + 7] for at in range(0, len(data), 7))
    answer = ask(
        box,
        "POST",
        UPLOAD,
        data=pieces,
        headers={"Content-Type": "multipart/form-data; boundary=XX"},
    )
    assert answer.json()["file_size"] == len(png((64, 64)))
    assert box.log[-1].size == len(data)


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Transfer-Encoding: chunked"], b"zz\r\nabc\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\r\nabc\r\n0\r\n\r\n"),
        (["Transfer-Encoding: gzip"], b""),
        (["Transfer-Encoding: chunked", "Content-Length: 3"], b"0\r\n\r\n"),
        (["Content-Length: 3", "Content-Length: 4"], b"abcd"),
        (["Content-Length: -3"], b""),
    ],
)
def test_a_body_with_a_broken_frame_is_refused(box, lines, body):
    kind = "Content-Type: multipart/form-data; boundary=XX"
    assert b" 400 " in exchange(box, head(box, "POST", UPLOAD, kind, *lines), body)[:20]


def test_an_upload_over_the_limit_is_refused_and_not_kept(box):
    box.platforms["haiyi"].world.max_upload = 1000
    answer = raw_form(box, part(FORM, b"x" * 5000))
    assert answer.status_code == 413
    chunked = raw_form(box, iter([part(FORM, b"x" * 5000)]))
    assert chunked.status_code == 413


def test_a_large_upload_never_stands_in_memory(box):
    block = bytes(65536)
    body = chain([part(FORM, png(), end="")], repeat(block, 400), [b"\r\n--XX--\r\n"])
    tracemalloc.start()
    try:
        answer = raw_form(box, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.json()["file_size"] == len(png()) + 400 * len(block)
    assert peak < 6_000_000


# -- downloads ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=40-", 40, -1), ("bytes=-5", -5, -1)],
)
def test_a_range_is_served(box, asked, first, last):
    data = png((20, 20))
    url = upload(box, data)
    size = len(data)
    answer = requests.get(url, headers={"Range": asked}, timeout=PATIENCE)
    assert answer.status_code == 206
    assert answer.content == data[first % size : last % size + 1]
    assert answer.headers["Content-Range"] == f"bytes {first % size}-{last % size}/{size}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "lines=1-2", "bytes=9-3", "bytes=-"])
def test_a_range_that_is_not_understood_is_ignored(box, asked):
    answer = requests.get(upload(box, png()), headers={"Range": asked}, timeout=PATIENCE)
    assert (answer.status_code, answer.content) == (200, png())


def test_a_range_past_the_end_is_refused(box):
    answer = requests.get(upload(box, png()), headers={"Range": "bytes=99999-"}, timeout=PATIENCE)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(png())}"


def test_a_resume_starts_over_when_the_file_is_another(box):
    url = upload(box, png())
    tag = requests.head(url, timeout=PATIENCE).headers["ETag"]
    same = requests.get(url, headers={"Range": "bytes=5-", "If-Range": tag}, timeout=PATIENCE)
    other = requests.get(url, headers={"Range": "bytes=5-", "If-Range": '"old"'}, timeout=PATIENCE)
    assert (same.status_code, same.content) == (206, png()[5:])
    assert (other.status_code, other.content) == (200, png())


def test_a_head_has_the_length_and_no_body(box):
    answer = requests.head(upload(box, png()), timeout=PATIENCE)
    assert answer.headers["Content-Length"] == str(len(png()))
    assert (answer.headers["Accept-Ranges"], answer.content) == ("bytes", b"")


# -- faults -------------------------------------------------------------------------------------


def test_a_status_fault_answers_in_place_of_the_platform(box):
    body = {"code": 429, "msg": "insufficient balance"}
    box.faults.add(
        f"GET {LIST}", "status", status=429, body=body, headers={"Retry-After": "2"}, times=2
    )
    for _ in range(2):
        answer = get(box, LIST)
        assert (answer.status_code, answer.json()) == (429, body)
        assert answer.headers["Retry-After"] == "2"
    assert get(box, LIST).status_code == 200


def test_a_fault_can_wait_for_its_turn_and_match_by_pattern(box):
    fault = box.faults.add("*/workflow/cluster/*", "status", status=503, skip=1)
    assert [get(box, CLUSTERS).status_code for _ in range(3)] == [200, 503, 200]
    assert get(box, LIST).status_code == 200
    assert fault.hits == 1


def test_an_unknown_fault_is_refused(box):
    with pytest.raises(ValueError, match="explode"):
        box.faults.add("/x", "explode")


def test_html_and_bad_json_come_with_200(box):
    box.faults.add(f"GET {LIST}", "html")
    page = get(box, LIST)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!DOCTYPE html>")
    box.faults.add(f"GET {LIST}", "bad_json")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        get(box, LIST).json()


def test_a_redirect_leads_to_another_host_where_the_log_shows_who_came(box):
    box.faults.add(f"GET {LIST}", "redirect")
    answer = get(box, LIST, allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"http://localhost:{box.port}/elsewhere"
    requests.get(answer.headers["Location"], timeout=PATIENCE)
    assert (box.log[-1].path, box.log[-1].keyed) == ("/elsewhere", False)


def test_a_delay_outlasts_an_impatient_client(box):
    box.faults.add(f"GET {LIST}", "delay", seconds=PATIENCE)
    with pytest.raises(requests.ReadTimeout):
        requests.get(box.base_url("haiyi") + LIST, timeout=(PATIENCE, 0.05))


@pytest.mark.parametrize("read", [True, False])
def test_a_cut_before_gives_no_answer_and_keeps_nothing(box, read):
    box.faults.add(f"POST {UPLOAD}", "cut_before", read=read)
    with pytest.raises(requests.ConnectionError):
        upload(box, png((300, 300)))
    assert [(s.status, s.fields) for s in box.log] == [(0, None)]
    assert upload(box, png())


def test_a_cut_after_did_the_work(box):
    box.faults.add(f"POST {UPLOAD}", "cut_after")
    with pytest.raises(requests.ConnectionError):
        upload(box, png())
    assert box.log[-1].fields["file"]["filename"] == "a.png"


def test_a_cut_body_is_shorter_than_it_says_and_can_be_resumed(box):
    url = upload(box, png((50, 50)))
    box.faults.add("GET /oss/*", "cut_body", after=20)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, timeout=PATIENCE)
    rest = requests.get(url, headers={"Range": "bytes=20-"}, timeout=PATIENCE)
    assert rest.content == png((50, 50))[20:]


def test_a_short_body_says_its_own_length(box):
    url = upload(box, png((50, 50)))
    box.faults.add("GET /oss/*", "short_body", after=20)
    answer = requests.get(url, timeout=PATIENCE)
    assert answer.content == png((50, 50))[:20]


@pytest.mark.parametrize("kind", ["image", "video"])
def test_pictures_of_the_documentation_bear_no_words(kind, tmp_path, monkeypatch):
    def corner(name, text):
        path = draw(DrawSpec(kind, text, (320, 240), 0.2, variant="7"), tmp_path / name)
        with av.open(str(path)) as film:
            return next(film.decode(video=0)).to_ndarray(format="rgb24")[:12, :60]

    assert corner("said", "a boat").max() > 235  # the white of the label
    monkeypatch.setenv("SKYPORT_SANDBOX_SCENES", "1")
    assert corner("plain", "a boat").max() < 235
