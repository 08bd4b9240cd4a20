"""A short walk over everything that the pack shows in ComfyUI's real editor: in one page, in both
languages, from the first minute of a person without a key. What a page does in depth is pinned in
the other files of this kind. tests/editor/frontends.py runs it on several frontends and prints
what passed where. Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import test_editor_cloud as cloud
import test_editor_models as models
import test_editor_outcome as outcome
from _host_ledger import HostLedger
from _waiting import until
from editor.watched import Watched
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, Locator, editor_of, expect
from sandboxes import environment
from scripted import Answer, Scripted, answer_json
from skyport.demo._host import PACK
from skyport.engine.ledger.ledger import State
from skyport.sandbox import Sandbox, start
from test_search import WORDS

pytestmark = NEEDS_EDITOR

WRONG = "sk-nobody-knows-this-one-7531"
JOBS = "Workspace.ToggleSidebarTab.skyport.jobs"
COUNT_CLICKS = """() => {
  window.clicks = [];
  const count = (event) => event.isTrusted && window.clicks.push(event.target.innerText);
  window.addEventListener("click", count, true);
}"""
HAN = r"[\u4e00-\u9fff]"
# Tooltips of our nodes that hold no Chinese, by node and input.
ENGLISH_TIPS = f"""() => app.graph._nodes.flatMap((node) => [...node.widgets, ...node.inputs]
  .filter(({{ name }}) => name !== "control_after_generate" && name !== "fixed")
  .map((one) => [`${{node.type}} ${{one.name}}`, one.tooltip ?? one.options?.tooltip])
  .filter(([, tip]) => tip && !/{HAN}/.test(tip)))"""
# The badges of a node of that type as the canvas shows them, from its left edge, and the last one's
# middle in the page.
DRAWN = """(type) => {
  const node = app.graph.nodes.find((one) => one.type === type), { ds, canvas } = app.canvas;
  const found = { texts: [], starts: [], end: 0, width: node.width };
  const ctx = document.createElement("canvas").getContext("2d");
  ctx.fillText = (text) => found.texts.push(text);
  ctx.roundRect = (x, y, width, height) => {
    const { left, top } = canvas.getBoundingClientRect();
    found.starts.push(x);
    found.end = x + width;
    found.middle = [
      left + (node.pos[0] + x + width / 2 + ds.offset[0]) * ds.scale,
      top + (node.pos[1] + y + height / 2 + ds.offset[1]) * ds.scale,
    ];
  };
  node.drawBadges(ctx);
  return found;
}"""
CHINESE = pytest.mark.parametrize("editor", ["zh"], indirect=True)
SIZES = "SkyportHappyHorseTextToImage"
EXTEND = "SkyportHappyHorseExtendVideo"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(pace=0.02) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def host(sandbox: Sandbox, tmp_path_factory: Any) -> Iterator[Host]:
    base = tmp_path_factory.mktemp("editor")
    (base / "input").mkdir()
    shutil.copy(PACK / "demo" / "picture.png", base / "input" / "example.png")
    env = {"HAIYI_BASE_URL": sandbox.base_url("haiyi")}
    env |= environment(sandbox, "opencomputing", "happyhorse")
    env["SKYPORT_HAPPYHORSE_MEDIA"] = "inline"
    with open_host("comfyui", base, env=env) as host:
        yield host


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1600, 1000)) as editor:
        editor.vue = request.param
        editor.watched = Watched(editor.page)
        editor.language = "en"
        reload(editor)
        yield editor


@pytest.fixture
def editor(request: Any, opened: Editor, host: Host) -> Iterator[Editor]:
    """The editor, in English or as CHINESE says, with nothing on its canvas; no key is saved."""
    act(host, "key/remove", platform="haiyi")
    speak(opened, getattr(request, "param", "en"))
    opened.build({})
    dismiss(opened)
    yield opened
    opened.page.evaluate("() => document.querySelector('.skyport-browse')?.close()")
    opened.page.keyboard.press("Escape")
    if opened.page.locator(".skyport-jobs").count():
        command(opened, JOBS)
    opened.watched.read_answers()


def act(host: Host, path: str, **fields: Any) -> None:
    head = {"X-Skyport": "1"}
    host.route("POST", f"/skyport/setup/{path}", json=fields, headers=head).raise_for_status()


def reload(editor: Editor) -> None:
    editor.page.reload()
    editor.page.wait_for_function("() => window.app?.graph && app.extensionManager?.command")
    editor.page.wait_for_function(
        "() => LiteGraph.registered_node_types.SkyportRunInCloud && app.canvas.canvas.width"
    )
    editor.page.wait_for_timeout(1500)


def speak(editor: Editor, language: str) -> None:
    """Let the editor be in that language."""
    if editor.language != language:
        editor.client.post("/settings", {"Comfy.Locale": language}).raise_for_status()
        editor.language = language
        reload(editor)


def dismiss(editor: Editor) -> None:
    editor.page.evaluate("() => document.querySelector('.skyport-notices')?.replaceChildren()")


def command(editor: Editor, name: str) -> None:
    editor.page.evaluate("(name) => void app.extensionManager.command.execute(name)", name)


def notice(editor: Editor, text: str) -> Locator:
    found = editor.page.locator(".skyport-notice", has_text=text)
    found.wait_for()
    return found


def card(editor: Editor) -> Locator:
    """HaiYi's card on the settings page, opened by a command."""
    command(editor, "Skyport.OpenSettings")
    found = editor.page.locator("[data-platform=haiyi]")
    found.wait_for()
    return found


