"""Pins which requests share a connection: reads do, orders never; and that what a secure connection
costs, reading certificates and checking the host's, is paid once.

An order on a connection that the platform has just closed would be one of which nobody knows
whether it was accepted. Eight tasks over TLS once made 61 connections, each from scratch.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import orders
import pytest
import requests
from _clock import StoppedClock
from _waiting import PATIENCE
from certificates import Tls, make_certificate
from sandboxes import environment, set_environment
from scripted import Answer, LoggedRequest, Scripted, answer_json
from skyport import providers
from skyport.engine.base.errors import BadResult, TransportError
from skyport.engine.base.types import Request
from skyport.engine.http.client import Http
from skyport.engine.http.public_hosts import exact_exchange
from skyport.engine.http.slow_answers import MinimumRate
from skyport.engine.media.download import Download
from skyport.sandbox import start

PATIENT = (PATIENCE, PATIENCE)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def api(server: Scripted, **more: MinimumRate) -> Http:
    return Http(
        "HaiYi", server.url, {"Authorization": "Bearer secret-key"}, timeout=PATIENT, **more
    )


def connections(server: Scripted) -> list[int]:
    return [seen.connection for seen in server.seen]


# -- shared -------------------------------------------------------------------------------------


def test_reads_use_the_connection_that_an_order_opened(server: Scripted) -> None:
    server.on("*", answer_json({"task_id": 7}))
    http = api(server)
    http.post_json("submit", {})
    http.get("task")
    http.get("task")
    assert connections(server) == [1, 1, 1]


def test_every_order_has_a_connection_of_its_own_however_lively_the_others_are(
    server: Scripted,
) -> None:
    server.on("*", answer_json({"task_id": 7}))
    http = api(server)
    for call in (http.get, http.post, http.get, http.post, http.post):
        call("task")
    assert connections(server) == [1, 2, 2, 3, 4]


def test_an_upload_has_a_connection_of_its_own(server: Scripted) -> None:
    server.on("*", answer_json({}))
    http = api(server)
    http.get("task")
    http.post_form("upload", [("name", "a")])
    assert connections(server) == [1, 2]


@pytest.mark.parametrize(("idle", "used"), [(29.0, [1, 1]), (31.0, [1, 2])])
def test_a_connection_that_was_idle_for_half_a_minute_is_not_used_again(
    server: Scripted, idle: float, used: list[int]
) -> None:
    """A router on the way may have forgotten it, and then a poll waits a minute for nothing."""
    clock = StoppedClock()
    server.on("*", answer_json({}))
    http = api(server, rate=MinimumRate(clock=clock))
    http.get("task")
    clock.now += idle
    http.get("task")
    assert connections(server) == used


# -- files --------------------------------------------------------------------------------------


def test_downloads_share_connections_and_each_is_asked_for_by_its_exact_address(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("*", Answer(body=PNG))
    http, targets = api(server), ["/a%2fb?x=%5B1]&s=a%2b", "/c.png?s=(1)", "/d//e.png"]
    for number, target in enumerate(targets):
        Download(http, server.url + target, tmp_path / f"cat_{number}").attempt()
    assert [seen.target for seen in server.seen] == targets
    assert connections(server) == [1, 1, 1]


def test_downloads_at_once_are_each_asked_for_by_their_own_address(
    server: Scripted, tmp_path: Path
) -> None:
    together = threading.Barrier(8)

    def reply(seen: LoggedRequest) -> Answer:
        together.wait(PATIENCE)
        return Answer(body=PNG + seen.target.encode())

    server.on("*", reply)
    http = api(server)

    def content(number: int) -> bytes:
        url = f"{server.url}/%2f{number}"
        return Download(http, url, tmp_path / f"cat_{number}").attempt().path.read_bytes()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(content, range(8)))
    assert found == [PNG + b"/%%2f%d" % number for number in range(8)]


def test_a_download_that_is_broken_off_leaves_no_rest_for_the_next_one(
    server: Scripted, tmp_path: Path
) -> None:
    server.on("*", Answer(body=PNG * 9), Answer(body=PNG))
    http = api(server)
    with pytest.raises(BadResult):
        Download(http, f"{server.url}/a", tmp_path / "a", cap=100).attempt()
    again = Download(http, f"{server.url}/b", tmp_path / "b").attempt()
    assert again.path.read_bytes() == PNG
    assert connections(server) == [1, 2]


def test_a_host_that_only_its_own_platform_may_ask_is_not_asked_on_a_kept_connection(
    server: Scripted, elsewhere: Scripted, tmp_path: Path
) -> None:
    server.on("*", Answer(body=PNG))
    own = api(server)
    Download(own, f"{server.url}/a", tmp_path / "a").attempt()
    url = f"{server.url.replace('127.0.0.1', '127.0.0.2')}/a"
    with pytest.raises(BadResult, match="not a public host"):
        Download(api(elsewhere), url, tmp_path / "b").attempt()
    foreign = exact_exchange(
        requests.Request("GET", f"{server.url}/a"),
        key={},
        own_host="api.example.com",
        label="GPUGeek",
        timeout=PATIENT,
        kept=own.sessions,
    )
    with pytest.raises(BadResult, match="not a public host"), foreign:
        pass
    assert len(server.seen) == 1


# -- secure connections -------------------------------------------------------------------------


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate that this process trusts."""
    path = make_certificate(tmp_path / "trusted.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def tls(request: pytest.FixtureRequest, trusted: Path) -> Tls:
    tls = Tls(trusted)
    tls.maximum_version = ssl.TLSVersion[request.param]
    return tls


@pytest.fixture
def secure(tls: Tls) -> Iterator[Scripted]:
    """A host with that certificate that accepts every order."""
    with Scripted(tls=tls) as server:
        server.on("*", answer_json({"task_id": 7}))
        yield server


def test_orders_after_the_first_answer_take_up_its_secure_session(
    tls: Tls, secure: Scripted
) -> None:
    http = api(secure)
    http.get("models")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: http.post_json("submit", {"n": number}), range(8)))
    assert tls.resumed == [False] + [True] * 8


