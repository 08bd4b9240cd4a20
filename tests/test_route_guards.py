"""Pins who may use our routes: ComfyUI's own page and programs of the person, and nobody's page."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import standin  # noqa: F401  (makes comfy importable)
from _host_ledger import HostLedger
from aiohttp import web
from comfy.cli_args import args
from host import Host
from multidict import CIMultiDict
from sandboxes import environment
from skyport.engine.ledger.ledger import State
from skyport.nodes._routes import origins, register
from skyport.nodes._routes.guards import loopback_only
from skyport.sandbox import Sandbox

OURS = {"X-Skyport": "1"}
SECRET = "sk-a-secret-that-nobody-may-see-7Q4z"


def every_route() -> list[tuple[str, str]]:
    """(method, path) of each route that the pack registers."""
    table = web.RouteTableDef()
    register.add_to(table)
    routes = [one for one in table if isinstance(one, web.RouteDef)]
    return [
        (one.method.replace("*", "GET"), re.sub(r"\{(\w+)[^/]*\}", _value, one.path).rstrip("}"))
        for one in routes
    ]


def _value(variable: re.Match[str]) -> str:
    return "haiyi" if variable[1] == "platform" else "1"


ROUTES = every_route()
GETS = [path for method, path in ROUTES if method == "GET"]


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return {**environment(sandbox, "haiyi", "gpugeek"), "GPUGEEK_API_KEY": SECRET}


@pytest.fixture
def host(own_host: Host) -> Host:
    return own_host


@pytest.fixture
def on_network(host: Host) -> Iterator[Host]:
    """The host as if it had been started with --listen: it is still on loopback."""
    if host.kind != "standin":
        pytest.skip("a real ComfyUI would be open to the network")
    args.listen = "0.0.0.0,::"
    yield host
    args.listen = "127.0.0.1"


def ask(host: Host, method: str, path: str, **headers: str) -> requests.Response:
    body = {} if method == "POST" else None
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return host.route(method, path, json=body, headers={**OURS, **more})


def port(host: Host) -> str:
    return host.client.url.rpartition(":")[2]


# -- every route --------------------------------------------------------------------------------


def test_the_routes_are_all_below_our_name():
    assert len(ROUTES) >= 16
    assert [path for _, path in ROUTES if not path.startswith("/skyport/")] == []
    assert {method for method, _ in ROUTES} == {"GET", "POST"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_refuses_a_name_that_another_site_has_pointed_here(host, method, path):
    answer = ask(host, method, path, Host=f"evil.example:{port(host)}")
    assert answer.status_code == 403
    assert answer.json()["error"] == "Refused"
    assert 'under the name "evil.example"' in answer.json()["message"]
    assert "SKYPORT_ALLOWED_HOSTS" in answer.json()["message"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("site", ["same-site", "cross-site", "anything"])
def test_every_route_refuses_what_the_browser_says_comes_from_elsewhere(host, method, path, site):
    assert ask(host, method, path, Sec_Fetch_Site=site).status_code == 403


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_refuses_a_page_of_another_port(host, method, path):
    answer = ask(host, method, path, Origin="http://127.0.0.1:1")
    assert answer.status_code == 403


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Type": "application/json"}, {**OURS, "Content-Type": "text/plain"}],
)
def test_what_acts_needs_what_no_foreign_page_can_send_unasked(host, path, headers):
    answer = host.client.call("POST", f"/api{path}", data="{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "Refused")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_that_acts_does_not_answer_a_get_nor_one_that_reads_a_post(host, method, path):
    other = "GET" if method == "POST" else "POST"
    if (other, path) in ROUTES:
        pytest.skip("it does both")
    assert ask(host, other, path).status_code in (400, 404, 405)  # 400: /jobs/{number}


# -- a person's own page ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/skyport/setup", "/skyport/jobs", "/skyport/forms"])
@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "LOCALHOST", "comfy.localhost", "[::1]"]
)
def test_this_machines_names_are_answered(host, path, name):
    own = f"{name}:{port(host)}"
    assert ask(host, "GET", path, Host=own).status_code == 200
    assert ask(host, "GET", path, Host=own, Sec_Fetch_Site="none").status_code == 200
    mine = ask(host, "GET", path, Host=own, Origin=f"http://{own}", Sec_Fetch_Site="same-origin")
    assert mine.status_code == 200


def test_a_preview_of_a_result_is_shown_to_its_own_page_only(host):
    with HostLedger(host) as ledger:
        job = ledger.add(State.DELIVERED)
    path = f"/skyport/jobs/{job}/thumbnail"
    # An image or a video sends no Origin.
    assert ask(host, "GET", path, Sec_Fetch_Site="same-origin").status_code == 404  # it has none
    assert ask(host, "GET", path, Sec_Fetch_Site="cross-site").status_code == 403


@pytest.mark.parametrize(
    "name", ["192.168.1.20:8188", "[fe80::1]:8188", "workstation:8188", "comfy.example.com"]
)
def test_on_a_network_the_page_works_under_the_name_it_was_opened_at(on_network, name):
    own = {"Host": name, "Origin": f"http://{name}"}
    answer = ask(on_network, "POST", "/skyport/language", **own)
    assert answer.status_code == 200
    assert ask(on_network, "GET", "/skyport/setup", Host=name).status_code == 200


def test_on_a_network_a_page_of_another_name_is_refused(on_network):
    foreign = {"Host": "192.168.1.20:8188", "Origin": "http://evil.example"}
    assert ask(on_network, "POST", "/skyport/language", **foreign).status_code == 403
    assert ask(on_network, "GET", "/skyport/jobs", **foreign).status_code == 403


def test_a_name_that_is_allowed_is_answered_and_no_other(host):
    def change(names: Any) -> requests.Response:
        body = {"allowed_hosts": names}
        return host.route("POST", "/skyport/setup/settings", json=body, headers=OURS)

    assert change("comfy.example.com, *.tunnel.example").status_code == 200
    try:
        for name in ("comfy.example.com", "a7.tunnel.example:443", f"localhost:{port(host)}"):
            assert ask(host, "GET", "/skyport/jobs", Host=name).status_code == 200, name
        for name in ("example.com", "tunnel.example", "a.tunnel.example.evil.example"):
            assert ask(host, "GET", "/skyport/jobs", Host=name).status_code == 403, name
    finally:
        assert change(None).status_code == 200
    assert change("no name at all!").status_code == 400
    assert change([3]).status_code == 400


# -- the rule -----------------------------------------------------------------------------------


def refused(scheme: str = "http", only: bool = True, allowed: tuple[str, ...] = (), **said: str):
    headers = CIMultiDict({name.replace("_", "-"): value for name, value in said.items()})
    return bool(origins.refusal(headers, scheme, loopback_only=only, allowed=allowed))


@pytest.mark.parametrize(
    "name",
    [
        *("", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost"),
        *("0.0.0.0", "192.168.1.20", "[fe80::1]", "128.0.0.1", "2130706433", "[::ffff:10.0.0.1]"),
        *("localhost:80:80", "localhost@evil.example", "localhost/evil", "\udcff", "a" * 100_000),
        *("[::1", "::1", "[localhost]", "localhost evil.example", "localhost,evil.example"),
    ],
)
def test_a_host_that_is_not_this_machine_is_refused_on_loopback(name):
    assert refused(Host=name)
    assert refused(Host=name, X_Forwarded_Host="localhost", X_Forwarded_Proto="https")


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "127.8.9.10:1", "[::1]:8188", "localhost.", "[::ffff:127.0.0.1]"]
)
def test_a_host_that_is_this_machine_is_taken(name):
    assert not refused(Host=name)


def test_a_request_without_a_host_or_with_two_is_refused():
    assert refused()
    two = CIMultiDict([("Host", "localhost"), ("Host", "evil.example")])
    assert origins.refusal(two, "http", loopback_only=False, allowed=())


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "http://evil.example", "https://localhost:8188", "http://localhost"),
        *("http://localhost:8189", "http://127.0.0.1:8188", "http://localhost:8188@evil.example"),
        *("http://localhost:8188/", "file://", "chrome-extension://abc", "localhost:8188"),
        *("http://[", "http://localhost:99999999", "http://localhost:8188 http://evil.example"),
        *("ws://localhost:8188", "\udcff\x00", "http://" + "a" * 100_000),
    ],
)
def test_an_origin_other_than_the_hosts_is_refused(origin):
    assert refused(Host="localhost:8188", Origin=origin)


def test_a_second_origin_is_not_overlooked():
    both = [
        ("Host", "localhost"),
        ("Origin", "http://localhost"),
        ("Origin", "http://evil.example"),
    ]
    assert origins.refusal(CIMultiDict(both), "http", loopback_only=True, allowed=())


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "localhost:80", "http://localhost"),
        ("http", "localhost", "http://localhost:80"),
        ("https", "localhost:443", "https://localhost"),
        ("http", "LocalHost:8188", "http://localhost:8188"),
        ("http", "[::1]:8188", "http://[::1]:8188"),
    ],
)
def test_ports_and_case_are_compared_as_browsers_do(scheme, host, origin):
    assert not refused(scheme, Host=host, Origin=origin)


def test_a_proxy_that_ends_tls_need_not_say_so():
    named = {"Host": "comfy.example.com", "Origin": "https://comfy.example.com"}
    assert not refused(only=False, **named)
    assert not refused(only=False, **named, X_Forwarded_Proto="https")
    assert not refused(only=True, allowed=("comfy.example.com",), **named)


def test_a_plain_page_does_not_speak_for_one_of_tls():
    plain = {"Host": "comfy.example.com", "Origin": "http://comfy.example.com"}
    assert refused("https", only=False, **plain)
    assert refused(only=False, X_Forwarded_Proto="https", **plain)


def test_a_proxy_that_changes_the_host_says_which_it_was():
    page = {"Host": "127.0.0.1:8188", "Origin": "https://comfy.example.com"}
    assert refused(**page)
    told = {"X_Forwarded_Host": "comfy.example.com, inner", "X_Forwarded_Proto": "https,http"}
    assert not refused(**page, **told)
    assert refused(**page, X_Forwarded_Host="other.example.com", X_Forwarded_Proto="https")


def test_where_names_are_allowed_no_other_name_is_answered_on_a_network():
    allowed = ("comfy.example.com",)
    assert refused(only=False, allowed=allowed, Host="evil.example")
    assert not refused(only=False, allowed=allowed, Host="192.168.1.20")
    assert not refused(only=False, allowed=allowed, Host="comfy.example.com")


@pytest.mark.parametrize(
    ("listen", "only"),
    [
        *(("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.2.2.2,127.3.3.3", True)),
        *(("0.0.0.0,::", False), ("127.0.0.1,192.168.1.20", False), ("", False), ("pc", False)),
        *(("127.0.0.1, ::1", True), ("0.0.0.0", False), ("::", False)),
    ],
)
def test_listening_on_loopback_is_read_from_the_command_line(listen, only):
    assert loopback_only(listen) is only


# -- what no route gives away -------------------------------------------------------------------


def test_no_route_shows_a_key(host, sandbox):
    keys = [SECRET, sandbox.key("haiyi"), "sk-another-secret-of-the-file-1234"]
    entered = {"platform": "happyhorse", "key": keys[2]}
    seen = [host.route("POST", "/skyport/setup/key", json=entered, headers=OURS).text]
    with HostLedger(host) as ledger:
        job = ledger.add(State.FAILED, f"with {SECRET}", error=f"no {keys[1]}", answer=keys[2])
    for path in GETS:
        seen.append(ask(host, "GET", path.replace("/1", f"/{job}")).text)
    for method, path in ROUTES:
        if method == "POST":
            body = {"platform": "gpugeek", "job": job, "prompt": {}}
            seen.append(host.route(method, path, json=body, headers=OURS).text)
    assert [text for text in seen if any(key in text for key in keys)] == []
    assert [key for key in keys if key in host.log_text()] == []


def test_what_is_kept_is_closed_to_other_users_of_the_machine(host):
    entered = {"platform": "happyhorse", "key": SECRET}
    host.route("POST", "/skyport/setup/key", json=entered, headers=OURS).raise_for_status()
    with HostLedger(host) as ledger:
        ledger.add(State.FAILED)
        assert stat.S_IMODE(host.home.stat().st_mode) == 0o700
        files = {one.name: stat.S_IMODE(one.stat().st_mode) for one in host.home.iterdir()}
    kept = {name: mode for name, mode in files.items() if re.match(r"keys|ledger", name)}
    assert kept.keys() >= {"keys.json", "ledger.db"}
    assert {name: oct(mode) for name, mode in kept.items() if mode & 0o077} == {}
    assert json.loads((host.home / "keys.json").read_text())["happyhorse"] == SECRET
