"""Pins what ComfyUI's real editor shows of Skyport beside the jobs: a key set on the settings page
reaches no page again, forms survive another catalogue, a missing model and a missing key are told.
Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from _host_ledger import HostLedger
from _waiting import until
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from scripted import Answer, Scripted, answer_json, closed_port
from skyport.demo._host import PACK
from skyport.engine.ledger.ledger import State
from skyport.sandbox import Sandbox, start

pytestmark = NEEDS_EDITOR

OPEN = "() => app.extensionManager.command.execute('Skyport.OpenSettings')"
REFRESH = "() => app.extensionManager.command.execute('Skyport.RefreshModels')"
OURS = "app.graph._nodes.find((one) => one.type.startsWith('Skyport'))"
VALUES = f"() => Object.fromEntries({OURS}.widgets.map((one) => [one.name, one.value]))"
LINKED = f"() => {OURS}.inputs.filter((one) => one.link != null).map((one) => one.name)"
BADGES = f"() => {OURS}.badges.map((one) => (typeof one === 'function' ? one() : one).text)"
FILM = {
    "load": {"type": "LoadImage", "pos": [0, 0], "values": {"image": "example.png"}},
    "film": {
        "type": "SkyportHaiyiImageToVideo",
        "pos": [400, 0],
        "values": {
            "prompt": "a lighthouse",
            "seed": 7,
            "model": "kwai/kling-v3",
            "model.mode": "pro",
            "model.duration": 5,
        },
        "links": {"model.key_frames_start": ["load", "IMAGE"]},
    },
}
HELD = {
    "prompt": "a lighthouse",
    "seed": 7,
    "model": "kwai/kling-v3",
    "model.mode": "pro",
    "model.duration": 5,
    "model.sound": False,
}

# Our badge of the only node, and the middle of one on the page.
BADGE = """() => app.graph._nodes[0].badges
  .map((one) => (typeof one === "function" ? one() : one)).find((one) => one.onClick)"""
MIDDLE = """(badge) => {
  const { ds, canvas } = app.canvas, { left, top } = canvas.getBoundingClientRect();
  const [x, y, width, height] = badge.boundingRect, { pos } = app.graph._nodes[0];
  const at = [pos[0] + x + width / 2, pos[1] + y + height / 2];
  return [left + (at[0] + ds.offset[0]) * ds.scale, top + (at[1] + ds.offset[1]) * ds.scale];
}"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.02) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def host(sandbox: Sandbox, tmp_path_factory: Any) -> Iterator[Host]:
    base = tmp_path_factory.mktemp("editor")
    (base / "input").mkdir()
    shutil.copy(PACK / "demo" / "picture.png", base / "input" / "example.png")
    env = {"HAIYI_BASE_URL": sandbox.base_url("haiyi"), "SKYPORT_KEEP_DAYS": "30"}
    with open_host("comfyui", base, env=env) as host:
        yield host


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1280, 900)) as editor:
        editor.vue = request.param
        yield editor


@pytest.fixture
def editor(opened: Editor, host: Host, sandbox: Sandbox) -> Iterator[Editor]:
    """The editor with nothing on its canvas; no key is set."""
    models = sandbox.platforms["haiyi"].models
    before = copy.deepcopy(models)
    act(host, "key/remove", platform="haiyi")
    opened.page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    opened.page.evaluate("() => document.querySelector('.skyport-notices')?.replaceChildren()")
    opened.build({})
    yield opened
    opened.page.keyboard.press("Escape")
    if models != before:
        models[:] = before
        forget_catalogue(opened, host)


def forget_catalogue(editor: Editor, host: Host) -> None:
    """Only the models that are built in are offered again."""
    shutil.rmtree(host.home / "catalogue")
    until(lambda: len(offered(host)) < 13)  # the host looks at its cache once a second
    editor.page.evaluate("() => app.reloadNodeDefs()")
    editor.page.wait_for_timeout(500)


def offered(host: Host) -> list[Any]:
    models: list[Any] = host.route("GET", "/skyport/models/haiyi").json()["models"]
    return models


def act(host: Host, path: str, **fields: Any) -> None:
    head = {"X-Skyport": "1"}
    host.route("POST", f"/skyport/setup/{path}", json=fields, headers=head).raise_for_status()


