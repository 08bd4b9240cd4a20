"""Pins: a result arrives byte for byte or not at all; nobody can send us to a private host."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from _waiting import PATIENT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Answer, LoggedRequest, Scripted, answer_json, answer_page, redirect
from skyport.engine.base.errors import (
    AuthRejected,
    BadResult,
    InputRejected,
    NotFound,
    ServerFault,
    SkyportError,
    TransportError,
)
from skyport.engine.base.types import Kind
from skyport.engine.http.client import Http
from skyport.engine.http.public_hosts import _PublicOnly, is_public_address
from skyport.engine.http.retry import retrying
from skyport.engine.media.download import Download, keep, link_expired
from skyport.engine.media.part_file import PartialFile, start_write_back
from skyport.engine.tasks.results import file_stem
from urllib3.connection import HTTPConnection, HTTPSConnection

KEY = "AI-0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4000  # about 1 MB
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + bytes(4000)
OFFERS_RANGES = (("Accept-Ranges", "bytes"), ("ETag", '"v1"'))


def http_of(server: Scripted) -> Http:
    headers = {"Authorization": f"Bearer {KEY}"}
    return Http("HaiYi", server.url, headers, timeout=PATIENT)


def fetching(server: Scripted, url: str, folder: Path, **options: Any) -> Download:
    whole = url if url.startswith("http") else server.url + url
    return Download(http_of(server), whole, folder / "out" / "cat_1", **options)


def carry(call: Callable[[], Any]) -> Any:
    """What came of `call` through `retrying`, with no time passing."""

    async def sleep(_: float) -> None:
        return None

    async def whole() -> Any:
        try:
            return await retrying(call, run_blocking=asyncio.to_thread, sleep=sleep)
        except SkyportError as error:
            return error

    return asyncio.run(whole())


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").glob("*"))


# -- arrives --------------------------------------------------------------------------------


def test_a_result_arrives_byte_for_byte_under_the_name_its_bytes_call_for(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("/a.jpg", Answer(body=PNG, headers=(("Content-Type", "video/mp4"),)))
    received: list[tuple[int, int]] = []
    file = fetching(server, "/a.jpg", tmp_path, report=lambda *at: received.append(at)).attempt()
    assert file.path == tmp_path / "out" / "cat_1.png"
    assert file.path.read_bytes() == PNG
    assert (file.kind, file.mime, file.size) == (Kind.IMAGE, "image/png", len(PNG))
    assert file.sha256 == hashlib.sha256(PNG).hexdigest()
    assert received[-1] == (len(PNG), len(PNG))
    assert left_in(tmp_path) == ["cat_1.png"]


def test_an_existing_file_is_never_overwritten(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(body=PNG))
    names = [fetching(server, "/a", tmp_path).attempt().path.name for _ in range(3)]
    assert names == ["cat_1.png", "cat_1_2.png", "cat_1_3.png"]


def test_a_stem_from_outside_cannot_leave_its_folder(tmp_path: Path) -> None:
    assert keep(PNG, tmp_path / "a:b*c").path == tmp_path / "a_b_c.png"
    assert keep(PNG, tmp_path / "..").path.parent == tmp_path


def test_a_result_without_a_length_arrives_whole(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(body=PNG, length=False))
    assert fetching(server, "/a", tmp_path).attempt().size == len(PNG)


@pytest.mark.parametrize(
    ("body", "content_type", "path", "kind", "name"),
    [
        (MP4, "", "/a", Kind.VIDEO, "cat_1.mp4"),
        (MP4, "audio/mp4", "/a", Kind.AUDIO, "cat_1.m4a"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "text/html", "/a.html", Kind.AUDIO, "cat_1.wav"),
        (b"\x01\x02\x00\x03", "audio/mpeg", "/a", Kind.AUDIO, "cat_1.mp3"),
        (b"\x01\x02\x00\x03", "", "/a.mp4?x=1", Kind.VIDEO, "cat_1.mp4"),
        (b"\x01\x02\x00\x03", "", "/view?filename=b.webm", Kind.VIDEO, "cat_1.webm"),
    ],
    ids=["bytes", "audio in mp4", "bytes over all", "Content-Type", "URL", "query"],
)
def test_what_it_is_is_told_by_bytes_then_content_type_then_name(
    server: Scripted,
    tmp_path: Path,
    body: bytes,
    content_type: str,
    path: str,
    kind: Kind,
    name: str,
) -> None:
    server.on("*", Answer(body=body, headers=(("Content-Type", content_type),)))
    file = fetching(server, path, tmp_path).attempt()
    assert (file.kind, file.path.name) == (kind, name)


def test_text_is_a_result_only_where_it_is_wanted(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(body=b"a cat", headers=(("Content-Type", "text/plain"),)))
    file = fetching(server, "/a", tmp_path, text=True).attempt()
    assert (file.kind, file.path.name) == (Kind.TEXT, "cat_1.txt")
    with pytest.raises(BadResult, match="a cat"):
        fetching(server, "/a", tmp_path).attempt()


def test_a_result_inside_an_answer_is_kept_the_same_way(tmp_path: Path) -> None:
    file = keep(PNG, tmp_path / "out" / "cat.1")
    assert file.path == tmp_path / "out" / "cat.1.png"
    assert (file.kind, file.sha256) == (Kind.IMAGE, hashlib.sha256(PNG).hexdigest())
    with pytest.raises(BadResult):
        keep(b"<html>no", tmp_path / "out" / "page")
    assert left_in(tmp_path) == ["cat.1.png"]


# -- no medium, too much, a full disk -------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"<!doctype html><title>x</title><p>Link expired", "image/png", "Link expired"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "", "NoSuchKey"),
        (b'{"error": "not ready"}', "video/mp4", "not ready"),
        (b"PK\x03\x04" + bytes(60), "application/zip", "50 4b 03 04"),
        (b"", "image/png", "image/png"),
    ],
    ids=["page", "XML", "JSON", "archive", "nothing"],
)
def test_what_is_no_medium_is_refused_with_its_first_words(
    server: Scripted, tmp_path: Path, body: bytes, content_type: str, words: str
) -> None:
    server.on("/a.png", Answer(body=body, headers=(("Content-Type", content_type),)))
    error = carry(fetching(server, "/a.png", tmp_path).attempt)
    assert isinstance(error, BadResult)
    assert words in str(error)
    assert str(error).startswith("HaiYi: ")
    assert server.counts["/a.png"] == 1
    assert left_in(tmp_path) == []


def test_a_result_said_to_be_too_large_is_not_even_begun(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(body=PNG))
    received: list[tuple[int, int]] = []
    with pytest.raises(BadResult, match="too large"):
        fetching(
            server, "/a", tmp_path, cap=len(PNG) - 1, report=lambda *at: received.append(at)
        ).attempt()
    assert received == []
    assert left_in(tmp_path) == []
    assert fetching(server, "/a", tmp_path, cap=len(PNG)).attempt().size == len(PNG)


def test_a_result_that_grows_too_large_is_stopped(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(body=PNG, length=False))
    with pytest.raises(BadResult, match="too large"):
        fetching(server, "/a", tmp_path, cap=500_000).attempt()
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(body=PNG))
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(BadResult, match="could not be written to"):
        fetching(server, "/a", tmp_path).attempt()


# -- cuts -----------------------------------------------------------------------------------


def test_a_cut_result_goes_on_where_it_stopped(server: Scripted, tmp_path: Path) -> None:
    def rest(seen: LoggedRequest) -> Answer:
        begin = int(seen.headers["range"].removeprefix("bytes=").removesuffix("-"))
        span = ("Content-Range", f"bytes {begin}-{len(PNG) - 1}/{len(PNG)}")
        return Answer(
            206, PNG[begin:], (span, *OFFERS_RANGES), cut=300_000 if begin <= 6e5 else None
        )

    server.on("/a", Answer(body=PNG, headers=OFFERS_RANGES, cut=600_000), rest)
    file = carry(fetching(server, "/a", tmp_path).attempt)
    assert file.path.read_bytes() == PNG
    assert file.sha256 == hashlib.sha256(PNG).hexdigest()
    assert [seen.headers.get("if-range") for seen in server.seen] == [None, '"v1"', '"v1"']
    assert 500_000 < int(server.seen[1].headers["range"][6:-1]) <= 600_000
    assert left_in(tmp_path) == ["cat_1.png"]


@pytest.mark.parametrize(
    "headers",
    [
        (("Accept-Ranges", "bytes"),),
        (("Accept-Ranges", "bytes"), ("ETag", 'W/"v1"')),
        (("ETag", '"v1"'),),
    ],
    ids=["no ETag", "weak ETag", "no ranges"],
)
def test_a_cut_result_starts_again_where_nothing_promises_the_same_bytes(
    server: Scripted, tmp_path: Path, headers: tuple[tuple[str, str], ...]
) -> None:
    server.on("/a", Answer(body=PNG, headers=headers, cut=600_000), Answer(body=PNG))
    file = carry(fetching(server, "/a", tmp_path).attempt)
    assert file.path.read_bytes() == PNG
    assert "range" not in server.seen[1].headers


def test_a_file_that_changed_between_cut_and_resume_is_fetched_anew(
    server: Scripted, tmp_path: Path
) -> None:
    other = PNG[:8] + b"other" * 1000
    server.on("/a", Answer(body=PNG, headers=OFFERS_RANGES, cut=600_000), Answer(body=other))
    assert carry(fetching(server, "/a", tmp_path).attempt).path.read_bytes() == other


def test_a_rest_that_ends_early_is_gone_on_with_once_more(server: Scripted, tmp_path: Path) -> None:
    """Its own length is honest: only the size told for the whole file says that some is missing."""

    def rest(seen: LoggedRequest) -> Answer:
        begin = int(seen.headers["range"][6:-1])
        some = PNG[begin : begin + 200_000]
        span = ("Content-Range", f"bytes {begin}-{begin + len(some) - 1}/{len(PNG)}")
        return Answer(206, some, (span, *OFFERS_RANGES))

    server.on("/a", Answer(body=PNG, headers=OFFERS_RANGES, cut=600_000), rest)
    file = carry(fetching(server, "/a", tmp_path).attempt)
    assert file.path.read_bytes() == PNG
    assert len(server.seen) == 4


@pytest.mark.parametrize("size", [f"{len(PNG)}", "*"])
def test_a_host_that_sends_the_whole_file_as_a_part_delivers(
    server: Scripted, tmp_path: Path, size: str
) -> None:
    span = ("Content-Range", f"bytes 0-{len(PNG) - 1}/{size}")
    server.on("/a", Answer(206, PNG, (span,)))
    file = fetching(server, "/a", tmp_path).attempt()
    assert file.path.read_bytes() == PNG


def test_the_first_part_of_a_file_that_nobody_asked_for_in_parts_is_not_the_whole(
    server: Scripted, tmp_path: Path
) -> None:
    span = ("Content-Range", f"bytes 0-599999/{len(PNG)}")
    server.on("/a", Answer(206, PNG[:600_000], (span,)), Answer(body=PNG))
    download = fetching(server, "/a", tmp_path)
    with pytest.raises(TransportError, match="cut"):
        download.attempt()
    assert carry(download.attempt).path.read_bytes() == PNG


def test_parts_of_a_process_that_died_go_and_those_of_others_stay(
    server: Scripted, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    folder = tmp_path / "out"
    folder.mkdir()
    left, living, other = (
        folder / name
        for name in (
            f"cat_1.7.{dead.pid}.part",
            f"cat_1.8.{os.getpid()}.part",
            f"another.7.{dead.pid}.part",
        )
    )
    for part in (left, living, other):
        part.write_bytes(b"half")
    server.on("/a", Answer(body=PNG))
    carry(fetching(server, "/a", tmp_path).attempt)
    assert [part.exists() for part in (left, living, other)] == [False, True, True]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder"
)
def test_a_folder_that_can_only_be_written_to_takes_results(
    server: Scripted, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    folder.chmod(0o300)
    try:
        server.on("/a", Answer(body=PNG))
        assert carry(fetching(server, "/a", tmp_path).attempt).path.read_bytes() == PNG
    finally:
        folder.chmod(0o700)


def test_a_rest_of_another_file_is_not_put_behind_the_first_part(
    server: Scripted, tmp_path: Path
) -> None:
    def rest(seen: LoggedRequest) -> Answer:
        begin = int(seen.headers["range"][6:-1])
        span = ("Content-Range", f"bytes {begin}-{len(PNG) - 1}/{len(PNG)}")
        return Answer(206, bytes(len(PNG) - begin), (span, ("ETag", '"v2"')))

    cut = Answer(body=PNG, headers=OFFERS_RANGES, cut=600_000)
    server.on("/a", cut, rest, Answer(body=PNG))
    assert carry(fetching(server, "/a", tmp_path).attempt).path.read_bytes() == PNG
    assert "range" not in server.seen[2].headers


@pytest.mark.parametrize(
    "strange",
    [
        Answer(206, PNG[5:], (("Content-Range", f"bytes 5-{len(PNG) - 1}/{len(PNG)}"),)),
        Answer(206, PNG[600_000:]),
        Answer(416),
    ],
    ids=["wrong place", "no place", "416"],
)
def test_a_resume_that_goes_wrong_starts_from_nothing(
    server: Scripted, tmp_path: Path, strange: Answer
) -> None:
    cut = Answer(body=PNG, headers=OFFERS_RANGES, cut=600_000)
    server.on("/a", cut, strange, Answer(body=PNG))
    assert carry(fetching(server, "/a", tmp_path).attempt).path.read_bytes() == PNG
    assert "range" not in server.seen[2].headers


def test_a_result_cut_every_time_is_a_transport_error_that_says_it_is_not_lost(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("/a", Answer(body=PNG, cut=1000))
    download = fetching(server, "/a?Signature=s3cret", tmp_path)
    error = carry(download.attempt)
    assert isinstance(error, TransportError)
    assert server.counts["/a"] == 5
    assert "not lost" in str(error)
    assert "s3cret" not in "".join(traceback.format_exception(error))
    assert error.__context__ is None
    download.discard()
    assert left_in(tmp_path) == []


def test_a_busy_host_is_asked_again(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", Answer(503), answer_json({"msg": "slow down"}, 429), Answer(body=PNG))
    assert carry(fetching(server, "/a", tmp_path).attempt).size == len(PNG)
    server.on("/b", answer_json({"msg": "broken"}, 500))
    assert isinstance(carry(fetching(server, "/b", tmp_path).attempt), ServerFault)


# -- links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_an_expired_link_tells_the_caller_to_ask_for_a_fresh_one(
    server: Scripted, tmp_path: Path, status: int
) -> None:
    server.on("/a", Answer(status, b"<Error><Message>Request has expired</Message></Error>"))
    error = carry(fetching(server, "/a", tmp_path).attempt)
    assert isinstance(error, NotFound)
    assert link_expired(error)
    assert "Request has expired" in str(error)
    assert server.counts["/a"] == 1


@pytest.mark.parametrize(
    ("words", "expired"), [("Request has Expired.", True), ("The range is not valid.", False)]
)
def test_a_400_is_about_the_link_where_its_words_say_that_it_expired(
    server: Scripted, tmp_path: Path, words: str, expired: bool
) -> None:
    server.on("/a", Answer(400, f"<Error><Message>{words}</Message></Error>".encode()))
    error = carry(fetching(server, "/a", tmp_path).attempt)
    assert isinstance(error, InputRejected)
    assert words in str(error)
    assert link_expired(error) is expired


def test_a_403_is_about_the_link_elsewhere_and_about_the_key_at_home(
    server: Scripted, elsewhere: Scripted, tmp_path: Path
) -> None:
    for host in (server, elsewhere):
        host.on("/a", Answer(403, b"denied"))
    away = carry(fetching(server, f"{elsewhere.url}/a", tmp_path).attempt)
    home = carry(fetching(server, "/a", tmp_path).attempt)
    assert (type(away), type(home)) == (NotFound, AuthRejected)
    assert link_expired(away)
    assert link_expired(home)


@pytest.mark.parametrize(
    "target",
    [
        "/view?filename=a%2Fb&Signature=q5mZ%2Bx%3D",
        "/a%2fb%7e~/c.png?x=a+b&y=%7E&Z=%e7%ab%99",
        "/p[1]/{x}|y?list[]=1&q='\"<>^`\\",
        "/a//b/../c/./d?&&=&e=#",
        "/?",
    ],
)
def test_a_signed_url_goes_out_byte_for_byte(server: Scripted, tmp_path: Path, target: str) -> None:
    server.on("*", Answer(body=PNG))
    fetching(server, target, tmp_path).attempt()
    assert server.seen[0].target == target.rstrip("#")


def test_a_signed_url_goes_out_byte_for_byte_after_a_redirect_and_through_a_proxy(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = "http://oss.example.com/a%2fb?Signature=q5m%2b~[x]"
    server.on("/go", redirect(signed))
    server.on("/a%2fb", Answer(body=PNG))
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetching(server, "/go", tmp_path).attempt()
    assert server.seen[1].target == signed
    assert server.seen[1].headers["host"] == "oss.example.com"
    assert "authorization" not in server.seen[1].headers


def test_what_cannot_travel_in_a_url_is_encoded(server: Scripted, tmp_path: Path) -> None:
    server.on("*", Answer(body=PNG))
    fetching(server, "/\u7ad9 a.png?n=\u00e9%2F", tmp_path).attempt()
    assert server.seen[0].target == "/%E7%AB%99%20a.png?n=%C3%A9%2F"


def test_a_redirect_may_be_relative_or_hold_raw_utf8(server: Scripted, tmp_path: Path) -> None:
    server.on("/a/b", redirect("c.png?x=%2f", 307))
    server.on("/a/c.png", redirect("/\u7ad9", 301))
    server.on("*", Answer(body=PNG))
    fetching(server, "/a/b", tmp_path).attempt()
    assert [seen.target for seen in server.seen] == ["/a/b", "/a/c.png?x=%2f", "/%E7%AB%99"]


def test_a_link_in_circles_is_given_up(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", redirect("/a"))
    assert isinstance(carry(fetching(server, "/a", tmp_path).attempt), BadResult)
    assert server.counts["/a"] == 6


# -- the key --------------------------------------------------------------------------------


def test_the_key_goes_to_the_platforms_own_origin_and_not_along_a_redirect(
    server: Scripted, elsewhere: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.on("/api/view", redirect(f"{elsewhere.url}/a"))
    elsewhere.on("/a", redirect(f"{server.url}/b"))
    server.on("/b", Answer(body=PNG))
    fetching(server, "/api/view?filename=x.png", tmp_path).attempt()
    assert [seen.headers.get("authorization") for seen in server.seen] == [f"Bearer {KEY}"] * 2
    assert [seen.headers.get("authorization") for seen in elsewhere.seen] == [None]


# -- hosts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.2",
        "127.1",
        "2130706434",
        "0x7f.2",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "100.64.0.1",
    ],
)
@pytest.mark.parametrize("way", ["given", "redirected"])
def test_a_private_host_is_refused_by_name_before_anything_is_sent(
    server: Scripted, tmp_path: Path, host: str, way: str
) -> None:
    url = f"http://{host}:{server.port}/secret?token=s3cret"
    server.on("/go", redirect(url))
    error = carry(fetching(server, url if way == "given" else "/go", tmp_path).attempt)
    assert isinstance(error, BadResult)
    assert host.strip("[]") in str(error)
    assert "not a public host" in str(error)
    assert "HAIYI_BASE_URL" in str(error)
    assert "s3cret" not in str(error)
    assert server.counts["/secret"] == 0
    assert server.connections == (0 if way == "given" else 1)


class Internet:
    """Names, and the way to public addresses: all of them lead to this machine.

    names      by name, the addresses that each look-up is answered with in turn; the last one stays
    asked      the names looked up, in order
    connected  the addresses that this thread connected to, in order: what other tests have left
               running has threads of its own
    no_report  public addresses where nobody answers
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.connected: list[str] = []
        self.no_report: set[str] = set()
        connect, mine = socket.socket.connect, threading.get_ident()

        def connected(line: socket.socket, to: Any) -> None:
            if threading.get_ident() == mine:
                self.connected.append(to[0])
            if to[0] in self.no_report:
                raise ConnectionRefusedError
            connect(line, ("127.0.0.1", to[1]) if is_public_address(to[0]) else to)

        def looked_up(host: str, port: int, *_: Any, **__: Any) -> Any:
            found = self._found(host) if host in self.names else [host]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

        monkeypatch.setattr(socket.socket, "connect", connected)
        monkeypatch.setattr(socket, "getaddrinfo", looked_up)

    def _found(self, host: str) -> list[str]:
        self.asked.append(host)
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    return Internet(monkeypatch)


