"""Pins in ComfyUI's real editor that a result brings the graph of its job back, which costs nothing
again, and that what a killed ComfyUI held in its queue is queued again by one click.
Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _clock import LONG, Clock
from _waiting import until
from host import PACK, Host, open_host
from real_editor import NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.sandbox import Sandbox, start

pytestmark = NEEDS_EDITOR

MANY = 14
SIZE = (1280, 860)
TOGGLE = "() => app.extensionManager.command.execute('Workspace.ToggleSidebarTab.skyport.jobs')"
# Drops the file at an address on the canvas, under another name.
DROP = """async ([address, name]) => {
  const blob = await (await fetch(address)).blob();
  const data = new DataTransfer();
  data.items.add(new File([blob], name, { type: blob.type }));
  const about = { dataTransfer: data, bubbles: true, cancelable: true, clientX: 600, clientY: 300 };
  app.canvas.canvas.dispatchEvent(new DragEvent("drop", about));
}"""


def boat(words: str, kind: str = "Image", model: str = "wan2.2-t2i-plus") -> dict[str, Any]:
    values = {"prompt": words, "seed": 7, "model": model}
    node = f"SkyportOpenComputingTextTo{kind}"
    seen = {"Image": ("PreviewImage", "images", "images"), "Video": ("SaveVideo", "video", "video")}
    saver, taken, made = seen[kind]
    return {
        "boat": {"type": node, "title": "Boat", "pos": [0, 0], "values": values},
        "seen": {"type": saver, "pos": [500, 0], "links": {taken: ["boat", made]}},
    }


@pytest.fixture(scope="module")
def clouds(clock: Clock) -> Iterator[Sandbox]:
    with start(pace=0.05, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("editor")
    return folder


@pytest.fixture
def host(clouds: Sandbox, base: Path) -> Iterator[Host]:
    with open_host("comfyui", base, env=environment(clouds, "opencomputing")) as host:
        yield host


@pytest.fixture
def editor(host: Host) -> Iterator[Editor]:
    with editor_of(host, False, (1280, 860)) as editor:
        yield editor


def orders(clouds: Sandbox) -> int:
    """How many submits the platform has seen."""
    return len([seen for seen in clouds.log if seen.method == "POST"])


def newest(host: Host) -> dict[str, Any]:
    row: dict[str, Any] = host.route("GET", "/skyport/jobs").json()["jobs"][0]
    return row


@pytest.mark.parametrize(
    ("kind", "model", "name"),
    [("Image", "wan2.2-t2i-plus", "a copy.png"), ("Video", "", "a copy.mp4")],
)
def test_a_result_dropped_on_the_canvas_brings_its_graph_which_costs_nothing_again(
    editor: Editor, host: Host, clouds: Sandbox, kind: str, model: str, name: str
):
    editor.build(boat(f"dropped {kind}", kind, model or first_video(editor)))
    prompt, nodes = editor.prompt(), seen(editor)
    assert editor.run()["status"]["status_str"] == "success"
    paid = orders(clouds)
    address = f"/skyport/jobs/{newest(host)['job']}/files/0"
    editor.build({})
    editor.page.evaluate(DROP, [address, name])
    editor.page.wait_for_function("() => app.graph.nodes.some((one) => one.title === 'Boat')")
    assert editor.prompt() == prompt
    assert seen(editor) == nodes
    host.client.post("/free", {"free_memory": True, "unload_models": True})  # nothing is cached
    assert editor.run()["status"]["status_str"] == "success"
    assert orders(clouds) == paid


def seen(editor: Editor) -> list[Any]:
    """Each node as a person sees it; older editors load no values as an empty list."""
    names = ("type", "title", "pos", "widgets_values")
    return [[node.get(name) or None for name in names] for node in editor.state()["nodes"]]


def first_video(editor: Editor) -> str:
    name: str = editor.page.evaluate(
        "() => LiteGraph.createNode('SkyportOpenComputingTextToVideo')"
        ".widgets.find((one) => one.name === 'model').options.values[0]"
    )
    return name


def test_a_job_opens_its_workflow_and_runs_again_with_a_new_seed(
    editor: Editor, host: Host, clouds: Sandbox
):
    editor.build(boat("opened by its job"))
    prompt = editor.prompt()
    editor.run()
    paid, job = orders(clouds), newest(host)["job"]
    editor.build({})
    editor.page.evaluate(TOGGLE)
    editor.page.click(".skyport-row:has-text('opened by its job')")
    editor.page.click("text=Open its workflow")
    editor.page.wait_for_function("() => app.graph.nodes.length === 2")
    assert editor.prompt() == prompt
    editor.page.click("text=Run with a new seed")
    until(lambda: newest(host)["job"] != job and newest(host)["state"] == "delivered")
    assert orders(clouds) > paid
    editor.page.evaluate(TOGGLE)


INTO_SUBGRAPH = """() => {
  app.canvas.deselectAll();
  app.canvas.select(app.graph.nodes.find((one) => one.type !== "PreviewImage"));
  return app.extensionManager.command.execute("Comfy.Graph.ConvertToSubgraph");
}"""


def test_a_job_of_a_node_in_subgraphs_runs_again_with_a_new_seed(
    editor: Editor, host: Host, clouds: Sandbox
):
    editor.build(boat("deep inside"))
    for _ in range(2):
        editor.page.evaluate(INTO_SUBGRAPH)
    editor.run()
    paid, job = orders(clouds), newest(host)["job"]
    assert newest(host)["node"].count(":") == 2
    editor.page.evaluate(TOGGLE)
    editor.page.click(".skyport-row:has-text('deep inside')")
    editor.page.click("text=Run with a new seed")
    until(lambda: newest(host)["job"] != job and newest(host)["state"] == "delivered")
    assert orders(clouds) > paid
    editor.page.evaluate(TOGGLE)


def ended(host: Host) -> int:
    return len(host.client.get("/history").json())


def test_what_a_partial_run_left_out_is_not_ordered_by_running_its_job_again(
    editor: Editor, host: Host, clouds: Sandbox
):
    left_out = {"beside": boat("not run")["boat"], "shown": boat("")["seen"]}
    left_out["shown"] = {**left_out["shown"], "links": {"images": ["beside", "images"]}}
    editor.build({**boat("in part"), **left_out})
    page = editor.page
    page.evaluate("() => app.canvas.selectItems([app.graph.nodes[1]])")
    page.evaluate("() => app.extensionManager.command.execute('Comfy.QueueSelectedOutputNodes')")
    until(lambda: newest(host)["words"] == "in part" and newest(host)["state"] == "delivered")
    until(lambda: waiting(host) == 0)
    paid, runs, job = orders(clouds), ended(host), newest(host)["job"]
    page.evaluate(TOGGLE)
    page.click(".skyport-row:has-text('in part')")
    page.click("text=Open its workflow")
    page.wait_for_selector("text=Only a part of it ran: queued whole, the rest is ordered too.")
    page.click("text=Run again")
    until(lambda: ended(host) == runs + 1)
    assert orders(clouds) == paid
    page.click("text=Run with a new seed")
    until(lambda: newest(host)["job"] != job and newest(host)["state"] == "delivered")
    until(lambda: ended(host) == runs + 2)
    assert orders(clouds) == paid + 1
    page.evaluate(TOGGLE)


def waiting(host: Host) -> int:
    """How many prompts run or wait."""
    queue = host.client.get("/queue").json()
    return len(queue["queue_running"]) + len(queue["queue_pending"])


def sent(clouds: Sandbox) -> list[str]:
    """The prompts of the submits that the platform has seen, in order."""
    fields = [seen.fields for seen in clouds.log if seen.method == "POST"]
    return [one["prompt"] for one in fields if "left" in one.get("prompt", "")]


@pytest.fixture
def slow(clock: Clock) -> Iterator[Sandbox]:
    """One whose tasks take as long as in life."""
    with start(pace=1, clock=clock) as sandbox:
        yield sandbox


def states(host: Host) -> list[str]:
    return [row["state"] for row in host.route("GET", "/skyport/jobs").json()["jobs"]]


@pytest.mark.parametrize(("head_start", "begun"), [("1", MANY), ("0", 1)])
def test_what_a_killed_comfyui_held_in_its_queue_is_queued_again_by_one_click(
    slow: Sandbox, clock: Clock, tmp_path: Path, head_start: str, begun: int
):
    env = {**environment(slow, "opencomputing"), "SKYPORT_HEAD_START": head_start}
    words = [f"left {number} {LONG}" for number in range(MANY)]
    with open_host("comfyui", tmp_path, env=env) as host, editor_of(host, False, SIZE) as editor:
        for number, one in enumerate(words, 1):
            editor.build(boat(one))
            editor.queue()
            until(lambda number=number: waiting(host) == number)
        until(lambda: len(slow.tasks) == begun)  # the others wait for their turn
        host.process._process.kill()
    with open_host("comfyui", tmp_path, env=env) as host, editor_of(host, False, SIZE) as editor:
        editor.page.evaluate(TOGGLE)
        editor.page.wait_for_selector(f"text=These {MANY} queued graphs did not run.")
        editor.page.click("text=Queue again")
        for number in range(1, MANY + 1):
            until(lambda number=number: len(slow.tasks) >= number)
            clock.forward()
        until(lambda: states(host) == ["delivered"] * MANY)
        until(lambda: waiting(host) == 0)
        assert sorted(sent(slow)) == sorted(words)
        assert host.route("GET", "/skyport/queue/left").json() == {"prompts": []}


GONE = """
class Passing:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"image": ("IMAGE",)}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("IMAGE",), "run", "Gone"
    run = lambda self, image: (image,)