def open_page(editor: Editor) -> Any:
    """The settings page, as a command opens it."""
    editor.page.evaluate(OPEN)
    card = editor.page.locator("[data-platform=haiyi]")
    card.wait_for()
    return card


def keyed(host: Host, sandbox: Sandbox) -> None:
    act(host, "key", platform="haiyi", key=sandbox.key("haiyi"))


def refresh(editor: Editor) -> str:
    """What the command that refreshes the models said."""
    editor.page.evaluate(REFRESH)
    shown = editor.page.locator(".skyport-notice", has_text="HaiYi")
    shown.wait_for()
    text: str = shown.last.inner_text()
    editor.page.wait_for_timeout(300)
    return text


def notice(editor: Editor, text: str) -> Any:
    found = editor.page.locator(".skyport-notice", has_text=text)
    found.wait_for()
    return found


def held(editor: Editor) -> dict[str, Any]:
    found = editor.page.evaluate(VALUES)
    return {name: value for name, value in found.items() if name in HELD}


def kling(sandbox: Sandbox) -> dict[str, Any]:
    """The sandbox's row of the model in FILM."""
    rows = sandbox.platforms["haiyi"].models
    asked = ("kling-v3", "image2video")
    found: dict[str, Any] = next(row for row in rows if (row["model"], row["type"]) == asked)
    return found


# -- the settings page --------------------------------------------------------------------------


def test_a_click_on_the_badge_of_a_missing_key_opens_the_card_of_its_platform(editor: Editor):
    editor.build({"make": {"type": "SkyportHaiyiTextToImage", "pos": [0, 0]}})
    editor.fit(margin=160)
    editor.page.wait_for_function(f"() => ({BADGE})()?.text === 'no API key'")
    if editor.vue:
        editor.page.get_by_text("no API key", exact=True).click()
    else:
        editor.page.mouse.click(*editor.page.evaluate(f"() => ({MIDDLE})(({BADGE})())"))
    card = editor.page.locator("[data-platform=haiyi]")
    card.wait_for()
    editor.page.wait_for_function(
        "() => document.activeElement?.closest('[data-platform=haiyi]') !== null"
    )


def test_a_key_goes_to_our_route_once_and_reaches_no_page(editor, host, sandbox):
    """All traffic: what the page sends and gets, and both ways of its websocket."""
    key, page = sandbox.key("haiyi"), editor.page
    sent: list[str] = []
    got: list[Any] = []
    page.on("request", lambda one: sent.append(f"{one.url} {one.headers} {one.post_data or ''}"))
    page.on("response", lambda one: got.append(one))
    frames: list[str] = []
    page.on("websocket", lambda one: one.on("framereceived", lambda data: frames.append(str(data))))
    page.reload()
    page.wait_for_function("() => window.app?.graph && app.extensionManager")
    page.wait_for_timeout(2500)

    card = open_page(editor)
    card.locator("input[type=password]").fill(key)
    card.get_by_role("button", name="Save").click()
    card.get_by_text(f"ends in {key[-4:]}").wait_for()
    assert card.locator("input[type=password]").input_value() == ""
    card.get_by_role("button", name="Test").click()
    card.get_by_text("It answers").wait_for()
    page.keyboard.press("Escape")
    editor.build(FILM)
    ended = editor.run()
    assert ended["status"]["status_str"] == "success", ended["status"]
    page.evaluate(
        "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
    )
    page.wait_for_timeout(500)
    page.evaluate(
        "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
    )

    assert [one.partition(" ")[0] for one in sent if key in one] == [
        f"{host.client.url}/api/skyport/setup/key"
    ]
    bodies = [body_of(one) for one in got]
    assert sum("/skyport/" in one.url for one in got) > 5
    assert [one.url for one, body in zip(got, bodies, strict=True) if key in body] == []
    assert frames
    assert not [frame for frame in frames if key in frame]
    stored = list(host.base.rglob("comfy.settings.json"))
    assert stored
    assert not [path for path in stored if key in path.read_text(encoding="utf-8")]
    assert key not in page.content()