def enter_key(card: Locator, key: str) -> None:
    card.locator("input[type=password]").fill(key)
    card.get_by_role("button", name="Save").click()
    card.get_by_text(f"ends in {key[-4:]}").wait_for()


def test_first_minute(editor: Editor, host: Host, sandbox: Sandbox) -> None:
    """From the error of a person without a key to a practice run, and from there to a key."""
    editor.build({"fox": {"type": "SkyportHaiyiTextToImage", "pos": [0, 0]}})
    models.choose(editor, "SkyportHaiyiTextToImage", prompt=f"a first fox {editor.vue}")
    editor.run()
    before = set(host.client.get("/history").json())
    editor.page.evaluate(COUNT_CLICKS)
    try:
        notice(editor, "no API key is set").get_by_role("button", name="Practice mode").click()
        notice(editor, "Practice mode is on").get_by_role("button", name="Run").click()
        until(lambda: set(host.client.get("/history").json()) - before)
        [ended] = set(host.client.get("/history").json()) - before
        status = host.client.get("/history").json()[ended]["status"]
        assert status["status_str"] == "success", status
        to_practice = len(editor.page.evaluate("() => window.clicks"))
        sign = editor.page.locator(".skyport-practice")
        sign.get_by_role("button", name="Enter a key").click()
        key = editor.page.locator("[data-platform=haiyi] input[type=password]")
        key.wait_for()
        to_field = len(editor.page.evaluate("() => window.clicks"))
        editor.page.keyboard.press("Escape")
        sign.get_by_role("button", name="Leave").click()
        sign.wait_for(state="hidden")
        enter_key(card(editor), sandbox.key("haiyi"))
        clicks = editor.page.evaluate("() => window.clicks")
    finally:
        act(host, "settings", sandbox=None)
    print(f"clicks to a practice run: {to_practice}, to the key's field: {to_field}, {clicks}")
    assert (to_practice, to_field) <= (2, 3)
    assert len(clicks) <= 5


def test_forms(editor: Editor) -> None:
    models.video(editor)
    before, links = models.queued(editor, models.VIDEO), models.linked(editor, models.VIDEO)
    assert set(links) == set(models.FRAMES)
    models.choose(editor, models.VIDEO, model=models.TENCENT)
    models.choose(editor, models.VIDEO, model=models.KLING)
    assert models.queued(editor, models.VIDEO) == before
    assert models.linked(editor, models.VIDEO) == links


