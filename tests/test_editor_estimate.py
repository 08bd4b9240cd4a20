"""Pins the estimate in ComfyUI's real editor: the sum beside Run, the list behind it, and the
question before what costs more than the setting allows. Needs COMFYUI_PATH and a Chromium
(SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from _waiting import until
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.engine.ledger.process_lock import Owner
from skyport.engine.ledger.sqlite_store import Store
from skyport.sandbox import Sandbox, start

pytestmark = NEEDS_EDITOR

OURS = {"X-Skyport": "1"}
SEEDS = itertools.count(1000, 10)  # a batch takes the next ones
PLATFORMS = ("opencomputing", "haiyi", "happyhorse")
PICTURE = "SkyportOpenComputingTextToImage"
JOBS = "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
MOUSE_UP = "() => window.dispatchEvent(new MouseEvent('mouseup'))"  # the editor looks for changes
COUNT_ASKED = """() => {
  window.estimates = 0;
  const fetchApi = app.api.fetchApi;
  app.api.fetchApi = function (route, ...rest) {
    if (route === "/skyport/estimate") window.estimates++;
    return fetchApi.call(this, route, ...rest);
  };
}"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.05) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any, sandbox: Sandbox) -> Iterator[Host]:
    base = tmp_path_factory.mktemp("editor")
    with open_host("comfyui", base, env=environment(sandbox, *PLATFORMS)) as host:
        yield host


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1600, 900)) as editor:
        yield editor


@pytest.fixture
def editor(opened: Editor, host: Host) -> Editor:
    """An empty canvas; nothing is to be confirmed."""
    limit(opened, host, None)
    opened.page.evaluate("() => { app.graph.clear(); }")
    return opened


def limit(editor: Editor, host: Host, amount: Any) -> None:
    """The setting, as another page sets it; then the person comes back to this one."""
    body = {"confirm_above": amount}
    host.route("POST", "/skyport/setup/settings", json=body, headers=OURS).raise_for_status()
    editor.page.evaluate("() => window.dispatchEvent(new Event('focus'))")


def build(editor: Editor, number: int = 1) -> None:
    """So many nodes, each of them an order that nobody has placed before."""
    editor.build(
        {
            f"n{place}": {
                "type": PICTURE,
                "pos": [420 * place, 0],
                "values": {"prompt": "a fox", "seed": next(SEEDS), "model": "wan2.2-t2i-plus"},
            }
            for place in range(number)
        }
    )
    editor.page.evaluate(MOUSE_UP)


def sum_of(editor: Editor, text: str) -> None:
    """Waits until the button says so."""
    editor.page.locator(".skyport-cost .skyport-sum", has_text=text).wait_for()


def test_a_graph_without_cloud_nodes_has_no_sum(editor: Editor):
    editor.build({"image": {"type": "EmptyImage", "pos": [0, 0]}})
    editor.page.evaluate(MOUSE_UP)
    editor.page.wait_for_timeout(1500)
    assert not editor.page.locator(".skyport-cost").is_visible()


def test_the_sum_stands_beside_run_and_lists_its_parts(editor: Editor):
    build(editor, 2)
    sum_of(editor, "2 tasks, about 2 credits")
    box = editor.page.locator(".skyport-cost").bounding_box()
    assert box["y"] < 120
    editor.page.click(".skyport-cost .skyport-button")
    lines = editor.page.locator(".skyport-cost li").all_inner_texts()
    assert lines == ["OpenComputing wan2.2-t2i-plus: 1 task, 1 credits each, by the price list"] * 2
    editor.page.keyboard.press("Escape")
    assert not editor.page.locator(".skyport-cost li").first.is_visible()


def test_what_has_run_costs_nothing_again(editor: Editor):
    build(editor)
    sum_of(editor, "1 task, about 1 credits")
    editor.run()
    sum_of(editor, "nothing to pay: 1 reused")


def test_a_node_over_several_platforms_names_the_first_and_pays_one(
    editor: Editor, host: Host, sandbox: Sandbox
):
    values = {"prompt": "a fox", "seed": next(SEEDS), "model": "happyhorse", "model.duration": 3}
    film = {"type": "SkyportAnyTextToVideo", "pos": [0, 0], "size": [400, 420], "values": values}
    editor.build({"film": film})
    editor.page.evaluate(MOUSE_UP)
    sum_of(editor, "1 task")
    line = editor.page.locator(".skyport-cost li").first.text_content()
    assert line.startswith("happyhorse-1.0-t2v: 1 task, first asked: HappyHorse, ")
    before = sandbox.charges.copy()
    sandbox.platforms["happyhorse"].always = "[[balance]]"
    try:
        editor.run()
    finally:
        sandbox.platforms["happyhorse"].always = ""
    sum_of(editor, "nothing to pay: 1 reused")
    assert dict(sandbox.charges - before) == {"opencomputing": 1}
    jobs = host.route("GET", "/skyport/jobs?limit=2").json()["jobs"]
    ends = {(job["platform"], job["state"]) for job in jobs}
    assert ends == {("opencomputing", "delivered"), ("happyhorse", "failed")}


