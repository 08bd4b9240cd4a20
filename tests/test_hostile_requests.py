"""Pins that nothing that is sent to our routes or hook is answered with a failure of the server."""

from __future__ import annotations

import copy
import gzip
import json
import socket
from typing import Any

import pytest
import standin  # noqa: F401  (makes comfy_api importable)
from _host_ledger import HostLedger
from _waiting import PATIENCE
from aiohttp import web
from host import Host
from hostile import Hostile
from sandboxes import environment
from skyport.engine.base.errors import InvalidInput
from skyport.engine.ledger.ledger import State
from skyport.nodes._kinds.generate import parse_parameters
from skyport.nodes._routes import register
from skyport.nodes._run_in_cloud.prompt_hook import on_prompt
from skyport.sandbox import Sandbox

PLATFORMS = ("haiyi", "happyhorse", "gpugeek", "opencomputing")
MANY = pytest.param(10_000, marks=pytest.mark.soak)
OURS = {"X-Skyport": "1"}


@pytest.fixture(scope="module")
def host_env(sandbox: Sandbox) -> dict[str, str]:
    return environment(sandbox, *PLATFORMS)


@pytest.fixture
def host(own_host: Host) -> Host:
    return own_host


def routes() -> list[tuple[str, str]]:
    """(method, path) of our routes, with {...} where anything may stand."""
    table = web.RouteTableDef()
    register.add_to(table)
    return [
        (one.method, one.path.replace(r":\d{1,18}", "").replace(r":\d{1,6}", ""))
        for one in table
        if isinstance(one, web.RouteDef) and one.method != "*"
    ]


def exchange(host: Host, request: bytes, whole: bool) -> int:
    """The HTTP status of the answer; 0 where the connection is closed without one.

    whole  whether the server has no reason to wait for more of it
    """
    address, _, port = host.client.url.removeprefix("http://").partition(":")
    with socket.create_connection((address, int(port)), timeout=PATIENCE) as connection:
        try:
            connection.sendall(request)
            if not whole:
                connection.shutdown(socket.SHUT_WR)
            begin = connection.recv(64)
        except TimeoutError:
            raise
        except OSError:  # it need not read what it has refused
            return 0
    return int(begin.split(b" ")[1]) if begin.startswith(b"HTTP/1.") else 0


def status_of(host: Host, hostile: Hostile, known: list[tuple[str, str]]) -> int:
    """The answer's status; 499 for a failure of ComfyUI's own: it has it under any other name."""
    request = hostile.request(known, host.client.url.removeprefix("http://"))
    status = exchange(host, request, hostile.whole)
    if status < 500 or host.kind == "standin":
        return status
    elsewhere = request.replace(b"/skyport/", b"/nobodys/", 1)
    return 499 if exchange(host, elsewhere, hostile.whole) >= 500 else status


@pytest.mark.parametrize("count", [150, MANY])
def test_no_request_is_answered_with_a_failure_of_the_server(host, sandbox, count):
    known = routes()
    with HostLedger(host) as ledger:
        for state in (State.FAILED, State.DELIVERED, State.CANCELLED):
            ledger.add(state, place=sandbox.base_url("haiyi"))
        statuses = {seed: status_of(host, Hostile(seed), known) for seed in range(count)}
    assert {seed: status for seed, status in statuses.items() if status >= 500} == {}
    answered = [status for status in statuses.values() if status]
    assert len(answered) > 0.8 * count
    assert answered.count(200) > 0.05 * count, "hardly any request has come to a route"
    assert host.route("GET", "/skyport/jobs").status_code == 200
    assert "Skyport could not answer" not in host.log_text()


@pytest.mark.parametrize("count", [150, MANY])
def test_no_prompt_makes_the_hook_raise_or_refuse_what_is_not_ours(host, count):
    for seed in range(count):
        data = Hostile(seed).queued()
        after = on_prompt(copy.deepcopy(data))
        json.dumps(after)
        for name in data["prompt"]:
            kind = _class(data, name)
            ours = kind is None or str(kind).startswith("Skyport")  # None: filled in, or refused
            assert ours or name not in after["prompt"] or _class(after, name) == kind


def test_a_prompt_of_any_depth_goes_through_the_hook(host):
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    run = {"where": "HaiYi", "where.cluster": "auto", "value": ["a", 0]}
    prompt = {
        "a": {"class_type": "Elsewhere", "inputs": {"x": deep}},
        "cloud": {"class_type": "SkyportRunInCloud", "inputs": run},
        "seen": {"class_type": "ProbeSink", "inputs": {"value": ["cloud", 0]}},
    }
    saved = {"nodes": [{"id": "a", "outputs": [{"type": "IMAGE"}]}]}
    data = {"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": saved}}}
    assert on_prompt(data)["prompt"]["seen"] == prompt["seen"]