def test_folded_inputs(editor: Editor) -> None:
    """Nodes 2.0 folds what few people set; it is sent and saved all the same."""
    values = {"model": "gpt-image-2", "model.output_format": "webp"}
    editor.build({"sizes": {"type": SIZES, "pos": [300, 100], "values": values}})
    assert models.queued(editor, SIZES)["model.output_format"] == "webp"
    name = editor.page.get_by_text("output_format", exact=True)
    if editor.vue:
        assert name.count() == 0
        editor.page.get_by_text("Show advanced inputs").first.click()
        name.wait_for()
    editor.load(editor.workflow())
    assert models.queued(editor, SIZES)["model.output_format"] == "webp"


def test_outcome(editor: Editor) -> None:
    outcome.run(editor, "walk")
    outcome.wait_for(editor, "done \u00b7 1 credits")
    editor.client.post("/free", {"free_memory": True}).raise_for_status()  # what ComfyUI holds
    editor.run()
    outcome.wait_for(editor, "done \u00b7 reused, no charge")
    outcome.run(editor, "[[fail:the sky fell]]")
    outcome.wait_for(editor, "failed: ")


def test_warnings(editor: Editor) -> None:
    """What a run warned of stays on its node, and whole with its job, after a reload too."""
    short_clip(editor)
    editor.run()
    for _ in range(2):
        outcome.wait_for(editor, "done \u00b7 ")
        line = editor.page.evaluate(outcome.LINES)["Boat"]
        assert "Only a recommendation" in line
        assert "at least 2" not in line  # it is cut
        outcome.press_line(editor, line)
        editor.page.locator(".skyport-detail .skyport-warn", has_text="at least 2").wait_for()
        command(editor, JOBS)
        reload(editor)


def short_clip(editor: Editor) -> None:
    """A node that is sent a clip of a second, less than what its model's document advises."""
    links = {"video": ["clip", "VIDEO"]}
    values = {"prompt": f"goes on {editor.vue}", "model": "wan2.7-i2v"}
    boat = {"type": EXTEND, "title": "Boat", "pos": [700, 0], "values": values, "links": links}
    frames = {"width": 320, "height": 320, "batch_size": 8}
    clip = {"type": "CreateVideo", "pos": [350, 0], "links": {"images": ["frames", "IMAGE"]}}
    seen = {"type": "SaveVideo", "pos": [1200, 0], "links": {"video": ["boat", "video"]}}
    frame = {"type": "EmptyImage", "pos": [0, 0], "values": frames}
    editor.build({"frames": frame, "clip": clip, "boat": boat, "seen": seen})
    editor.load(editor.workflow())  # older editors give a cleared graph no id of its own
    editor.fit(margin=80)


def test_settings(editor: Editor, sandbox: Sandbox) -> None:
    ours = card(editor)
    dot = ours.locator(".skyport-dot")
    enter_key(ours, WRONG)
    ours.get_by_role("button", name="Test").click()
    ours.get_by_text("refused").first.wait_for()
    assert dot.get_attribute("data-tone") == "bad"
    enter_key(ours, sandbox.key("haiyi"))
    assert dot.get_attribute("data-tone") == ""
    ours.get_by_role("button", name="Test").click()
    ours.get_by_text("keys.json \u00b7 works").wait_for()
    assert dot.get_attribute("data-tone") == "good"
    ours.get_by_role("button", name="Remove").click()
    ours.get_by_role("button", name="Keep it").click()
    ours.get_by_role("button", name="Remove").click()
    ours.get_by_role("button", name="Remove the key").click()
    ours.get_by_text("No key is set").wait_for()