@pytest.mark.parametrize(
    "answer", [["10.0.0.5", "8.8.8.8"], ["8.8.8.8", "10.0.0.5"], ["127.0.0.1", "8.8.8.8", "::1"]]
)
def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_connected_to(
    server: Scripted, internet: Internet, tmp_path: Path, answer: list[str]
) -> None:
    internet.names = {"files.example": [answer]}
    server.on("/a", Answer(body=PNG))
    url = f"http://files.example:{server.port}/a"
    assert fetching(server, url, tmp_path).attempt().size == len(PNG)
    assert internet.connected == ["8.8.8.8"]


def test_a_name_whose_addresses_are_all_private_is_refused(
    server: Scripted, internet: Internet, tmp_path: Path
) -> None:
    internet.names = {"files.example": [["10.0.0.5", "127.0.0.1"]]}
    url = f"http://files.example:{server.port}/a"
    assert isinstance(carry(fetching(server, url, tmp_path).attempt), BadResult)
    assert internet.connected == []


def test_the_address_that_was_checked_is_the_one_connected_to_whatever_a_second_look_up_tells(
    server: Scripted, internet: Internet, tmp_path: Path
) -> None:
    internet.names = {"files.example": [["8.8.8.8"], ["127.0.0.1"]]}
    server.on("/a", Answer(body=PNG))
    url = f"http://files.example:{server.port}/a"
    assert fetching(server, url, tmp_path).attempt().size == len(PNG)
    assert (internet.asked, internet.connected) == (["files.example"], ["8.8.8.8"])
    assert server.seen[0].headers["host"] == f"files.example:{server.port}"