def _class(data: Any, name: str) -> Any:
    node = data["prompt"][name]
    return node.get("class_type") if isinstance(node, dict) else node


# -- the kinds, one by one ----------------------------------------------------------------------


def post(host: Host, path: str, body: bytes, **headers: str) -> Any:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    head = {**OURS, "Content-Type": "application/json", **more}
    return host.client.call("POST", f"/api{path}", data=body, headers=head, timeout=PATIENCE)


@pytest.mark.parametrize("path", ["/skyport/cut", "/skyport/setup/settings", "/skyport/language"])
@pytest.mark.parametrize(
    "body",
    [
        *(b'{"prompt": ' + b"[" * levels + b"]" * levels + b"}" for levels in (100, 1000, 100_000)),
        *(
            b'{"prompt": NaN}',
            b'{"prompt": 1e999}',
            b'{"prompt": -Infinity}',
            b"\xff{}",
            b"",
            b"[]",
        ),
    ],
    ids=lambda body: f"{len(body)}-{body[:20]!r}",
)
def test_a_body_that_cannot_be_used_is_refused_in_words(host, path, body):
    answer = post(host, path, body)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["", "nobody", "jobs/" + "9" * 5000, "jobs/1/files/%00", "cut/x"])
def test_what_is_no_route_of_ours_is_not_found(host, method, path):
    answer = host.route(method, f"/skyport/{path}", headers=OURS)
    assert answer.status_code == 404
    assert method == "HEAD" or answer.json()["error"] == "NotFound"


def test_a_body_is_read_as_json_whatever_charset_it_claims(host):
    answer = post(host, "/skyport/language", b"{}", Content_Type="application/json; charset=foo")
    assert answer.status_code == 200


def test_a_packed_body_is_refused_before_it_is_unpacked(host):
    answer = post(host, "/skyport/cut", gzip.compress(b"{}"), Content_Encoding="gzip")
    assert answer.status_code == 400


@pytest.mark.parametrize("number", [-1, 0, 2**63 - 1, 2**63, 10**40])
@pytest.mark.parametrize("act", ["cancel", "fetch", "anew"])
def test_a_number_that_is_no_jobs_is_said_to_be_none(host, act, number):
    answer = post(host, f"/skyport/jobs/{act}", json.dumps({"job": number}).encode())
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\u0000"', b'"' + b"a" * 100_000 + b'"'])
def test_a_mark_of_any_text_is_said_to_be_none(host, text):
    answer = post(host, "/skyport/jobs/cancel", b'{"mark": ' + text + b"}")
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidInput")


@pytest.mark.parametrize("levels", [101, 900, 5000, 100_000])
def test_parameters_that_are_nested_too_deeply_are_refused_before_anything_is_sent(levels):
    text = '{"a":' * levels + "1" + "}" * levels
    with pytest.raises(InvalidInput, match="not a JSON object"):
        parse_parameters(text, "HaiYi")


def test_a_refused_node_without_a_reason_is_told_without_one(host):
    refused = {"class_type": "SkyportRunInCloud", "inputs": {"skyport_trouble": "1"}}
    answer = post(host, "/skyport/cut", json.dumps({"prompt": {"a": refused}}).encode())
    assert (answer.status_code, answer.json()) == (200, {"nodes": {}, "troubles": {"a": ""}})


def test_subgraphs_that_hold_each_other_twice_are_read_where_the_prompt_is(host):
    def holds(kind: str) -> dict[str, Any]:
        return {"id": kind, "nodes": [{"id": n, "type": f"k{int(kind[1:]) + 1}"} for n in (1, 2)]}

    last = {"id": "k64", "nodes": [{"id": 5, "type": "Elsewhere", "outputs": [{"type": "IMAGE"}]}]}
    subgraphs = [*(holds(f"k{n}") for n in range(64)), last]
    inner = ":".join(["9", *"12" * 32, "5"])
    prompt = {
        inner: {"class_type": "Elsewhere", "inputs": {}},
        "cloud": {
            "class_type": "SkyportRunInCloud",
            "inputs": {"where": "HaiYi", "where.cluster": "auto", "value": [inner, 0]},
        },
        "seen": {"class_type": "ProbeSink", "inputs": {"value": ["cloud", 0]}},
    }
    workflow = {"nodes": [{"id": 9, "type": "k0"}], "definitions": {"subgraphs": subgraphs}}
    body = json.dumps({"prompt": prompt, "workflow": workflow}).encode()
    answer = post(host, "/skyport/cut", body)
    assert answer.json()["troubles"] == {}
    assert inner in answer.json()["nodes"]