NODE_CLASS_MAPPINGS = {"GoneSince": Passing}
"""


def test_a_graph_that_comfyui_refuses_holds_back_no_other_and_is_forgotten_alone(
    slow: Sandbox, clock: Clock, tmp_path: Path
):
    env = {**environment(slow, "opencomputing"), "SKYPORT_HEAD_START": "0"}
    gone = tmp_path / "packs" / "gone"
    gone.mkdir(parents=True)
    (gone / "__init__.py").write_text(GONE)
    words = f"left beside them {LONG}"
    graphs = [passing_by_it(f"left refused {number} {LONG}") for number in range(2)]
    with (
        open_host("comfyui", tmp_path, env=env, packs=[PACK, gone]) as host,
        editor_of(host, False, SIZE) as editor,
    ):
        for number, graph in enumerate([*graphs, boat(words)], 1):
            editor.build(graph)
            editor.queue()
            until(lambda number=number: waiting(host) == number)
        host.process._process.kill()
    (tmp_path / "custom_nodes" / "gone").unlink()
    with (
        open_host("comfyui", tmp_path, env=env, packs=[PACK]) as host,
        editor_of(host, False, SIZE) as editor,
    ):
        page, before = editor.page, len(sent(slow))
        page.evaluate(TOGGLE)
        page.click("text=Queue again")
        page.wait_for_selector("text=These 2 queued graphs did not run.", timeout=60_000)
        why = page.locator(".skyport-left .skyport-bad").all_inner_texts()
        assert [text.startswith("Boat (") and "'GoneSince' not found" in text for text in why] == [
            True
        ] * 2
        page.click("text=Forget this one >> nth=0")
        page.wait_for_selector("text=One queued graph did not run.")
        assert len(host.route("GET", "/skyport/queue/left").json()["prompts"]) == 1
        until(lambda: len(sent(slow)) > before)
        clock.forward()
        until(lambda: waiting(host) == 0)
        assert sent(slow)[before:] == [words]


def passing_by_it(words: str) -> dict[str, Any]:
    """A boat whose image passes by a node of the class GoneSince."""
    gone = {"type": "GoneSince", "pos": [250, 300], "links": {"image": ["boat", "images"]}}
    made = boat(words)
    return {**made, "by": gone, "seen": {**made["seen"], "links": {"images": ["by", "IMAGE"]}}}