def body_of(response: Any) -> str:
    try:
        return str(response.body().decode("utf-8", "replace")) + str(response.headers)
    except Exception:  # a redirect has none, and some are gone from the browser's cache
        return str(response.headers)


def test_the_sections_have_the_width_of_the_page(editor):
    open_page(editor)
    narrowest = "(sections) => Math.min(...sections.map((one) => one.offsetWidth))"
    assert editor.page.locator(".skyport-settings").evaluate_all(narrowest) > 400


def test_a_value_that_does_not_fit_is_told_beside_its_field(editor):
    open_page(editor)
    row = editor.page.locator("[data-name=results_dir]")
    row.locator("input").fill("pictures")
    editor.page.keyboard.press("Tab")
    row.get_by_text("must be the full path of a folder").wait_for()


def test_a_setting_of_the_environment_is_shown_and_cannot_be_changed(editor):
    open_page(editor)
    row = editor.page.locator("[data-name=keep_days]")
    assert row.locator("input").input_value() == "30"
    assert row.locator("input").is_disabled()
    assert "SKYPORT_KEEP_DAYS" in row.inner_text()


def test_practice_mode_is_told_plainly(editor, host):
    open_page(editor)
    switch = editor.page.locator("[data-name=sandbox] input")
    switch.check()
    try:
        editor.page.get_by_text("Practice mode: nothing is sent").first.wait_for()
    finally:
        act(host, "settings", sandbox=None)


def test_the_room_of_the_clusters_is_shown(editor, host, sandbox):
    keyed(host, sandbox)
    open_page(editor)
    card = editor.page.locator("[data-clusters=haiyi]")
    card.get_by_role("button", name="Show room").click()
    card.get_by_text("20 free of 22").wait_for()


def test_every_section_of_the_page_has_the_width_of_the_dialog(editor):
    open_page(editor)
    widths = editor.page.evaluate(
        "() => [...document.querySelectorAll('.skyport-settings')].map((one) => one.clientWidth)"
    )
    assert len(widths) == 8
    assert min(widths) > 400
    key = editor.page.locator("[data-platform=haiyi] input[type=password]")
    assert key.bounding_box()["width"] > 200


def test_the_dot_is_the_answer_of_the_last_test(editor, host, sandbox):
    card = open_page(editor)

    def enter(key: str) -> str | None:
        card.locator("input[type=password]").fill(key)
        card.get_by_role("button", name="Save").click()
        card.get_by_text(f"ends in {key[-4:]}").wait_for()
        return tone()

    def tone() -> str | None:
        shown: str | None = card.locator(".skyport-dot").get_attribute("data-tone")
        return shown

    assert enter(f"sk-nobody-knows-this-one-{id(card):08}") == ""
    card.get_by_role("button", name="Test").click()
    card.get_by_text("keys.json \u00b7 refused").wait_for()
    assert tone() == "bad"
    enter(sandbox.key("haiyi"))
    card.get_by_role("button", name="Test").click()
    card.get_by_text("keys.json \u00b7 works").wait_for()
    assert tone() == "good"


def test_a_key_is_removed_after_a_question(editor, host, sandbox):
    keyed(host, sandbox)
    card = open_page(editor)
    card.get_by_role("button", name="Remove").click()
    card.get_by_role("button", name="Keep it").click()
    card.get_by_text("ends in").wait_for()
    card.get_by_role("button", name="Remove").click()
    card.get_by_role("button", name="Remove the key").click()
    card.get_by_text("No key is set").wait_for()


def test_a_key_whose_address_changes_is_put_aside_with_words_before_and_after(editor, host):
    act(host, "key", platform="gpugeek", key="sk-of-the-first-address-1234")
    try:
        open_page(editor)
        card = editor.page.locator("[data-platform=gpugeek]")
        card.get_by_text("At another one it is put aside").wait_for()
        card.get_by_label("Address").fill("other.example")
        editor.page.keyboard.press("Tab")
        card.get_by_text("The key was put aside").wait_for()
        card.get_by_text("Keys are put aside for: https://comfyapi.gpugeek.com").wait_for()
        assert card.get_by_label("Address").input_value() == "https://other.example"
        card.get_by_label("Address").fill("")
        editor.page.keyboard.press("Tab")
        card.get_by_text("ends in 1234").wait_for()
    finally:
        act(host, "settings", base_urls={"gpugeek": None})
        act(host, "key/remove", platform="gpugeek")