def test_jobs(editor: Editor, host: Host) -> None:
    page = editor.page
    with HostLedger(host) as ledger:
        for cost in (0.25, 0.5):
            ledger.add(State.DELIVERED, cost=cost, unit="CNY", queue="queue-1")
        ledger.add(State.FAILED, title="alone", error="the sky fell")
        command(editor, JOBS)
        page.wait_for_selector(".skyport-row")
    group = page.locator(".skyport-group")
    assert "2 jobs" in group.inner_text()
    page.focus(".skyport-list")
    for key in ("End", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert group.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.inner_text(".skyport-detail h3") == "alone"
    assert "the sky fell" in page.inner_text(".skyport-detail")
    page.keyboard.press("Escape")
    page.wait_for_selector(".skyport-detail", state="hidden")


def test_model_browser(editor: Editor, sandbox: Sandbox) -> None:
    ours, page = card(editor), editor.page
    enter_key(ours, sandbox.key("haiyi"))
    page.keyboard.press("Escape")
    ours.wait_for(state="detached")
    dialog = page.locator("dialog.skyport-browse")
    command(editor, JOBS)
    page.locator(".skyport-jobs").get_by_role("button", name="Browse models").click()
    close(dialog)
    command(editor, JOBS)
    page.focus("canvas")
    page.keyboard.press("Control+Alt+m")
    close(dialog)
    editor.build({"film": {"type": models.VIDEO, "pos": [0, 0]}})
    page.evaluate(
        "() => app.graph._nodes[0].widgets.find((one) => one.name === 'browse_models').callback()"
    )
    dialog.locator("[role=option]").first.wait_for()
    before = models.queued(editor, models.VIDEO)["model"]
    dialog.get_by_role("combobox").first.fill("kling")
    other = dialog.locator("[role=option]", has_not_text="in use").last
    other.get_by_role("button", name="Use").click()
    expect(dialog).to_have_count(0)
    page.wait_for_timeout(500)
    now = models.queued(editor, models.VIDEO)["model"]
    assert "kling" in now.lower()
    assert now != before


def close(dialog: Locator) -> None:
    dialog.locator("[role=option]").first.wait_for()
    dialog.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_servers(editor: Editor, host: Host) -> None:
    card(editor)
    section = editor.page.locator("[data-servers]")
    with Scripted() as studio:
        studio.on("/api/v2/jobs", Answer(404, b"not found"))
        studio.on("/api/system_stats", answer_json({"system": {"comfyui_version": "0.33.0"}}))
        studio.on("/api/queue", answer_json({"queue_running": [], "queue_pending": []}))
        section.get_by_role("button", name="Add a server").click()
        section.get_by_label("Name").fill("studio")
        section.get_by_label("Address").fill(studio.url)
        section.get_by_label("Address").press("Enter")
        row = section.locator("[data-server=studio]")
        row.get_by_text("works", exact=True).wait_for()
    row.get_by_role("button", name="Remove").click()
    row.get_by_role("button", name="Remove").last.click()
    row.wait_for(state="detached")


def test_run_in_cloud(editor: Editor, host: Host, sandbox: Sandbox) -> None:
    act(host, "key", platform="haiyi", key=sandbox.key("haiyi"))
    editor.load({**json.loads(cloud.EXAMPLE.read_text("utf-8")), "id": str(uuid.uuid4())})
    editor.page.wait_for_function(f"() => Object.keys(({cloud.BADGES})()).length === 3")
    assert set(cloud.badges(editor).values()) == {"cloud: HaiYi"}
    cloud.three(editor)
    before = editor.state()
    cloud.press(editor, "ImageInvert", "Send upstream to cloud", "IMAGE")
    until(lambda: is_in_cloud(editor))
    editor.page.wait_for_timeout(900)  # the editor notes what can be undone
    cloud.undo(editor)
    assert editor.state() == before
    cloud.select(editor, "ImageInvert", "ImageScale")
    cloud.toolbox(editor, cloud.SEND).click()
    assert cloud.linked(editor, *cloud.SENT) == cloud.SENT
    cloud.toolbox(editor, cloud.BACK).click()
    until(lambda: not is_in_cloud(editor) and cloud.badges(editor) == {})


def test_long_badge(editor: Editor) -> None:
    """It stays within its node, and tells all of it to mouse, keys and screen reader."""
    editor.load({**json.loads(cloud.EXAMPLE.read_text("utf-8")), "id": str(uuid.uuid4())})
    cloud.choose(editor, "GPUGeek")
    cloud.badges(editor)
    if editor.vue:
        press_element(editor)
    else:
        press_drawn(editor)


def press_element(editor: Editor) -> None:
    badge = editor.page.get_by_role("button", name="cannot run: GPUGeek: no API key is set")
    badge.wait_for()
    whole = badge.get_attribute("title") or ""
    assert "\u2026" in badge.inner_text()
    assert "\u2026" not in whole
    assert badge.get_attribute("aria-label") == whole
    node = editor.page.locator("[data-node-id]").filter(has=badge)
    assert is_within(badge.bounding_box(), node.bounding_box())
    dismiss(editor)
    badge.press("Enter")
    notice(editor, whole.removeprefix("cannot run: "))


def press_drawn(editor: Editor) -> None:
    shown = editor.page.evaluate(DRAWN, cloud.RUN)
    [text] = [text for text in shown["texts"] if text.startswith("cannot run: ")]
    assert text.endswith("\u2026")
    assert shown["starts"][0] >= 0
    assert shown["end"] <= shown["width"]
    dismiss(editor)
    editor.page.mouse.click(*shown["middle"])
    notice(editor, "GPUGeek: no API key is set")


def is_within(inner: Any, outer: Any) -> bool:
    """From left to right."""
    ends = outer["x"] + outer["width"]
    return outer["x"] <= inner["x"] and inner["x"] + inner["width"] <= ends


def is_in_cloud(editor: Editor) -> bool:
    editor.page.wait_for_timeout(100)  # the page goes on meanwhile
    return cloud.RUN in {node["type"] for node in editor.state()["nodes"]}


def test_search(editor: Editor) -> None:
    find_all(editor, WORDS)


def find_all(editor: Editor, words: list[str]) -> None:
    """Type every word into the search box of the editor."""
    editor.page.mouse.dblclick(700, 500)
    box = editor.page.locator("input:focus")
    found = editor.page.locator('[data-testid="result-item"]')
    for word in words:
        box.fill(word)
        until(lambda: found.filter(has_text="skyport").count() or further(found))


def further(found: Locator) -> None:
    """The editor draws more of what it has found once the end of it is seen."""
    if found.count():
        found.last.scroll_into_view_if_needed()
    found.page.wait_for_timeout(100)


@CHINESE
def test_search_in_chinese(editor: Editor) -> None:
    """The box shows 64 nodes, and more ids than that hold "video" or "image"; no name does here."""
    find_all(editor, [word for word in WORDS if word not in ("video", "image")])


@CHINESE
def test_texts_in_chinese(editor: Editor) -> None:
    ours = card(editor)
    buttons = ours.get_by_role("button").all_inner_texts()
    titles = editor.page.locator(".skyport-settings h3, .skyport-settings h2").all_inner_texts()
    assert [text for text in [*buttons, *titles] if text.strip().isascii() and text.strip()] == []
    editor.page.keyboard.press("Escape")
    ours.wait_for(state="detached")
    editor.build(
        {
            "sizes": {"type": SIZES, "pos": [300, 0], "values": {"model": "gpt-image-2"}},
            "film": {"type": models.VIDEO, "pos": [900, 0], "values": {"model": models.KLING}},
        }
    )
    assert editor.page.evaluate(ENGLISH_TIPS) == []
    assert "1536x1024" in models.offered(editor, "model.size")
    gone = json.dumps(editor.workflow()).replace(f'"{models.KLING}"', f'"{models.KLING}-old"')
    editor.load(json.loads(gone))
    dismiss(editor)
    editor.queue()
    told = notice(editor, f"{models.KLING}-old")
    told.get_by_role("button", name=models.KLING).click()
    editor.page.wait_for_timeout(300)
    assert models.queued(editor, models.VIDEO)["model"] == models.KLING


@CHINESE
def test_console(editor: Editor) -> None:
    """Nothing that the walk has done made a script of ours complain, or be complained about."""
    assert editor.watched.logged
    complaints = "\n".join(editor.watched.complaints)
    assert complaints == ""


@CHINESE
def test_traffic(editor: Editor, host: Host, sandbox: Sandbox) -> None:
    """A key that was typed in the walk was sent once, to our route, and came back from nowhere."""
    watched = editor.watched
    for key in (sandbox.key("haiyi"), WRONG):
        there = {url for url, text in watched.sent if key in url + text}
        assert there <= {f"{host.client.url}/api/skyport/setup/key"}
        assert [url for url, text in watched.got if key in text] == []
        assert [frame for frame in watched.frames if key in frame] == []
        assert key not in editor.page.content()
    assert watched.frames
    assert any("/skyport/" in url for url, _ in watched.got)