def test_a_host_that_has_forgotten_its_sessions_is_asked_all_the_same(
    secure: Scripted, trusted: Path
) -> None:
    http = api(secure)
    http.post("submit")
    secure.tls = restarted = Tls(trusted)
    assert [http.post("submit").status_code for _ in range(2)] == [200, 200]
    assert restarted.resumed == [False, True]


def test_a_certificate_of_an_unknown_authority_is_refused_before_an_order_is_sent(
    trusted: Path, tmp_path: Path
) -> None:
    with Scripted(tls=Tls(make_certificate(tmp_path / "other.pem"))) as server:
        with pytest.raises(TransportError, match="unknown authority") as refused:
            api(server).post_json("submit", {})
        assert (refused.value.sent, server.seen) == (False, [])


def test_a_certificate_that_is_trusted_no_more_is_refused_from_the_next_connection_on(
    secure: Scripted, trusted: Path
) -> None:
    http = api(secure)
    http.post("submit")
    make_certificate(trusted)
    with pytest.raises(TransportError, match="unknown authority"):
        http.post("submit")
    assert secure.counts["/submit"] == 1


def test_a_host_of_another_name_is_refused_whatever_was_trusted_before(secure: Scripted) -> None:
    api(secure).post("submit")
    other = Http("HaiYi", secure.url.replace("127.0.0.1", "localhost"), {}, timeout=PATIENT)
    with pytest.raises(TransportError, match="no secure connection"):
        other.post("submit")
    assert secure.counts["/submit"] == 1


def test_eight_tasks_check_the_certificate_of_their_platform_once(
    tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(pace=0.05, tls=tls) as box:
        set_environment(monkeypatch, environment(box, "haiyi"))
        provider, runner = providers.connect("haiyi"), providers.runner()
        provider.http.get("openapi/v1/model/list")
        jobs = [
            runner.start(provider, replace(_REQUEST, seed=seed), into=tmp_path) for seed in range(8)
        ]
        assert [job.future.result(PATIENCE).files for job in jobs]
        asked = len(box.log)
    assert (tls.full, len(tls.resumed) < asked) == (1, True)


_REQUEST = Request("haiyi", "generate/image", orders.generation("a cat")["json"])