# -- ComfyUI servers ----------------------------------------------------------------------------


@pytest.fixture
def studio() -> Iterator[Scripted]:
    """A ComfyUI with a graphics card and one prompt in its queue."""
    card = {"name": "cuda:0 RTX 4090", "vram_total": 24 * 1024**3, "vram_free": 20 * 1024**3}
    stats = {"system": {"comfyui_version": "0.33.0"}, "devices": [card]}
    queue = {"queue_running": [[1, "a", {}, {}, []]], "queue_pending": []}
    with Scripted() as server:
        server.on("/api/v2/jobs", Answer(404, b"not found"))
        server.on("/api/system_stats", answer_json(stats))
        server.on("/api/queue", answer_json(queue))
        yield server


@pytest.fixture
def own_servers(host: Host, editor: Editor) -> Iterator[None]:
    yield
    editor.page.keyboard.press("Escape")  # closes a form that is open; the next one the page
    for name in ("servers.json", "keys.json"):
        (host.home / name).unlink(missing_ok=True)


def open_servers(editor: Editor) -> Any:
    """The list of servers on the settings page."""
    open_page(editor)
    section = editor.page.locator("[data-servers]")
    section.get_by_role("button", name="Add a server").scroll_into_view_if_needed()
    return section


def test_a_server_is_added_tested_renamed_and_removed_by_keyboard_alone(
    editor, studio, own_servers
):
    section, keyboard = open_servers(editor), editor.page.keyboard
    section.get_by_text("Start it there with --listen").wait_for()
    section.get_by_role("button", name="Add a server").focus()
    keyboard.press("Enter")
    for text in ("studio", studio.url.removeprefix("http://")):
        keyboard.type(text)
        keyboard.press("Tab")
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    row = section.locator("[data-server=studio]")
    row.get_by_text("works", exact=True).wait_for()
    row.get_by_text("ComfyUI 0.33.0 \u00b7 cuda:0 RTX 4090: 20.0 of 24.0 GB free").wait_for()
    row.get_by_text("1 in its queue").wait_for()
    row.get_by_text("native interface").wait_for()
    assert row.locator(".skyport-dot").get_attribute("data-tone") == "good"
    row.get_by_role("button", name="Edit").focus()
    keyboard.press("Enter")
    keyboard.press("ControlOrMeta+A")
    keyboard.type("pc2")
    keyboard.press("Enter")
    renamed = section.locator("[data-server=pc2]")
    renamed.get_by_text("works", exact=True).wait_for()
    assert row.count() == 0
    renamed.get_by_role("button", name="Remove").focus()
    keyboard.press("Enter")
    renamed.get_by_text("Tasks that still run there").wait_for()
    keyboard.press("Enter")  # the focus is on what keeps it
    renamed.get_by_role("button", name="Remove").wait_for()
    keyboard.press("Enter")
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    section.get_by_text("Start it there with --listen").wait_for()
    assert renamed.count() == 0
    focused = "() => document.activeElement.textContent"
    assert editor.page.evaluate(focused) == "Add a server"


def test_escape_closes_the_form_of_a_server_and_not_the_page(editor, own_servers):
    section = open_servers(editor)
    section.get_by_role("button", name="Add a server").click()
    section.get_by_label("Name").fill("pod")
    editor.page.keyboard.press("Escape")
    section.get_by_label("Name").wait_for(state="hidden")
    assert section.get_by_role("button", name="Add a server").is_visible()
    assert section.locator("[data-server]").count() == 0


def test_the_key_of_a_server_is_asked_for_by_its_header_and_never_shown_again(
    editor, host, own_servers
):
    secret = "sk-of-a-rented-machine-7Q4z"
    section = open_servers(editor)
    section.get_by_role("button", name="Add a server").click()
    section.get_by_label("Name").fill("pod")
    section.get_by_label("Address").fill("http://pod.invalid")
    assert section.get_by_label("Key", exact=True).is_hidden()
    section.get_by_label("Key is sent").select_option("bearer")
    section.get_by_label("Key", exact=True).fill(secret)
    section.get_by_role("button", name="Save").click()
    row = section.locator("[data-server=pod]")
    row.get_by_text("key ends in 7Q4z").wait_for()
    row.get_by_text("http over the internet: the key").wait_for()
    row.get_by_text("no answer", exact=True).wait_for()
    assert secret not in editor.page.content()
    row.get_by_role("button", name="Edit").click()
    key = section.get_by_label("Key", exact=True)
    assert (key.input_value(), "7Q4z" in key.get_attribute("placeholder")) == ("", True)


