"""Pins what ComfyUI's real editor does with notices: a hidden page shows one and a visible page
none; services are added and tested in the settings. Needs COMFYUI_PATH and a Chromium.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _host_ledger import HostLedger
from _waiting import until
from host import Host, open_host
from real_editor import NEEDS_EDITOR, Editor, editor_of
from scripted import Answer, Scripted
from skyport.engine.ledger.ledger import State

pytestmark = NEEDS_EDITOR

TOKEN = "a-token-that-nobody-may-see"
# The browser's own notices cannot be seen: they are counted instead.
STUB = """() => {
  window.told = [];
  window.Notification = class {
    static permission = "default";
    static async requestPermission() { return (window.Notification.permission = "granted"); }
    constructor(title, about) { window.told.push([title, about.body]); }
    close() {}
  };
}"""
LOOKED_AT = """(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
JOBS = "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
SETTINGS = "() => app.extensionManager.command.execute('Skyport.OpenSettings')"


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    env = {"SKYPORT_NOTIFY_AFTER_S": "0.000001"}
    with open_host("comfyui", tmp_path_factory.mktemp("editor"), env=env) as host:
        yield host


@pytest.fixture(scope="module")
def editor(host: Host) -> Iterator[Editor]:
    with editor_of(host, False, (1280, 900)) as editor:
        editor.page.evaluate(STUB)
        yield editor


def end_a_job(host: Host, title: str) -> HostLedger:
    with HostLedger(host) as ledger:
        ledger.add(State.SUCCEEDED, title=title)
    return ledger


def is_settled(ledger: HostLedger) -> bool:
    return bool(ledger._run("SELECT min(settled) FROM notices")[0][0])


def test_a_hidden_page_shows_a_notice_and_a_visible_one_none(host, editor):
    page = editor.page
    page.evaluate(JOBS)
    page.get_by_role("button", name="Allow notices of the browser").click()
    page.get_by_text("Be notified when a long task ends").wait_for(state="hidden")
    ledger = end_a_job(host, "first")
    until(lambda: is_settled(ledger))
    page.evaluate(LOOKED_AT, "hidden")
    ledger = end_a_job(host, "second")
    page.wait_for_function("() => window.told.length")
    until(lambda: is_settled(ledger))
    assert [title for title, _ in page.evaluate("() => window.told")] == [
        "Skyport: HaiYi second: ready"
    ]
    page.evaluate(LOOKED_AT, "visible")


def test_a_service_is_added_tested_and_removed_in_the_settings(host, editor):
    with Scripted() as webhook:
        webhook.on("*", Answer())
        editor.page.evaluate(SETTINGS)
        section = editor.page.locator("[data-notices]")
        address = section.get_by_label("Address of a service of Apprise")
        address.scroll_into_view_if_needed()
        address.fill(webhook.url.replace("http://", "json://") + f"/{TOKEN}")
        section.get_by_role("button", name="Add a service").click()
        section.get_by_text("json://...-see").wait_for()
        section.get_by_role("button", name="Test").click()
        section.get_by_text("The test notice was sent.").wait_for()
        assert TOKEN not in editor.page.content()
        assert len(webhook.seen) == 1
        section.get_by_role("button", name="Remove").click()
        section.get_by_text("json://...-see").wait_for(state="hidden")
    editor.page.keyboard.press("Escape")