def test_of_several_public_addresses_the_next_is_tried_where_one_does_not_answer(
    server: Scripted, internet: Internet, tmp_path: Path
) -> None:
    internet.names = {"files.example": [["8.8.8.8", "1.1.1.1"]]}
    internet.no_report = {"8.8.8.8"}
    server.on("/a", Answer(body=PNG))
    url = f"http://files.example:{server.port}/a"
    assert fetching(server, url, tmp_path).attempt().size == len(PNG)
    assert internet.connected == ["8.8.8.8", "1.1.1.1"]
    assert internet.asked == ["files.example"]


def test_once_connected_the_name_is_again_what_a_certificate_must_be_for(
    server: Scripted, internet: Internet
) -> None:
    internet.names = {"files.example": [["8.8.8.8"]]}
    line = type("Line", (_PublicOnly, HTTPSConnection), {})("files.example", server.port)
    line._new_conn().close()
    assert line.host == "files.example"


def test_the_platforms_own_host_may_be_private_on_any_port(
    server: Scripted, elsewhere: Scripted, tmp_path: Path
) -> None:
    elsewhere.on("/a", Answer(body=PNG))
    assert fetching(server, f"{elsewhere.url}/a", tmp_path).attempt().size == len(PNG)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "file:///etc/passwd",
        "//a.example/x",
        "cat.png",
        "",
        "http://",
        "http://\uff4cocalhost/x",
    ],
)
def test_only_web_addresses_are_fetched(server: Scripted, tmp_path: Path, url: str) -> None:
    error = carry(Download(http_of(server), url, tmp_path / "out" / "cat").attempt)
    assert isinstance(error, BadResult)


