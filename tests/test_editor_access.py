"""Pins in ComfyUI's real editor that everybody can use our pages: contrast in each of its palettes,
names for screen readers, the keyboard, narrow and wide windows. Needs COMFYUI_PATH and a Chromium
(SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from _host_ledger import HostLedger, picture
from editor.access import PALETTES, faults, use_palette
from host import Host, open_host
from real_editor import NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.engine.batch.store import BatchStore, RowState, StoredBatch, StoredRow
from skyport.engine.ledger.ledger import State
from skyport.sandbox import start

pytestmark = NEEDS_EDITOR

JOBS = "Workspace.ToggleSidebarTab.skyport.jobs"
MODULE = """() => {
  const loaded = performance.getEntriesByType("resource").map((one) => one.name);
  const notices = loaded.find((one) => one.endsWith("/skyport/notices.js"));
  window.ours = (path) => import(new URL(path, notices).href);
}"""
# The editor warns of a frontend older than its server's; that lies on what is narrow.
NO_TOASTS = "() => document.querySelectorAll('.p-toast-close-button').forEach((one) => one.click())"
BOATS = {
    f"n{n}": {
        "type": "SkyportOpenComputingTextToImage",
        "pos": [420 * n, 0],
        "values": {"prompt": "a boat", "seed": 40 + n, "model": "wan2.2-t2i-plus"},
    }
    for n in range(2)
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    with start(pace=0.05) as sandbox:
        env = {**environment(sandbox, "opencomputing", "haiyi"), "SKYPORT_KEEP_DAYS": "30"}
        with open_host("comfyui", tmp_path_factory.mktemp("editor"), env=env) as host:
            add_batch(host)
            yield host


def add_batch(host: Host) -> None:
    store = BatchStore(Path(host.process.env["SKYPORT_HOME"]) / "batches.db")
    store.begin(StoredBatch("b1", "shots of a long name.csv", "happyhorse", "kling", 4000, "", ""))
    store.write("b1", StoredRow(1, mark="a", state=RowState.DONE, cost=1234.5, unit="CNY"))
    store.close()


@pytest.fixture(scope="module")
def opened(host: Host) -> Iterator[Editor]:
    with editor_of(host, False, (1280, 860)) as editor:
        editor.page.set_default_timeout(30_000)
        editor.page.evaluate(MODULE)
        yield editor


@pytest.fixture
def editor(opened: Editor, ledger: HostLedger) -> Iterator[Editor]:
    """The editor with jobs of every kind in the ledger, and nothing of ours open."""
    for state in (State.DELIVERED, State.FAILED, State.CANCELLED, State.UNKNOWN, State.UNRESOLVED):
        ledger.add(state, title=f"a model of a long name that is {state.name.lower()}", cost=0.25)
    shown = picture(ledger.host.output_dir / "skyport" / "boat.png")
    details = [("seed", "7"), ("reasoning", "word " * 60)]
    ledger.add(State.DELIVERED, title="boat", files=[shown], texts=["a text"], details=details)
    opened.build({})
    opened.page.evaluate(NO_TOASTS)
    yield opened
    close_all(opened)
    opened.page.set_viewport_size({"width": 1280, "height": 860})
    use_palette(opened.page, "dark")


def close_all(editor: Editor) -> None:
    page = editor.page
    for _ in range(2):
        page.keyboard.press("Escape")
    if page.locator(".skyport-jobs").count():
        command(editor, JOBS)
    page.evaluate("() => document.querySelector('.skyport-notices')?.replaceChildren()")
    page.evaluate("() => document.querySelectorAll('dialog').forEach((one) => one.close())")
    practise(editor, None)
    editor.build({})


def command(editor: Editor, name: str) -> None:
    editor.page.evaluate("(name) => void app.extensionManager.command.execute(name)", name)
    editor.page.wait_for_timeout(500)


def practise(editor: Editor, on: bool | None) -> None:
    editor.page.evaluate(
        "async (sandbox) => (await ours('settings/setup.js')).change('settings', { sandbox })", on
    )


def jobs(editor: Editor) -> None:
    command(editor, JOBS)
    editor.page.wait_for_selector(".skyport-row")
    for name in ("Batches", "Spending and limits", "Cost"):
        editor.page.locator(".skyport-sums summary", has_text=name).click()
    editor.page.wait_for_timeout(500)


def job(editor: Editor) -> None:
    command(editor, JOBS)
    editor.page.locator(".skyport-row").first.click()
    editor.page.wait_for_selector(".skyport-detail .skyport-facts")
    editor.page.wait_for_timeout(500)


def settings(editor: Editor) -> None:
    practise(editor, True)
    command(editor, "Skyport.OpenSettings")
    editor.page.wait_for_selector("[data-platform=haiyi]")
    for platform in ("haiyi", "opencomputing"):
        editor.page.locator(f"[data-platform={platform}]").get_by_role(
            "button", name="Test"
        ).click()
    editor.page.wait_for_timeout(1000)


def notices(editor: Editor) -> None:
    editor.page.evaluate("""async () => {
      const { notice } = await ours("notices.js");
      const actions = [["Open settings", () => 0], ["Practice mode", () => 0]];
      for (const tone of ["good", "warn", "bad"])
        notice({ title: tone, text: "What it says. ".repeat(9), tone, actions });
    }""")


def cost(editor: Editor) -> None:
    editor.build(BOATS)
    editor.page.locator(".skyport-cost .skyport-button").click()
    editor.page.wait_for_selector(".skyport-cost li")
    editor.page.mouse.move(640, 700)


def names(editor: Editor) -> None:
    editor.page.evaluate("async () => (await ours('cloud/names.js')).askForNames(() => 0)")
    editor.page.wait_for_timeout(300)
    editor.page.locator(".skyport-names").get_by_role("button", name="Use it").click()
    editor.page.wait_for_timeout(200)


def files(editor: Editor) -> None:
    editor.page.evaluate(
        "async () => void (await ours('files/ask.js')).askAbout(['/home/a/picture.png'])"
    )
    editor.page.wait_for_timeout(300)


def sign(editor: Editor) -> None:
    practise(editor, True)
    editor.page.wait_for_selector(".skyport-practice:not([hidden])")


PAGES: Mapping[str, tuple[Callable[[Editor], None], str]] = {
    "jobs": (jobs, ".skyport-body"),
    "job": (job, ".skyport-detail"),
    "settings": (settings, ".skyport-settings"),
    "notices": (notices, ".skyport-notices"),
    "cost": (cost, ".skyport-cost"),
    "names": (names, ".skyport-names"),
    "files": (files, ".skyport-files"),
    "sign": (sign, ".skyport-practice"),
}
each_page = pytest.mark.parametrize("page", PAGES)


@each_page
def test_a_page_has_the_contrast_of_level_aa_in_every_palette(editor: Editor, page: str):
    show, selector = PAGES[page]
    show(editor)
    found = []
    for palette in PALETTES:
        use_palette(editor.page, palette)
        found += [f"{palette}: {one}" for one in faults(editor.page, "faint", selector)]
    assert not found, "\n".join(found)


def test_the_dialog_of_all_models_has_the_colours_of_the_other_pages(editor: Editor):
    command(editor, "Skyport.BrowseModels")
    editor.page.locator(".skyport-browse [role=option]").first.wait_for()
    found = []
    for palette in PALETTES:
        use_palette(editor.page, palette)
        found += [f"{palette}: {one}" for one in faults(editor.page, "faint", ".skyport-browse")]
    assert not found, "\n".join(found)


@each_page
def test_everything_on_a_page_has_a_name(editor: Editor, page: str):
    show, selector = PAGES[page]
    show(editor)
    assert faults(editor.page, "nameless", selector) == []


@each_page
def test_the_focus_is_seen_in_every_palette(editor: Editor, page: str):
    show, selector = PAGES[page]
    show(editor)
    found = []
    for palette in PALETTES:
        use_palette(editor.page, palette)
        found += [f"{palette}: {one}" for one in faults(editor.page, "unfocused", selector)]
    assert not found, "\n".join(found)


@each_page
@pytest.mark.parametrize("width", [400, 1280, 3840])
def test_a_page_fits_the_window(editor: Editor, page: str, width: int):
    editor.page.set_viewport_size({"width": width, "height": 860})
    show, selector = PAGES[page]
    show(editor)
    found = faults(editor.page, "cut", selector)
    assert not found, "\n".join(found)


MOVES = """(selector) => {
  const page = document.querySelector(selector);
  const lasts = (times) => times.split(",").some((time) => parseFloat(time) > 0);
  const moves = (one) => ["", "::before", "::after"].some((part) => {
    const { transitionDuration, animationName, animationDuration } = getComputedStyle(one, part);
    return lasts(transitionDuration) || (animationName !== "none" && lasts(animationDuration));
  });
  const all = [page, ...page.querySelectorAll("*")];
  return all.filter(moves).map((one) => one.outerHTML.slice(0, 80));
}"""


@each_page
def test_nothing_on_a_page_moves_for_those_who_ask_for_less_motion(editor: Editor, page: str):
    editor.page.emulate_media(reduced_motion="reduce")
    try:
        show, selector = PAGES[page]
        show(editor)
        assert editor.page.evaluate(MOVES, selector) == []
    finally:
        editor.page.emulate_media(reduced_motion="no-preference")


# -- the keyboard and where it leads ------------------------------------------------------------

FOCUSED = "() => document.activeElement.textContent.trim() || document.activeElement.ariaLabel"


def focused(editor: Editor) -> str:
    return str(editor.page.evaluate(FOCUSED))


def test_a_key_leads_to_the_latest_message_and_escape_back(editor: Editor):
    cost(editor)
    editor.page.locator(".skyport-cost .skyport-button").focus()
    before = focused(editor)
    notices(editor)
    editor.page.keyboard.press("Control+Alt+n")
    for left in (2, 1, 0):
        assert focused(editor) == "Open settings"
        editor.page.keyboard.press("Escape")
        assert editor.page.locator(".skyport-notice").count() == left
    assert focused(editor) == before


def test_messages_come_into_a_region_that_was_there_to_be_read_aloud(editor: Editor):
    region = editor.page.locator(".skyport-notices")
    assert region.get_attribute("aria-live") == "polite"
    notices(editor)
    assert editor.page.get_by_role("region", name="Messages of Skyport").count() == 1
    assert editor.page.get_by_role("alert").filter(has_text="bad").count() == 1


def test_the_parts_of_a_sum_are_opened_and_closed_by_keys(editor: Editor):
    editor.build(BOATS)
    words = f"{len(BOATS)} tasks"  # an estimate that comes later may close the list
    editor.page.locator(".skyport-cost .skyport-sum").filter(has_text=words).wait_for()
    button = editor.page.locator(".skyport-cost .skyport-button")
    button.focus()
    states = []
    for key in ("Enter", "Escape"):
        editor.page.keyboard.press(key)
        states.append(button.get_attribute("aria-expanded"))
    assert states == ["true", "false"]
    assert editor.page.evaluate("() => document.activeElement.ariaExpanded") == "false"


@pytest.mark.parametrize("page", ["names", "files"])
def test_a_dialog_gives_the_focus_back(editor: Editor, page: str):
    editor.build(BOATS)
    editor.page.locator(".skyport-cost .skyport-button").focus()
    before = focused(editor)
    show, selector = PAGES[page]
    show(editor)
    assert editor.page.locator(f"{selector} :focus").count() == 1
    editor.page.keyboard.press("Escape")
    editor.page.locator(selector).wait_for(state="detached")
    assert focused(editor) == before


@pytest.mark.parametrize("page", ["names", "files"])
def test_a_key_in_a_dialog_is_none_for_the_editor(editor: Editor, page: str):
    """On some frontends Escape leaves a subgraph, and the dialog stayed."""
    show, _ = PAGES[page]
    show(editor)
    editor.page.evaluate("""() => {
      window.keys = [];
      window.addEventListener("keydown", ({ key }) => window.keys.push(key));
    }""")
    for key in ("Delete", "Escape"):
        editor.page.keyboard.press(key)
    assert editor.page.evaluate("() => window.keys") == []


def test_a_button_that_was_busy_keeps_the_focus(editor: Editor):
    settings(editor)
    test = editor.page.locator("[data-platform=haiyi]").get_by_role("button", name="Test")
    test.focus()
    editor.page.keyboard.press("Enter")
    editor.page.wait_for_function(
        "() => document.activeElement.textContent === 'Test' && !document.activeElement.disabled"
    )


def test_the_question_before_a_key_is_removed_takes_and_gives_back_the_focus(editor: Editor):
    settings(editor)
    card = editor.page.locator("[data-platform=gpugeek]")
    card.locator("input[type=password]").fill("sk-a-key-that-nobody-has-0000")
    editor.page.keyboard.press("Enter")
    remove = card.get_by_role("button", name="Remove", exact=True)
    remove.focus()
    for expected in ("Keep it", "Remove"):
        editor.page.keyboard.press("Enter")
        assert focused(editor) == expected
    editor.page.keyboard.press("Enter")
    editor.page.keyboard.press("Shift+Tab")
    assert focused(editor) == "Remove the key"
    editor.page.keyboard.press("Enter")
    remove.wait_for(state="hidden")
    assert editor.page.evaluate("() => document.activeElement.type") == "password"


def test_the_answer_about_a_setting_is_read_aloud_and_belongs_to_its_field(editor: Editor):
    settings(editor)
    field = editor.page.locator("#skyport-setting-max_parallel")
    told = editor.page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert told.get_attribute("role") == "status"
    assert told.get_attribute("hidden") is None  # else its first words are not read
    field.fill("many")
    field.press("Tab")
    editor.page.wait_for_selector("#skyport-setting-max_parallel[aria-invalid=true]")
    assert told.inner_text()
