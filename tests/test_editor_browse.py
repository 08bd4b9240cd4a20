"""Pins, in ComfyUI's real editor, the dialog of all models: what it finds, by mouse and by keys,
and that a model that is used there becomes a node, or keeps what its node held.
Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _host_ledger import HostLedger, picture
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, Locator, editor_of, expect
from skyport.engine.ledger.ledger import State
from skyport.sandbox import Sandbox, start

pytestmark = NEEDS_EDITOR

OPEN = "() => void app.extensionManager.command.execute('Skyport.BrowseModels')"
MODEL = "widgets.find((one) => one.name === 'model').value"
NODES = f"() => app.graph._nodes.map((one) => [one.type, one.{MODEL}])"
INSIDE = """() => document.activeElement === document.body
  || Boolean(document.activeElement.closest('.skyport-browse'))"""
VIDEO = "SkyportHaiyiImageToVideo"
FIND = f"const node = app.graph._nodes.find((one) => one.type === '{VIDEO}')"
PRESS = "node.widgets.find((one) => one.name === 'browse_models').callback()"
KLING, TENCENT = "kwai/kling-v3", "tencent/Kling-3.0"
FILM = {
    "load": {"type": "LoadImage", "pos": [0, 0]},
    "film": {
        "type": VIDEO,
        "pos": [420, 0],
        "values": {"prompt": "a fox", "model": KLING, "model.mode": "pro", "model.duration": 11},
        "links": {"model.key_frames_start": ["load", "IMAGE"]},
    },
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.02) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def host(sandbox: Sandbox, tmp_path_factory: Any) -> Iterator[Host]:
    env = {f"HAIYI_{name}": value for name, value in account(sandbox).items()}
    with open_host("comfyui", tmp_path_factory.mktemp("editor"), env=env) as host:
        yield host


def account(sandbox: Sandbox) -> dict[str, str]:
    return {"BASE_URL": sandbox.base_url("haiyi"), "API_KEY": sandbox.key("haiyi")}


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1400, 900)) as editor:
        yield editor


@pytest.fixture
def editor(opened: Editor) -> Iterator[Editor]:
    opened.build({})
    yield opened
    opened.page.evaluate("() => document.querySelector('.skyport-browse')?.close()")


def browse(editor: Editor) -> Locator:
    """The dialog, opened and filled."""
    editor.page.evaluate(OPEN)
    return shown(editor)


def shown(editor: Editor) -> Locator:
    dialog = editor.page.locator("dialog.skyport-browse")
    dialog.locator("[role=option]").first.wait_for()
    return dialog


def labels(dialog: Locator) -> list[str]:
    return dialog.locator(".skyport-card .skyport-title").all_inner_texts()


def nodes(editor: Editor) -> list[Any]:
    return [list(one) for one in editor.page.evaluate(NODES)]


def test_a_model_is_found_by_words_and_used_by_keyboard_alone(editor: Editor) -> None:
    dialog = browse(editor)
    page = editor.page
    expect(dialog.get_by_role("combobox", name="Search the models")).to_be_focused()
    page.keyboard.type("\u53ef\u7075 t2v \u6d77\u827a")
    assert labels(dialog) == [KLING]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    page.wait_for_function("() => app.graph._nodes.length === 1")
    assert nodes(editor) == [["SkyportHaiyiTextToVideo", KLING]]


def test_escape_closes_it_and_gives_the_focus_back(editor: Editor) -> None:
    editor.page.evaluate("() => document.querySelector('#graph-canvas, canvas').focus()")
    before = editor.page.evaluate("() => document.activeElement.tagName")
    dialog = browse(editor)
    for _ in range(12):
        editor.page.keyboard.press("Tab")
        assert editor.page.evaluate(INSIDE)
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert editor.page.evaluate("() => document.activeElement.tagName") == before
    assert nodes(editor) == []


def test_the_button_of_a_node_sets_its_model_and_keeps_values_and_links(editor: Editor) -> None:
    editor.build(FILM)
    before = json.dumps(editor.workflow())
    editor.page.evaluate(f"() => {{ {FIND}; {PRESS}; }}")
    dialog = shown(editor)
    assert {KLING, TENCENT} <= set(labels(dialog))
    assert "in use" in dialog.locator("[role=option][aria-selected=true]").inner_text()
    dialog.locator("[role=option]", has_text=TENCENT).get_by_role("button", name="Use").click()
    editor.page.wait_for_function(f"() => {{ {FIND}; return node.{MODEL} === '{TENCENT}'; }}")
    editor.page.wait_for_timeout(700)  # an undo waits for the end of the step
    (node,) = (one for one in editor.prompt().values() if one["class_type"] == VIDEO)
    assert node["inputs"]["prompt"] == "a fox"
    assert node["inputs"]["model.mode"] == "pro"
    assert isinstance(node["inputs"]["model.key_frames_start"], list)
    assert "browse_models" not in node["inputs"]
    assert "browse_models" not in before


def test_a_saved_node_opens_as_it_was(editor: Editor) -> None:
    editor.build(FILM)
    saved = editor.workflow()
    editor.load(saved)
    again = editor.workflow()
    values = [[one["widgets_values"] for one in file["nodes"]] for file in (saved, again)]
    assert values[0] == values[1]
    assert "" not in values[0][1][-1:]


def test_filters_narrow_the_list_down(editor: Editor) -> None:
    dialog = browse(editor)
    every = int(dialog.get_by_role("status").inner_text().split()[0])
    dialog.get_by_label("Task").select_option("FirstLastFrameToVideo")
    assert set(labels(dialog)) == {"Wan 2.7 I2V", "Veo 3.1 Fast"}
    assert dialog.get_by_role("status").inner_text() == f"2 of {every} models"
    dialog.get_by_label("Task").select_option("*")
    dialog.get_by_label("Media").select_option("audio")
    dialog.get_by_label("Platform").select_option("opencomputing")
    assert len(labels(dialog)) == 2
    dialog.get_by_role("combobox", name="Search the models").fill("no such model")
    expect(dialog.get_by_role("status")).to_have_text("No model is like that.")


def test_a_platform_without_a_key_leads_to_its_card_in_the_settings(editor: Editor) -> None:
    dialog = browse(editor)
    dialog.get_by_label("Platform").select_option("opencomputing")
    dialog.get_by_role("button", name="Needs a key").first.click()
    card = editor.page.locator(".skyport-settings [data-platform=opencomputing]")
    card.wait_for()
    expect(card.locator("input").first).to_be_focused()
    editor.page.keyboard.press("Escape")
    card.wait_for(state="detached")


def test_a_card_shows_what_the_model_made_here(
    editor: Editor, host: Host, sandbox: Sandbox, tmp_path: Path
) -> None:
    model = {"provider": "kwai", "model": "kling-v3", "type": "text2video"}
    with HostLedger(host) as ledger:
        files = [picture(tmp_path / "a.png")]
        job = ledger.add(State.DELIVERED, model=model, place=sandbox.base_url("haiyi"), files=files)
        ledger.took(job, 65)
    dialog = browse(editor)
    dialog.get_by_role("combobox", name="Search the models").fill("kwai/kling-v3 t2v")
    card = dialog.locator("[role=option]").first
    expect(card.locator("img")).to_be_visible()
    assert "takes 1:05, as your last one" in card.inner_text()


def test_of_a_thousand_models_only_those_that_are_seen_are_drawn(editor: Editor) -> None:
    editor.page.route(
        "**/skyport/models",
        lambda route: route.fulfill(json=many(route.fetch().json(), 1000)),
    )
    dialog = browse(editor)
    assert dialog.get_by_role("status").inner_text() == "1000 models"
    assert dialog.locator("[role=option]").count() < 60
    dialog.get_by_role("listbox", name="Models").focus()
    editor.page.keyboard.press("End")
    last = dialog.locator("[role=option][aria-selected=true]")
    assert last.get_attribute("aria-posinset") == "1000"
    expect(last).to_be_in_viewport()
    editor.page.unroute("**/skyport/models")


def many(body: dict[str, Any], count: int) -> dict[str, Any]:
    one = body["models"][-1]
    models = [{**one, "label": f"model {n}", "model": f"m{n}"} for n in range(count)]
    return {**body, "models": models}