def test_a_redirect_to_a_file_is_refused(server: Scripted, tmp_path: Path) -> None:
    server.on("/a", redirect("file:///etc/passwd"))
    assert isinstance(carry(fetching(server, "/a", tmp_path).attempt), BadResult)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.2", "localhost", "router", "nas.local", "2130706434", "[::1]"],
)
def test_through_a_proxy_names_and_addresses_that_say_they_are_local_are_refused(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    error = carry(fetching(server, f"http://{host}/x", tmp_path).attempt)
    assert isinstance(error, BadResult)
    assert "not a public host" in str(error)
    assert server.seen == []


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("198.18.0.7", True),  # what proxy tools answer for every public name
        ("198.19.255.255", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("ff02::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
    ],
)
def test_which_addresses_a_public_host_may_have(address: str, allowed: bool) -> None:
    assert is_public_address(address) is allowed


def test_bytes_are_asked_for_uncompressed_so_that_lengths_are_those_of_the_file(
    server: Scripted, tmp_path: Path
) -> None:
    def reply(seen: LoggedRequest) -> Answer:
        plain = seen.headers["accept-encoding"] == "identity"
        return Answer(body=PNG) if plain else answer_page("compressed")

    server.on("/a", reply)
    assert fetching(server, "/a", tmp_path).attempt().size == len(PNG)


# -- what we override in urllib3 ----------------------------------------------------------------


@pytest.mark.parametrize("connection", [HTTPConnection, HTTPSConnection])
def test_urllib3_still_connects_and_asks_through_the_methods_that_the_guard_overrides(
    server: Scripted, connection: type[HTTPConnection]
) -> None:
    """Renamed, they would be overridden in vain: nothing fails, and nothing is guarded."""
    called: list[tuple[str, ...]] = []

    class Spy(connection):  # type: ignore[misc, valid-type]
        def _new_conn(self) -> socket.socket:
            called.append(("_new_conn", self._dns_host))
            raise ConnectionRefusedError

        def putrequest(self, method: str, url: str, *_: Any, **__: Any) -> None:
            called.append(("putrequest", method, url))
            raise ConnectionRefusedError

    spy = Spy("files.example", server.port)
    for use in (spy.connect, lambda: spy.request("GET", "/a")):
        with pytest.raises(ConnectionRefusedError):
            use()
    answer = f"urllib3 {urllib3.__version__}"
    assert called == [("_new_conn", "files.example"), ("putrequest", "GET", "/a")], answer


@pytest.mark.parametrize("connection", [HTTPConnection, HTTPSConnection])
def test_urllib3_still_connects_to_the_address_that_the_guard_sets_and_not_to_the_name(
    server: Scripted, connection: type[HTTPConnection]
) -> None:
    line = connection("files.example", server.port)
    name, line._dns_host = line._dns_host, "127.0.0.1"
    with line._new_conn() as opened:
        assert opened.getpeername() == ("127.0.0.1", server.port), urllib3.__version__
    line._dns_host = name
    assert line.host == "files.example", urllib3.__version__  # what a certificate must be for


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_guard_is_in_the_way_of_every_connection_whatever_its_scheme(
    server: Scripted, tmp_path: Path, scheme: str
) -> None:
    url = f"{scheme}://127.0.0.2:{server.port}/secret"
    error = carry(fetching(server, url, tmp_path).attempt)
    assert isinstance(error, BadResult)
    assert "not a public host" in str(error)
    assert server.connections == 0


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stem",
    ["\u7535\u5f71" * 100, "t" * 300, "CON", "nul.png", "a/b\\c:d", "half \ud83d", "..", "x."],
)
def test_any_name_becomes_one_that_every_disk_takes(tmp_path: Path, stem: str) -> None:
    files = [keep(PNG, tmp_path / f"{stem}_{n}".replace("/", "_")) for n in (1, 2)]
    names = [file.path.name for file in files]
    assert len(set(names)) == 2
    for name in names:
        assert len(name.encode()) <= 200
        assert re.fullmatch(r"[^\\/:*?\"<>|\x00-\x1f]+(?<![. ])", name)