def leave(host: Host, number: int) -> None:
    """So many graphs, each with an order of its own, that a ComfyUI held when it ended."""
    owner = Owner(host.home / "owners")
    with closing(Store(host.home / "ledger.db", owner)) as store:
        for seed in (next(SEEDS) for _ in range(number)):
            model = {"model": "wan2.2-t2i-plus", "model.negative_prompt": ""}
            order = {"prompt": "left", "seed": seed, **model}
            prompt = {
                "1": {"class_type": PICTURE, "inputs": order},
                "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
            }
            kept = {"prompt": prompt, "workflow": None, "targets": None, "whole": True}
            store.keep_graph(f"left {seed}", json.dumps(kept))
    owner.close()


def test_what_was_left_in_the_queue_asks_what_it_costs_before_it_is_queued_again(
    editor: Editor, host: Host, sandbox: Sandbox
):
    limit(editor, host, "1 credits")
    leave(host, 2)
    before = sandbox.charges.copy()
    page = editor.page
    page.evaluate(JOBS)
    page.click(".skyport-left >> text=Queue again")
    dialog(editor).wait_for()
    assert "2 tasks, about 2 credits" in dialog(editor).inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("text=These 2 queued graphs did not run.")
    assert sandbox.charges == before
    page.click(".skyport-left >> text=Queue again")
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_selector("text=2 graphs are queued again.")
    until(lambda: dict(sandbox.charges - before) == {"opencomputing": 2})
    page.evaluate(JOBS)
    assert host.route("GET", "/skyport/queue/left").json() == {"prompts": []}


def test_moving_a_node_asks_nothing(editor: Editor):
    build(editor)
    sum_of(editor, "1 task")
    editor.page.evaluate(COUNT_ASKED)
    for place in range(5):
        editor.page.evaluate(f"() => {{ app.graph.nodes[0].pos = [{place}, 900]; }}")
        editor.page.evaluate(MOUSE_UP)
    editor.page.wait_for_timeout(1500)
    assert editor.page.evaluate("() => window.estimates") == 0


def queue(editor: Editor, runs: int = 1) -> None:
    editor.page.evaluate(f"() => void app.queuePrompt(0, {runs})")


def dialog(editor: Editor) -> Any:
    return editor.page.get_by_role("dialog").filter(has_text="Queue this?")


def queued(host: Host) -> int:
    return len(host.client.get("/history").json()) + sum(
        len(part) for part in host.client.get("/queue").json().values()
    )


def test_cancel_queues_nothing_and_consent_queues(editor: Editor, host: Host):
    limit(editor, host, "1 credits")
    build(editor, 2)
    sum_of(editor, "2 tasks")
    before = queued(host)
    queue(editor)
    dialog(editor).wait_for()
    assert "wan2.2-t2i-plus" in dialog(editor).inner_text()
    editor.page.get_by_role("button", name="Cancel").click()
    editor.page.wait_for_timeout(1500)
    assert queued(host) == before
    queue(editor)
    dialog(editor).wait_for()
    editor.page.get_by_role("button", name="Confirm").click()
    sum_of(editor, "nothing to pay: 2 reused")
    assert queued(host) == before + 1


def test_what_costs_less_is_queued_unasked(editor: Editor, host: Host):
    limit(editor, host, "1 credits")
    build(editor)
    sum_of(editor, "1 task")
    before = queued(host)
    queue(editor)
    sum_of(editor, "nothing to pay")
    assert queued(host) == before + 1


def test_a_batch_is_confirmed_once_and_as_a_whole(editor: Editor, host: Host):
    limit(editor, host, "2 credits")
    build(editor)
    editor.page.evaluate("""() => {
      for (const widget of app.graph.nodes[0].widgets)
        if (widget.options?.values?.includes?.("increment")) widget.value = "increment";
    }""")
    editor.page.evaluate(MOUSE_UP)
    sum_of(editor, "1 task")
    before = queued(host)
    queue(editor, runs=3)
    dialog(editor).wait_for()
    assert "3 tasks, about 3 credits" in dialog(editor).inner_text()
    editor.page.get_by_role("button", name="Confirm").click()
    sum_of(editor, "1 task")
    editor.page.wait_for_timeout(3000)
    assert queued(host) == before + 3


def test_the_prompt_that_is_queued_is_as_ever(editor: Editor):
    build(editor)
    sum_of(editor, "1 task")
    orders = "() => JSON.stringify(app.graph.nodes.map((node) => node.order))"
    before = editor.page.evaluate(orders)
    editor.page.evaluate("() => document.dispatchEvent(new Event('skyport.setup'))")
    editor.page.wait_for_timeout(1500)
    assert json.loads(editor.page.evaluate(orders)) == json.loads(before)