def test_what_is_wrong_with_a_server_is_told_in_its_form_which_stays_open(editor, own_servers):
    section = open_servers(editor)
    section.get_by_role("button", name="Add a server").click()
    section.get_by_label("Name").fill("auto")
    section.get_by_label("Address").fill("10.0.0.7:8188")
    section.get_by_role("button", name="Save").click()
    section.get_by_text("neither auto nor default").wait_for()
    assert section.get_by_label("Address").input_value() == "10.0.0.7:8188"


def test_a_server_that_was_added_is_offered_by_nodes_on_the_canvas(editor, host, own_servers):
    editor.build({"run": {"type": "SkyportComfyuiRunWorkflow", "pos": [0, 0], "values": {}}})
    offered = f"() => {OURS}.widgets.find((one) => one.name === 'server').options.values"
    before = editor.page.evaluate(offered)
    assert "pc2" not in before
    section = open_servers(editor)
    section.get_by_role("button", name="Add a server").click()
    section.get_by_label("Name").fill("pc2")
    section.get_by_label("Address").fill(f"127.0.0.1:{closed_port()}")
    section.get_by_role("button", name="Save").click()
    section.locator("[data-server=pc2]").get_by_text("no answer", exact=True).wait_for()
    assert editor.page.evaluate(offered) == ["auto", "pc2"], before


# -- forms --------------------------------------------------------------------------------------


def test_a_refresh_brings_new_models_to_nodes_on_the_canvas_and_keeps_the_rest(
    editor, host, sandbox
):
    keyed(host, sandbox)
    refresh(editor)
    editor.build(FILM)
    assert held(editor) == HELD
    newer = copy.deepcopy(kling(sandbox))
    newer["model"] = "kling-v9"
    sandbox.platforms["haiyi"].models.append(newer)
    extra = {"name": "style", "type": "string", "default": "plain", "label": "style"}
    kling(sandbox)["parameter_rules"].insert(1, extra)
    editor.page.evaluate("() => document.querySelector('.skyport-notices').replaceChildren()")
    assert "1 new" in refresh(editor)
    assert held(editor) == HELD
    assert editor.page.evaluate(VALUES)["model.style"] == "plain"
    assert editor.page.evaluate(LINKED) == ["model.key_frames_start"]
    editor.page.evaluate(
        f"() => ({OURS}.widgets.find((w) => w.name === 'model').value = 'kwai/kling-v9')"
    )
    assert {"model.mode", "model.duration"} <= editor.page.evaluate(VALUES).keys()
    assert editor.prompt()["2"]["inputs"]["model.key_frames_start"] == ["1", 0]


def test_a_workflow_saved_with_another_form_keeps_every_value(editor, host, sandbox):
    keyed(host, sandbox)
    refresh(editor)
    editor.build(FILM)
    saved = editor.workflow()
    extra = {"name": "first", "type": "string", "default": "plain", "label": "first"}
    kling(sandbox)["parameter_rules"].insert(1, extra)
    editor.build({})
    editor.page.evaluate("() => document.querySelector('.skyport-notices').replaceChildren()")
    refresh(editor)
    editor.load(saved)
    assert held(editor) == HELD
    assert editor.page.evaluate(VALUES)["model.first"] == "plain"
    assert editor.page.evaluate(LINKED) == ["model.key_frames_start"]


