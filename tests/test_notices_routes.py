"""Pins the routes for notices: an address goes in once and never comes out; a hidden page gets a
notice, and none is sent while any page is visible.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import websocket
from _host_ledger import HostLedger
from _waiting import PATIENCE, until
from host import Host
from scripted import TOKEN, Answer, webhook_url
from skyport.engine.ledger.ledger import State

OURS = {"X-Skyport": "1"}
JOB = State.SUCCEEDED


@pytest.fixture(scope="module")
def host_env() -> dict[str, str]:
    return {"SKYPORT_NOTIFY_AFTER_S": "0.000001"}


@pytest.fixture
def host(own_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    own_host.share_env(monkeypatch)
    (own_host.home / "keys.json").unlink(missing_ok=True)
    return own_host


def act(host: Host, path: str, **fields: Any) -> Any:
    return host.route("POST", f"/skyport/{path}", json=fields, headers=OURS)


def services(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert TOKEN not in answer.text
    found: list[dict[str, Any]] = answer.json()["services"]
    return found


def test_a_service_is_added_tested_and_removed_and_its_address_is_never_shown(host, webhook):
    assert services(host.route("GET", "/skyport/notices")) == []
    added = act(host, "notices/add", url=webhook_url(webhook))
    ((one),) = services(added)
    assert (one["name"], one["source"], one["answer"]) == ("json://...-see", "file", None)
    ((tested),) = services(act(host, "notices/test", id=one["id"]))
    assert tested["answer"] == {"ok": True, "message": "The test notice was sent."}
    assert webhook.seen[0].json()["title"] == "Skyport: test"
    webhook.on("*", Answer(404))
    ((failed),) = services(act(host, "notices/test", id=one["id"]))
    assert not failed["answer"]["ok"]
    assert services(act(host, "notices/remove", id=one["id"])) == []
    assert TOKEN not in host.log_text()


def test_no_address_reaches_the_settings_page(host, webhook):
    act(host, "notices/add", url=webhook_url(webhook))
    assert TOKEN not in host.route("GET", "/skyport/setup").text


@pytest.mark.parametrize("url", ["", 7, None, "nothing://x", "x" * 5000, f"nothing://{TOKEN}"])
def test_what_is_no_address_is_refused(host, url):
    answer = act(host, "notices/add", url=url)
    assert answer.status_code == 400
    assert TOKEN not in answer.text


@contextlib.contextmanager
def page(host: Host, name: str, *, visible: bool) -> Iterator[websocket.WebSocket]:
    """A page of the editor, which says whether it is visible."""
    address = host.client.url.replace("http://", "ws://")
    socket = websocket.create_connection(f"{address}/ws?clientId={name}", timeout=PATIENCE)
    with contextlib.closing(socket):
        assert json.loads(socket.recv())["data"]["sid"] == name
        report = act(host, "presence", client=name, visible=visible, can_show=True)
        assert report.status_code == 200, report.text
        yield socket


def noticed(socket: websocket.WebSocket) -> Any:
    """The next notice that the page gets."""
    while True:
        message = socket.recv()
        if isinstance(message, str) and json.loads(message)["type"] == "skyport.notice":
            return json.loads(message)["data"]


def end_a_job(host: Host, title: str) -> None:
    with HostLedger(host) as ledger:
        ledger.add(JOB, title=title)
    host.client.post("/probes/changed", {}).raise_for_status()


def test_a_hidden_page_gets_the_notice_that_the_service_gets(host, webhook):
    act(host, "notices/add", url=webhook_url(webhook))
    with page(host, "hidden", visible=False) as hidden:
        end_a_job(host, "kling-v3")
        told = noticed(hidden)
    assert told["title"] == "Skyport: HaiYi kling-v3: ready"
    (seen,) = until(lambda: list(webhook.seen))
    assert (seen.json()["title"], seen.json()["message"]) == (told["title"], told["body"])


def test_nothing_is_sent_while_a_page_is_visible_and_it_is_closed_with_its_socket(host, webhook):
    act(host, "notices/add", url=webhook_url(webhook))
    with page(host, "hidden", visible=False) as hidden:
        with page(host, "visible", visible=True):
            end_a_job(host, "first")
            with HostLedger(host) as ledger:
                until(lambda: ledger._run("SELECT min(settled) FROM notices")[0][0] == 1)
        assert webhook.seen == []
        end_a_job(host, "second")
        assert noticed(hidden)["title"] == "Skyport: HaiYi second: ready"


@pytest.mark.parametrize("client", [None, "", 7, "x" * 1000])
def test_a_page_without_a_name_is_refused(host, client):
    assert act(host, "presence", client=client, visible=True).status_code == 400
