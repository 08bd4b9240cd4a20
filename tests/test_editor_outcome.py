"""Pins in ComfyUI's real editor that what happened stays on the node after its run, however nodes
are drawn, in subgraphs, in another tab and after a reload; and that a click on it opens the job.
Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _clock import LONG, Clock
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, Route, editor_of
from sandboxes import environment
from skyport.sandbox import start

pytestmark = NEEDS_EDITOR

# The lines of ours by title, in subgraphs too: they are the last of a node's badges.
LINES = """() => {
  const found = {};
  const read = (graph) => {
    for (const node of graph.nodes) {
      const badges = node.badges.map((one) => (typeof one === "function" ? one() : one));
      const ours = badges.filter((one) => one.isOutcome);
      if (ours.length) found[node.title] = ours.map(({ text }) => text).join(" | ");
      if (node.subgraph) read(node.subgraph);
    }
  };
  read(app.rootGraph ?? app.graph);
  return found;
}"""


TOGGLE = "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
# Notes that the page was told of a task that has its result.
ONE_END = """() => {
  window.ended = false;
  app.api.addEventListener("skyport.jobs", ({ detail }) => {
    window.ended ||= detail.rows.some(({ state }) => state === "succeeded");
  });
}"""
UNDER_WAY = """async () => (await (await fetch("/skyport/jobs")).json()).live
  .some(({ stage, task }) => stage === "running" && task)"""


def boat(words: str) -> dict[str, Any]:
    values = {"prompt": words, "seed": 7, "model": "wan2.2-t2i-plus"}
    image = "SkyportOpenComputingTextToImage"
    return {
        "boat": {"type": image, "title": "Boat", "pos": [0, 0], "values": values},
        "seen": {"type": "PreviewImage", "pos": [500, 0], "links": {"images": ["boat", "images"]}},
    }


@pytest.fixture(scope="module")
def host(clock: Clock, tmp_path_factory: Any) -> Iterator[Host]:
    with start(pace=0.05, clock=clock) as sandbox:
        env = environment(sandbox, "opencomputing", "gpugeek")
        with open_host("comfyui", tmp_path_factory.mktemp("editor"), env=env) as host:
            yield host


@CANVASES
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1280, 860)) as editor:
        editor.vue = request.param
        yield editor


def wait_for(editor: Editor, words: str, title: str = "Boat") -> None:
    editor.page.wait_for_function(
        f"([words, title]) => (({LINES})()[title] ?? '').startsWith(words)",
        arg=[words, title],
    )


def run(editor: Editor, words: str) -> None:
    """Run a graph of its own: ComfyUI holds nothing of it."""
    editor.build(boat(f"{words} {editor.vue}"))
    editor.fit(margin=160)
    editor.run()


def press_line(editor: Editor, words: str) -> None:
    """Click on the line of the node Boat."""
    if editor.vue:
        editor.page.get_by_text(words, exact=True).click()
        return
    x, y = editor.page.evaluate("""() => {
      const node = app.graph.nodes.find((one) => one.title === "Boat"), { ds } = app.canvas;
      const at = [node.pos[0] + 20, node.pos[1] + node.size[1] + 14];
      const { left, top } = app.canvas.canvas.getBoundingClientRect();
      return [left + (at[0] + ds.offset[0]) * ds.scale, top + (at[1] + ds.offset[1]) * ds.scale];
    }""")
    editor.page.mouse.click(x, y)


def test_the_end_of_a_run_stays_on_the_node_and_a_click_on_it_opens_its_job(editor: Editor):
    run(editor, "stays")
    wait_for(editor, "done \u00b7 1 credits")
    press_line(editor, "done \u00b7 1 credits")
    editor.page.wait_for_selector(".skyport-detail:not([hidden])")
    assert f"stays {editor.vue}" in editor.page.inner_text(".skyport-detail")
    editor.page.evaluate(TOGGLE)


def test_a_command_and_the_menu_of_the_node_open_its_job_too(editor: Editor):
    run(editor, "by keyboard")
    wait_for(editor, "done")
    editor.page.evaluate("() => app.canvas.select(app.graph.nodes.find((n) => n.title === 'Boat'))")
    editor.page.evaluate("() => void app.extensionManager.command.execute('Skyport.ShowJob')")
    editor.page.wait_for_selector(".skyport-detail:not([hidden])")
    assert f"by keyboard {editor.vue}" in editor.page.inner_text(".skyport-detail")
    editor.page.evaluate(TOGGLE)
    offered = editor.page.evaluate("""() => {
      const node = app.graph.nodes.find((one) => one.title === "Boat");
      const { extensions } = app.extensionManager.extension ?? app;
      const ours = extensions.find((one) => one.name === "Skyport.Outcome");
      return ours.getNodeMenuItems(node).map((one) => one.content);
    }""")
    assert offered == ["Show its job"]


def test_after_an_interrupt_the_node_says_that_the_task_goes_on_until_it_has_ended(
    editor: Editor, clock: Clock
):
    editor.build(boat(f"{LONG} left {editor.vue}"))
    editor.queue()
    editor.page.wait_for_function(UNDER_WAY)
    editor.client.interrupt()
    wait_for(editor, "goes on at OpenComputing, may be charged")
    clock.forward()
    wait_for(editor, "the result is here: queue again to take it, no charge")
    editor.queue()
    wait_for(editor, "done \u00b7 reused, no charge")


def test_an_end_that_comes_while_the_page_asks_is_not_missed(editor: Editor, clock: Clock):
    editor.build(boat(f"{LONG} asked {editor.vue}"))
    editor.queue()
    editor.page.wait_for_function(UNDER_WAY)
    held: list[Any] = []

    def hold(route: Route) -> None:
        """Hold the answers up to the first that says that the task goes on."""
        answer = route.fetch()
        if any("goes on at" in one.text() for _, one in held):
            route.fulfill(response=answer)
        else:
            held.append((route, answer))

    editor.page.route("**/skyport/outcomes*", hold)
    editor.client.interrupt()
    while not any("goes on at" in one.text() for _, one in held):
        editor.page.wait_for_timeout(50)
    editor.page.evaluate(ONE_END)
    clock.forward()
    editor.page.wait_for_function("() => window.ended")
    for route, answer in held:
        route.fulfill(response=answer)
    wait_for(editor, "the result is here: queue again to take it, no charge")
    editor.page.unroute("**/skyport/outcomes*", hold)


def test_a_failure_stays_on_the_node(editor: Editor):
    run(editor, "[[fail:the sky fell]]")
    wait_for(editor, "failed: ")


def test_what_happened_is_there_after_another_tab_and_after_a_reload(editor: Editor):
    editor.build(boat(f"tabs {editor.vue}"))
    editor.load(editor.workflow())  # older editors give a cleared graph no id of its own
    editor.run()
    wait_for(editor, "done")
    saved = editor.workflow()
    editor.build({})
    assert editor.page.evaluate(LINES) == {}
    editor.load(saved)
    wait_for(editor, "done")
    editor.page.reload()
    editor.page.wait_for_function("() => window.app?.graph?.nodes?.length")
    wait_for(editor, "done")


def test_a_cleared_graph_shows_no_word_of_the_one_before(editor: Editor):
    run(editor, "cleared")
    wait_for(editor, "done")
    editor.build(boat("another boat"))
    editor.page.wait_for_timeout(1200)
    assert editor.page.evaluate(LINES) == {}


def test_a_node_in_a_subgraph_tells_it_on_the_node_of_the_subgraph_too(editor: Editor):
    editor.build(boat(f"inner {editor.vue}"))
    editor.page.evaluate("""() => {
      const boat = app.graph.nodes.find((one) => one.title === "Boat");
      app.graph.convertToSubgraph(new Set([boat])).node.title = "Harbour";
    }""")
    editor.run()
    wait_for(editor, "done")
    wait_for(editor, "done", "Harbour")