def test_long_names_that_begin_alike_stay_two(tmp_path: Path) -> None:
    first, second = (keep(PNG, tmp_path / f"{'t' * 200}_{n}") for n in (1, 2))
    assert first.path.stem != second.path.stem.removesuffix("_2")


RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"} | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789\u00b9\u00b2\u00b3"
}
# What hosts and platforms are free to say: text of any kind, and what systems stumble over.
WICKED = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            *(
                "../../etc/x",
                "..\\..\\x.bat",
                "C:\\x",
                "\\\\host\\share",
                "a:stream",
                "nul",
                "COM1.x",
            ),
            *("COM1.x", "com\u00b9", "CON ", "aux .txt", "x.", "x ", ".", "..", "~", "-", "%00"),
            *("\u202egnp.exe", "a\0b", "a\nb", "\u0130\u0131", "\ud83d", "\ufeff"),
            *("\ufb01" * 90, "\u7535" * 90),
        ]
    ),
)
TYPES = st.one_of(
    WICKED.map(lambda text: f"image/{text}"),
    WICKED,
    st.sampled_from(["text/html", "image/svg+xml", "image/x-sh", "video/../../x.py", "a/b; c=d"]),
)
CONTENTS = st.sampled_from(
    [PNG[:60], MP4, b"\x01\x02\x00\x03", b"PK\x03\x04\0", b"MZ\x90\0", b"a,b\n1,2"]
)