def test_a_workflow_whose_model_is_gone_says_so_and_loses_nothing(editor, host, sandbox):
    editor.build(FILM)
    text = json.dumps(editor.workflow()).replace("kwai/kling-v3", "kwai/of-another-machine")
    editor.load(json.loads(text))
    assert "kwai/of-another-machine" in notice(editor, "A model is missing").inner_text()
    assert "model not offered" in editor.page.evaluate(BADGES)
    saved = editor.workflow()
    ours = next(one for one in saved["nodes"] if one["type"].startswith("Skyport"))
    stored = ours["properties"]["skyport_values"]
    gone = {**HELD, "model": "kwai/of-another-machine"}
    assert {name: stored[name] for name in HELD} == gone
    assert editor.page.evaluate(LINKED) == ["model.key_frames_start"]
    refused = host.run(editor.prompt())
    assert refused.status == "refused"
    assert 'The model "kwai/of-another-machine" is not offered' in json.dumps(
        refused.node_errors, ensure_ascii=False
    ).replace('\\"', '"')


def with_changed(editor: Editor, old: str, new: str) -> None:
    """Load FILM as another machine saved it, with another value."""
    editor.build(FILM)
    editor.load(json.loads(json.dumps(editor.workflow()).replace(f'"{old}"', f'"{new}"')))


@pytest.mark.parametrize(
    ("gone", "there"), [("kwai/kling-v3-old", "kwai/kling-v3"), ("profi", "pro")]
)
def test_a_queue_refused_for_a_choice_that_is_gone_offers_the_nearest_one(editor, gone, there):
    with_changed(editor, there, gone)
    editor.queue()
    message = notice(editor, f"{gone} is not offered for")
    message.get_by_role("button", name=f"Use {there}", exact=True).click()
    editor.page.wait_for_timeout(300)
    assert held(editor) == HELD
    assert editor.page.evaluate(LINKED) == ["model.key_frames_start"]


def test_what_a_card_says_is_in_the_language_of_the_latest_answer(editor):
    """The first one may come before the server knows the editor's language."""
    words = open_page(editor).locator(".skyport-hint").first
    editor.page.keyboard.press("Escape")
    words.wait_for(state="detached")  # the oldest editor takes its time to close a dialog
    editor.page.route("**/skyport/setup", in_another_language)
    try:
        open_page(editor)
        words.get_by_text("auf Deutsch").wait_for()
    finally:
        editor.page.unroute("**/skyport/setup")


def in_another_language(route: Any) -> None:
    answer = route.fetch().json()
    platforms = [{**one, "about": "auf Deutsch"} for one in answer["platforms"]]
    route.fulfill(json={**answer, "platforms": platforms})


RUNS = """() => ["execution_start", "execution_success"].forEach((name) =>
  app.api.dispatchEvent(new CustomEvent(name, { detail: { prompt_id: "the-rest" } })))"""


def test_a_choice_that_is_gone_is_still_told_when_the_rest_of_the_workflow_runs(editor):
    with_changed(editor, "kwai/kling-v3", "kwai/kling-v3-old")
    editor.queue()
    message = notice(editor, "kwai/kling-v3-old is not offered for")
    editor.page.evaluate(RUNS)
    assert message.count() == 1


def test_a_model_that_stays_gone_keeps_its_links_when_the_models_are_refreshed(
    editor, host, sandbox
):
    keyed(host, sandbox)
    with_changed(editor, "kwai/kling-v3", "kwai/of-another-machine")
    before = [editor.page.evaluate(LINKED), stored(editor)]
    sandbox.platforms["haiyi"].models.pop()
    editor.page.evaluate(REFRESH)
    notice(editor, "HaiYi: ")
    editor.page.wait_for_timeout(500)
    assert [editor.page.evaluate(LINKED), stored(editor)] == before
    assert before[0] == ["model.key_frames_start"]


def stored(editor: Editor) -> dict[str, Any]:
    """The values that a workflow would keep by name."""
    saved = editor.workflow()["nodes"]
    ours = next(one for one in saved if one["type"].startswith("Skyport"))
    kept: dict[str, Any] = ours["properties"]["skyport_values"]
    return kept


def test_a_script_that_changes_a_saved_value_is_obeyed(editor):
    """Names go before positions only where the form has changed."""
    editor.build(FILM)
    saved = editor.workflow()
    ours = next(one for one in saved["nodes"] if one["type"].startswith("Skyport"))
    ours["widgets_values"][ours["widgets_values"].index(7)] = 8
    editor.load(saved)
    assert editor.page.evaluate(VALUES)["seed"] == 8


