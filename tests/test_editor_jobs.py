"""Pins the job list in ComfyUI's real editor: thousands of rows scroll, it lives on events, and a
job gets from it into the graph. Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _clock import LONG, Clock
from _host_ledger import HostLedger, picture
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.engine.batch.store import BatchStore, RowState, StoredBatch, StoredRow
from skyport.engine.ledger.ledger import EVERYTHING, State
from skyport.engine.ledger.process_lock import Owner
from skyport.sandbox import start

pytestmark = NEEDS_EDITOR

MANY = 5000
TOGGLE = "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
ROWS = "() => [...document.querySelectorAll('.skyport-row')].map((row) => row.innerText)"
# What the tab's badge counts; its element has another class in each version.
RUNNING = "app.extensionManager.getSidebarTabs().find((one) => one.id === 'skyport.jobs').iconBadge"
# Timers that the page starts from now on, and how many of them still tick.
WATCH_TIMERS = """() => {
  window.ticking = new Set();
  const [begin, end] = [window.setInterval, window.clearInterval];
  window.setInterval = (call, pause, ...rest) => {
    const id = begin(call, pause, ...rest);
    if (new Error().stack.includes("/skyport/")) window.ticking.add(id);
    return id;
  };
  window.clearInterval = (id) => { window.ticking.delete(id); end(id); };
}"""


@pytest.fixture(scope="module")
def host(clock: Clock, tmp_path_factory: Any) -> Iterator[Host]:
    with start(pace=1, clock=clock) as sandbox:
        env = environment(sandbox, "haiyi")
        with open_host("comfyui", tmp_path_factory.mktemp("editor"), env=env) as host:
            yield host


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1280, 860)) as editor:
        editor.page.evaluate(WATCH_TIMERS)
        yield editor


@pytest.fixture
def jobs(opened: Editor, ledger: HostLedger) -> Iterator[Editor]:
    """The editor with an empty canvas; the tab is opened by the test, when the ledger is filled."""
    opened.build({})
    yield opened
    if opened.page.locator(".skyport-jobs").count():
        opened.page.evaluate(TOGGLE)


def show(editor: Editor) -> None:
    editor.page.evaluate(TOGGLE)
    known = ".skyport-empty:not([hidden]):not(:has-text('Loading the jobs'))"
    editor.page.wait_for_selector(f".skyport-row, {known}")


def test_an_empty_ledger_says_how_it_is_filled(jobs: Editor):
    show(jobs)
    assert "No jobs yet" in jobs.page.inner_text(".skyport-empty")


TAB_IS_THERE = """() => window.told && window.app
  && app.extensionManager?.getSidebarTabs?.().some((one) => one.id === "skyport.jobs")"""
# The server tells all that it ever tells a page as soon as that is connected.
TOLD_AT_ONCE = """
const told = {
  "skyport.jobs": { live: [], running: 3, rows: [], notices: [] },
  "skyport.outcome": { workflow: "" },
  "skyport.notice": { title: "", body: "" },
};
window.WebSocket = class extends WebSocket {
  constructor(...about) {
    super(...about);
    this.addEventListener("open", () => {
      for (const [type, data] of Object.entries(told))
        this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify({ type, data }) }));
      window.told = true;
    });
  }
};
"""


def test_what_the_server_tells_while_the_page_loads_is_known(opened: Editor):
    errors: list[str] = []
    page = opened.page.context.browser.new_page()
    page.on("console", lambda entry: errors.append(entry.text))
    page.add_init_script(TOLD_AT_ONCE)
    page.goto(opened.client.url)
    page.wait_for_function(TAB_IS_THERE)
    page.close()
    assert [text for text in errors if "skyport" in text] == []


def test_spending_is_drawn_by_day_and_read_as_a_table(jobs: Editor, ledger: HostLedger):
    for cost in (0.25, 0.5):
        ledger.add(State.DELIVERED, cost=cost)
    jobs.page.evaluate("""() => fetch("/skyport/setup/settings", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Skyport": "1" },
      body: JSON.stringify({ limit_tasks_per_day: 4 }),
    })""")
    show(jobs)
    jobs.page.click("text=Spending and limits")
    jobs.page.wait_for_selector(".skyport-chart svg")
    words = jobs.page.inner_text(".skyport-spent")
    assert "2 tasks" in words
    assert "2 tasks left of 4 tasks" in words
    assert jobs.page.locator(".skyport-chart g").count() == 30
    tall = "() => [...document.querySelectorAll('.skyport-charged')].at(-1).getBBox().height"
    assert jobs.page.evaluate(tall) == 48
    cells = jobs.page.locator(".skyport-chart td").all_inner_texts()
    assert cells[1:] == ["2", "0.75", "0", "0"]


def test_batches_of_the_command_are_a_table_that_moves_while_one_runs(jobs: Editor, host: Host):
    home = Path(host.process.env["SKYPORT_HOME"])
    owner = Owner(home / "owners")
    store = BatchStore(home / "batches.db")
    store.begin(StoredBatch("b1", "shots.csv", "haiyi", "kling-v3", 4, "", owner.id))
    store.write("b1", StoredRow(1, mark="a", state=RowState.DONE, cost=0.5, unit="CNY"))
    store.write("b1", StoredRow(2, mark="b", state=RowState.RUNNING))
    show(jobs)
    jobs.page.click("text=Batches: 1 running")
    row = jobs.page.locator(".skyport-sums tr", has_text="shots.csv")
    row.get_by_text("1/4", exact=True).wait_for()
    store.write("b1", StoredRow(2, mark="b", state=RowState.DONE, cost=0.25, unit="CNY"))
    store.write("b1", StoredRow(3, 5, mark="c", state=RowState.FAILED, error="<b>no luck</b>"))
    row.get_by_text("2/4", exact=True).wait_for()
    cells = row.locator("td").all_inner_texts()
    assert cells[0].split("\n")[:2] == ["shots.csv", "HaiYi \u00b7 kling-v3"]
    assert cells[1:] == ["2/4", "", "1", "0.75 CNY"]
    row.get_by_role("button").press("Enter")
    jobs.page.get_by_text("Row 3 (line 5): Its task has failed. <b>no luck</b>").wait_for()
    store.write("b1", StoredRow(4, mark="d", state=RowState.REFUSED, error="no file"))
    jobs.page.get_by_text("Row 4: Not sent. no file").wait_for()
    assert jobs.page.evaluate("document.activeElement.dataset.batch") == "b1"
    row.get_by_role("button").press("Enter")
    jobs.page.get_by_text("Row 4: Not sent. no file").wait_for(state="detached")
    store.close()
    (home / "batches.db").unlink()


def test_five_thousand_rows_scroll_and_few_are_drawn(jobs: Editor, ledger: HostLedger):
    ledger.add_many(MANY)
    show(jobs)
    assert "5,000 jobs" in jobs.page.inner_text(".skyport-status")
    answer = jobs.page.evaluate("""async () => {
      const list = document.querySelector(".skyport-list"), medians = {};
      let most = 0;
      for (const [phase, step] of [["still", 0], ["moved", 400]]) {
        const frames = [];
        for (let before = performance.now(); frames.length < 120; before = performance.now()) {
          list.scrollTop += step;
          await new Promise(requestAnimationFrame);
          frames.push(performance.now() - before);
          most = Math.max(most, document.querySelectorAll(".skyport-row").length);
        }
        medians[phase] = frames.sort((one, other) => one - other)[60];
      }
      list.scrollTop = list.scrollHeight;
      return { ...medians, most };
    }""")
    assert answer["most"] < 40
    assert answer["moved"] < 3 * answer["still"]  # a frame while it scrolls against one at rest
    jobs.page.wait_for_selector(f".skyport-row[aria-posinset='{MANY}']")


def test_text_of_a_platform_is_shown_and_never_run(jobs: Editor, ledger: HostLedger):
    evil = "<img src=x onerror=window.caught=1>"
    ledger.add(State.DELIVERED, evil, title=f"{evil}title", texts=[evil])
    ledger.add(State.FAILED, error=f"{evil} refused", task=evil)
    show(jobs)
    for row in (0, 1):
        jobs.page.locator(".skyport-row").nth(row).click()
        jobs.page.wait_for_selector(".skyport-detail .skyport-facts")
        jobs.page.wait_for_timeout(300)
        assert evil in jobs.page.inner_text(".skyport-detail")
        jobs.page.keyboard.press("Escape")
    assert jobs.page.evaluate("() => window.caught") is None


def test_the_keyboard_leads_to_a_job_and_back(jobs: Editor, ledger: HostLedger):
    for number in range(30):
        ledger.add(State.FAILED, title=f"job {number}")
    show(jobs)
    jobs.page.focus(".skyport-list")
    for key in ("End", "ArrowUp", "Enter"):
        jobs.page.keyboard.press(key)
    assert jobs.page.inner_text(".skyport-detail h3") == "job 1"
    jobs.page.keyboard.press("Escape")
    jobs.page.keyboard.press("Home")
    jobs.page.keyboard.press("Enter")
    assert jobs.page.inner_text(".skyport-detail h3") == "job 29"


def test_jobs_of_one_queue_are_folded_by_keys_and_no_key_deletes_in_the_graph(
    jobs: Editor, ledger: HostLedger
):
    for cost in (0.25, 0.5):
        ledger.add(State.DELIVERED, cost=cost, unit="CNY", queue="queue-1")
    ledger.add(State.FAILED, title="alone")
    jobs.build({"kept": {"type": "PreviewImage", "pos": [900, 900]}})
    page = jobs.page
    page.evaluate("() => app.canvas.selectNode(app.graph._nodes[0])")
    show(jobs)
    head = page.locator(".skyport-group")
    assert "2 jobs" in head.inner_text()
    assert "0.75 CNY" in head.inner_text()
    page.focus(".skyport-list")
    for key in ("Delete", "Backspace", "End", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert head.get_attribute("aria-expanded") == "false"
    assert page.locator(".skyport-row").count() == 1
    page.evaluate(TOGGLE)
    show(jobs)
    assert head.get_attribute("aria-expanded") == "false", "it outlives the tab"
    head.click()
    assert page.locator(".skyport-row").count() == 3
    assert page.evaluate("() => app.graph._nodes.length") == 1


def test_what_was_sent_is_read_and_copied_and_stays_unfolded_while_the_job_changes(
    jobs: Editor, ledger: HostLedger
):
    ledger.add(State.UNRESOLVED, "a long prompt\nin two lines", parameters={"steps": 30})
    page = jobs.page
    show(jobs)
    page.click(".skyport-row")
    page.wait_for_selector(".skyport-facts dd >> text=30")
    fold = page.locator(".skyport-fold:has(> summary:text-is('parameters.prompt'))")
    assert fold.get_attribute("open") is not None, "a prompt is what people look for"
    assert "in two lines" in fold.inner_text()
    fold.locator("summary").click()
    fold.locator("summary").focus()
    row = ledger.store.rows(EVERYTHING)[0]
    ledger.store.record_progress(row.record.fingerprint, State.RUNNING, 0.5)
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    page.wait_for_selector(".skyport-detail .skyport-state >> text=running")
    assert fold.get_attribute("open") is None
    assert fold.locator("summary").evaluate("(it) => it === document.activeElement")


def test_a_list_that_cannot_be_read_says_why_and_is_asked_for_again(
    jobs: Editor, ledger: HostLedger
):
    ledger.add(State.FAILED, title="there all the same")
    page = jobs.page
    body = '{"message": "The ledger cannot be read."}'
    page.route("**/skyport/jobs?*", lambda route: route.fulfill(status=400, body=body))
    page.evaluate(TOGGLE)
    page.wait_for_selector(".skyport-empty >> text=The ledger cannot be read.")
    page.unroute("**/skyport/jobs?*")
    page.click(".skyport-empty button")
    page.wait_for_selector(".skyport-row >> text=there all the same")


def test_the_list_is_filtered_and_the_filter_outlives_the_tab(jobs: Editor, ledger: HostLedger):
    ledger.add(State.FAILED, title="failed one")
    ledger.add(State.DELIVERED, title="good one")
    show(jobs)
    jobs.page.select_option(".skyport-choices select >> nth=0", "failed")
    jobs.page.wait_for_function("() => document.querySelectorAll('.skyport-row').length === 1")
    jobs.page.evaluate(TOGGLE)
    show(jobs)
    assert ["failed one" in text for text in jobs.page.evaluate(ROWS)] == [True]
    jobs.page.select_option(".skyport-choices select >> nth=0", "")
    jobs.page.fill(".skyport-search", "GOOD")
    jobs.page.wait_for_function(
        "() => document.querySelector('.skyport-row .skyport-title')?.innerText === 'good one'"
    )
    jobs.page.fill(".skyport-search", "")
    jobs.page.wait_for_function("() => document.querySelectorAll('.skyport-row').length === 2")


def test_a_result_is_loaded_into_the_graph_and_brought_by_its_node(
    jobs: Editor, ledger: HostLedger, tmp_path: Path
):
    file = picture(ledger.host.output_dir / "skyport" / "haiyi" / "a.png")
    job = ledger.add(State.DELIVERED, files=[file])
    show(jobs)
    jobs.page.wait_for_selector(".skyport-cover img")
    jobs.page.click(".skyport-row button[title='Load into graph']")
    (queued,) = jobs.prompt().values()
    assert queued["class_type"] == "SkyportLoadResult"
    assert str(queued["inputs"]["job"]).startswith(f"{job} - ")
    box = jobs.page.evaluate("""() => {
      const [node] = app.graph._nodes, { ds, canvas } = app.canvas;
      const at = [0, 1].map((side) => (node.pos[side] + ds.offset[side]) * ds.scale);
      return [at[0] / canvas.clientWidth, at[1] / canvas.clientHeight];
    }""")
    assert all(0 < share < 1 for share in box)


def test_results_are_loaded_onto_free_ground(jobs: Editor, ledger: HostLedger):
    ledger.add(State.DELIVERED, files=[picture(ledger.host.output_dir / "skyport" / "b.png")])
    show(jobs)
    for _ in range(3):
        jobs.page.click(".skyport-row button[title='Load into graph']")
    boxes = jobs.page.evaluate("() => app.graph._nodes.map((one) => [...one.pos, ...one.size])")
    assert len(boxes) == 3
    for at, (x, y, width, height) in enumerate(boxes):
        for left, top, across, down in boxes[at + 1 :]:
            beside = x + width <= left or left + across <= x
            assert beside or y + height <= top - 30 or top + down <= y - 30


def test_a_running_job_is_live_without_polling_and_its_node_is_found(
    jobs: Editor, ledger: HostLedger, clock: Clock
):
    page = jobs.page
    show(jobs)
    model = {"type": "SkyportHaiyiTextToImage", "pos": [900, 900]}
    jobs.build(
        {
            "make": {**model, "values": {"prompt": f"{LONG} {uuid.uuid4()}"}},
            "seen": {
                "type": "PreviewImage",
                "links": {"images": ["make", "images"]},
                "pos": [0, 0],
            },
        }
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    jobs.queue()
    page.wait_for_function(f"() => {RUNNING}.includes('1')")
    page.wait_for_function(
        "() => /running|queued/.test(document.querySelector('.skyport-seen')?.innerText)"
    )
    assert page.evaluate("() => window.ticking.size") == 1
    page.locator(".skyport-row").first.click()
    page.click(".skyport-detail button[title='Cancel']")
    page.wait_for_selector("text=HaiYi cannot cancel task")
    page.click(".skyport-detail button[title='Show the node']")
    chosen = page.evaluate("() => Object.values(app.canvas.selected_nodes).map((one) => one.type)")
    assert chosen == ["SkyportHaiyiTextToImage"]
    clock.forward()
    page.wait_for_function(f"() => !{RUNNING}.includes('1')")
    page.wait_for_selector(".skyport-detail .skyport-file img")
    assert page.evaluate("() => window.ticking.size") == 0
    polls = [url for url in asked if "/skyport/jobs?" in url]
    assert len(polls) <= 2, "only the cancel has the list asked for"


def test_a_node_that_is_not_in_the_graph_is_said_to_be_missing(jobs: Editor, ledger: HostLedger):
    ledger.add(State.FAILED, node="77")
    show(jobs)
    jobs.page.click(".skyport-row")
    jobs.page.click(".skyport-detail button[title='Show the node']")
    jobs.page.wait_for_selector("text=The node 77 that ran this job is not in the open graph.")


def test_an_unresolved_job_shows_its_last_answer_and_is_ordered_anew_after_a_yes(
    jobs: Editor, ledger: HostLedger
):
    ledger.add(State.UNRESOLVED, title="open end", answer='{"file": "https://cdn.example/a.png"}')
    page, mark = jobs.page, ledger.store.rows(EVERYTHING)[0].record.fingerprint
    show(jobs)
    page.select_option(".skyport-choices select >> nth=0", "unresolved")
    assert page.inner_text(".skyport-row .skyport-state") == "unresolved"
    assert page.locator(".skyport-row button[title='Look again']").count() == 1
    page.select_option(".skyport-choices select >> nth=0", "")  # the filter outlives this test
    page.click(".skyport-row")
    page.wait_for_selector(".skyport-detail .skyport-fold[open] pre")
    assert "https://cdn.example/a.png" in page.inner_text(".skyport-detail .skyport-fold pre")
    page.click(".skyport-detail button[title='Order anew']")
    page.wait_for_selector("text=Ordering it anew costs again.")
    assert ledger.store.find(mark) is not None, "nobody has said yes"
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_selector("text=Queue its workflow again to order it anew: that costs again.")
    assert ledger.store.find(mark) is None


def test_the_reasoning_of_an_answer_is_folded_and_short_details_stand_with_the_facts(
    jobs: Editor, ledger: HostLedger
):
    details = [("queued", "1.2 s"), ("reasoning", "because " * 20)]
    ledger.add(State.DELIVERED, texts=["hello"], details=details)
    show(jobs)
    jobs.page.click(".skyport-row")
    jobs.page.wait_for_selector(".skyport-facts dd >> text=1.2 s")
    assert jobs.page.locator(".skyport-fold:not([open]) summary").inner_text() == "reasoning"


def test_in_a_shared_ledger_a_job_says_who_has_ordered_it(jobs: Editor, ledger: HostLedger):
    ledger.store._person = "ann@studio"
    ledger.add(State.DELIVERED, title="a job of ann")
    show(jobs)
    row = jobs.page.locator(".skyport-row", has_text="a job of ann")
    assert "ann@studio" in row.inner_text()
    row.click()
    jobs.page.wait_for_selector(".skyport-facts dt >> text=Ordered by")
    jobs.page.wait_for_selector(".skyport-facts dd >> text=ann@studio")


def test_the_list_speaks_the_editors_language_at_once(jobs: Editor, ledger: HostLedger):
    ledger.add(State.FAILED)
    show(jobs)
    choose = "(locale) => app.extensionManager.setting.set('Comfy.Locale', locale)"
    jobs.page.evaluate(choose, "zh")
    jobs.page.wait_for_selector("text=\u5168\u90e8\u72b6\u6001", state="attached")
    jobs.page.evaluate(choose, "en")
    jobs.page.wait_for_selector("text=All states", state="attached")