def faults_of(name: str) -> list[str]:
    """Why Windows, macOS or Linux would not take `name`, or would take it for something else."""
    base = name.split(".")[0].rstrip(" ").upper()
    unseen = ("Cc", "Cf", "Cs", "Zl", "Zp")
    found = {
        "empty": not name or set(name) <= {"."},
        "too long": len(name.encode("utf-8", "surrogatepass")) > 200,
        "a character that Windows refuses": any(char in '<>:"/\\|?*' for char in name),
        "unseen": any(unicodedata.category(char) in unseen for char in name),
        "an end that Windows drops": name.endswith((".", " ")),
        "a device of Windows": base in RESERVED,
    }
    return [fault for fault, there in found.items() if there]


RUN_NAMES = "html htm svg js py sh bat cmd exe ps1 vbs lnk scr com url jar msi hta wsf"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(titles=st.lists(WICKED, min_size=2, max_size=3), mime=TYPES, name=WICKED, body=CONTENTS)
def test_names_and_endings_of_results_are_valid_and_different_on_every_system(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], mime: str, name: str, body: bytes
) -> None:
    folder = tmp_path_factory.mktemp("names")
    found = []
    for number, title in enumerate(titles):
        part = PartialFile(folder / file_stem(title, f"{title}{number % 2}", "p"))
        part.restart()
        part.write(body)
        try:
            found.append(part.settle(mime, name, text=True))
        except BadResult:  # it is no result
            part.discard()
    names = [file.path.name for file in found]
    assert [faults_of(each) for each in names] == [[] for _ in names]
    assert len({unicodedata.normalize("NFC", each).casefold() for each in names}) == len(names)
    for file in found:
        assert file.path.parent == folder
        assert file.path.read_bytes() == body
        ending = file.path.suffix[1:]
        assert re.fullmatch(r"[a-z0-9]{2,11}", ending)
        assert ending not in RUN_NAMES.split()
        assert re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", file.mime)
    assert {path.name for path in folder.iterdir()} == set(names)


def test_a_large_result_that_was_written_in_two_goes_has_all_its_bytes_and_their_hash(
    tmp_path: Path,
) -> None:
    piece = hashlib.shake_256(b"large").digest(300_001)
    part = PartialFile(tmp_path / "large")
    part.restart()
    part.write(PNG)
    for _ in range(40):
        part.write(piece)
    part.reopen()
    for _ in range(40):
        part.write(piece)
    file = part.settle("", "", text=False)
    whole = PNG + 80 * piece
    assert file.path.read_bytes() == whole
    assert (file.size, file.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


def test_a_disk_that_cannot_write_early_stops_no_download() -> None:
    reader, writer = os.pipe()  # refuses the hint, as some network drives do
    start_write_back(writer, 0)
    os.close(reader)
    os.close(writer)
    start_write_back(writer, 0)