# -- badges and errors --------------------------------------------------------------------------


def film(seed: int) -> dict[str, Any]:
    """FILM as another order: ComfyUI delivers an equal one from its cache."""
    graph = copy.deepcopy(FILM)
    graph["film"]["values"]["seed"] = seed
    return graph


def test_a_node_without_a_key_says_so_and_leads_to_the_page(editor):
    editor.build(film(8))
    editor.run()
    message = notice(editor, "no API key is set")
    assert "no API key" in editor.page.evaluate(BADGES)
    message.get_by_role("button", name="Open settings").click()
    editor.page.locator("[data-platform=haiyi] input[type=password]").wait_for()


HORSE = {"type": "SkyportHappyHorseTextToImage", "pos": [0, 0], "values": {"prompt": "a fox"}}


FRESH = {"type": "SkyportHaiyiTextToImage", "pos": [0, 0], "values": {"prompt": "a fresh fox"}}


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (film(10), "no API key is set"),
        ({"horse": HORSE}, "no address is set"),
        ({"fresh": FRESH}, "no API key is set"),
    ],
    ids=["no key", "no address", "models never refreshed"],
)
def test_two_clicks_lead_from_an_error_to_a_practice_run_and_one_more_to_the_key(
    editor, host, graph, words
):
    """The first minute of a person without an account."""
    editor.build(graph)
    editor.run()
    before = set(host.client.get("/history").json())
    missing = notice(editor, words)
    missing.get_by_role("button", name="Practice mode").click()
    try:
        sign = editor.page.locator(".skyport-practice")
        sign.get_by_text("PRACTICE").wait_for()
        notice(editor, "Practice mode is on").get_by_role("button", name="Run").click()
        until(lambda: set(host.client.get("/history").json()) - before)
        [ended] = set(host.client.get("/history").json()) - before
        assert host.client.get("/history").json()[ended]["status"]["status_str"] == "success"
        sign.get_by_role("button", name="Enter a key").click()
        editor.page.locator("[data-platform=haiyi] input[type=password]").wait_for()
        editor.page.keyboard.press("Escape")
        sign.get_by_role("button", name="Leave").click()
        sign.wait_for(state="hidden")
    finally:
        act(host, "settings", sandbox=None)


def test_the_settings_open_at_the_platform_that_failed(editor):
    editor.page.set_viewport_size({"width": 1280, "height": 500})
    editor.build(
        {
            "chat": {
                "type": "SkyportOpenComputingTextToImage",
                "pos": [0, 0],
                "values": {"prompt": "x"},
            }
        }
    )
    editor.run()
    notice(editor, "no API key is set").get_by_role("button", name="Open settings").click()
    editor.page.wait_for_function(
        "() => document.activeElement?.closest('[data-platform]')?.dataset.platform"
        " === 'opencomputing'"
    )
    key = editor.page.locator("[data-platform=opencomputing] input[type=password]")
    box = key.bounding_box()
    assert 0 < box["y"] < 500
    editor.page.set_viewport_size({"width": 1280, "height": 900})


def test_a_refused_key_is_told_in_the_words_of_the_platform(editor, host):
    act(host, "key", platform="haiyi", key="sk-nobody-knows-this-one-0000")
    editor.build(film(9))
    editor.run()
    assert "HaiYi: " in notice(editor, "Open settings").inner_text()


def test_a_node_tells_what_its_model_has_cost(editor, host, sandbox):
    keyed(host, sandbox)
    with HostLedger(host) as ledger:
        for cost in (0.1, 0.11, 0.4):
            place = sandbox.base_url("haiyi")
            model = {"provider": "kwai", "model": "kling-v3", "type": "image2video"}
            ledger.add(State.DELIVERED, model=model, place=place, cost=cost)
    editor.build(FILM)
    editor.page.evaluate("() => app.reloadNodeDefs()")
    editor.page.wait_for_function(
        f"() => ({BADGES})().includes('about 0.1-0.4 a task, from your last 3')"
    )
    if editor.page.evaluate("() => app.extensionManager.setting.get('Comfy.VueNodes.Enabled')"):
        editor.page.get_by_text("about 0.1-0.4 a task").first.wait_for()
