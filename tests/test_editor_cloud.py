"""Pins Run in Cloud in ComfyUI's real editor: badges tell what would run where, as the server cuts
it, and the menu sends what is upstream there and back. Needs COMFYUI_PATH and a Chromium
(SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host import Host, open_host
from PIL import Image
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.sandbox import start

pytestmark = NEEDS_EDITOR

RUN, KEEP, HERE = "SkyportRunInCloud", "SkyportKeepLocal", "this machine"
EXAMPLE = Path(__file__).parents[1] / "example_workflows" / "Skyport Run in Cloud.json"

# Our badges by title, in subgraphs too: they begin with "cloud: " or "cannot run: ".
BADGES = """() => {
  const found = {};
  const read = (graph, above) => {
    for (const node of graph.nodes) {
      const texts = node.badges.map((one) => (typeof one === "function" ? one() : one).text);
      const ours = texts.filter((text) => /^(cloud|cannot run): /.test(text));
      if (ours.length) found[above + node.title] = ours.join(" | ");
      if (node.subgraph) read(node.subgraph, `${above}${node.title} / `);
    }
  };
  read(app.rootGraph ?? app.graph, "");
  return found;
}"""
MENU = """([type, entry, choice]) => {
  const node = app.graph.nodes.find((one) => one.type === type);
  const found = app.canvas.getNodeMenuOptions(node).find((one) => one?.content === entry);
  if (!found) return null;
  const options = found.submenu?.options;
  if (choice === undefined) return (options ?? [found]).map(({ content }) => content);
  const made = options ? options.find(({ content }) => content === choice) : found;
  made.callback.call(made, made.value, {}, null, null, node);
  return true;
}"""
LINKS = """() => [...app.graph.links.values()].map((link) => {
  const of = (id) => app.graph.getNodeById(id);
  const [from, to] = [of(link.origin_id), of(link.target_id)];
  const [output, input] = [from.outputs[link.origin_slot], to.inputs[link.target_slot]];
  return `${from.type}.${output.name} > ${to.type}.${input.name}`;
}).sort()"""
COUNT_ASKED = """() => {
  window.cutAsked = 0;
  const fetchApi = app.api.fetchApi;
  app.api.fetchApi = function (route, ...rest) {
    if (route === "/skyport/cut") window.cutAsked++;
    return fetchApi.call(this, route, ...rest);
  };
}"""
PRESSED = (
    "() => window.dispatchEvent(new MouseEvent('mouseup'))"  # the editor looks for changes then
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    with start(pace=1) as sandbox:
        env = environment(sandbox, "gpugeek")
        base = tmp_path_factory.mktemp("editor")
        (base / "input").mkdir()
        Image.new("RGB", (64, 64), "teal").save(base / "input" / "example.png")
        with open_host("comfyui", base, env=env) as host:
            yield host


@CANVASES
def opened(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1900, 860)) as editor:
        editor.vue = request.param
        yield editor


@pytest.fixture
def editor(opened: Editor) -> Editor:
    """The editor with the example: load, invert, scale, Run in Cloud on HaiYi, sharpen, save."""
    workflow = json.loads(EXAMPLE.read_text("utf-8"))
    opened.load(workflow)
    badges(opened)
    return opened


def badges(editor: Editor) -> dict[str, str]:
    """Once the server has answered."""
    editor.page.evaluate(PRESSED)
    editor.page.wait_for_timeout(900)
    found: dict[str, str] = editor.page.evaluate(BADGES)
    return found


def press(editor: Editor, kind: str, entry: str, choice: str = "") -> None:
    assert editor.page.evaluate(MENU, [kind, entry, choice])
    editor.page.wait_for_timeout(400)


def offered(editor: Editor, kind: str, entry: str) -> list[str] | None:
    names: list[str] | None = editor.page.evaluate(MENU, [kind, entry])
    return names


def links(editor: Editor) -> list[str]:
    found: list[str] = editor.page.evaluate(LINKS)
    return found


def choose(editor: Editor, where: str) -> None:
    editor.page.evaluate(
        """(where) => {
          const node = app.graph.nodes.find((one) => one.type === "SkyportRunInCloud");
          const widget = node.widgets.find((one) => one.name === "where");
          widget.value = where;
          widget.callback?.(where);
        }""",
        where,
    )


def titles(editor: Editor) -> dict[str, str]:
    """The badges by class: titles differ between versions."""
    found: dict[str, str] = editor.page.evaluate(
        f"""() => {{
          const found = ({BADGES})();
          const by = (title) => app.graph.nodes.find((one) => one.title === title)?.type ?? title;
          return Object.fromEntries(Object.entries(found).map(([name, text]) => [by(name), text]));
        }}"""
    )
    return found


def test_what_is_upstream_of_run_in_cloud_has_a_badge(editor: Editor):
    assert titles(editor) == {
        "LoadImage": "cloud: HaiYi",
        "ImageInvert": "cloud: HaiYi",
        "ImageScale": "cloud: HaiYi",
    }


def test_the_badges_are_seen(editor: Editor):
    if not editor.vue:
        pytest.skip("a canvas holds no text that could be read")
    assert editor.page.get_by_text("cloud: HaiYi", exact=True).count() == 3
    choose(editor, HERE)
    assert badges(editor) == {}
    assert editor.page.get_by_text("cloud: HaiYi", exact=True).count() == 0


def test_the_badges_follow_the_choice_of_the_cloud(editor: Editor):
    choose(editor, "GPUGeek")
    assert set(badges(editor).values()) == {"cloud: GPUGeek"}
    choose(editor, HERE)
    assert badges(editor) == {}


def test_moving_a_node_asks_nothing_and_a_new_link_does(editor: Editor):
    editor.page.evaluate(COUNT_ASKED)
    editor.page.evaluate("() => { app.graph.nodes[0].pos = [0, 900]; }")
    badges(editor)
    assert editor.page.evaluate("() => window.cutAsked") == 0
    editor.page.evaluate("() => { app.graph.nodes.find((n) => n.type === 'SaveImage').mode = 2; }")
    assert badges(editor) == {}  # nothing that runs takes its value
    assert editor.page.evaluate("() => window.cutAsked") == 1


def test_a_node_that_also_runs_here_says_so(editor: Editor):
    editor.page.evaluate("""() => {
      const saver = LiteGraph.createNode("PreviewImage");
      app.graph.add(saver);
      app.graph.nodes.find((one) => one.type === "ImageInvert").connect(0, saver, 0);
    }""")
    badges(editor)
    assert titles(editor) == {
        "LoadImage": "cloud: HaiYi, and here",
        "ImageInvert": "cloud: HaiYi, and here",
        "ImageScale": "cloud: HaiYi",
    }


def step(kind: str, place: int, **links: list[str]) -> dict[str, Any]:
    return {"type": kind, "pos": [350 * place, 0], "links": links}


def test_a_graph_that_cannot_be_cut_says_why(editor: Editor):
    run = {**step(RUN, 4, value=["decode", "IMAGE"]), "values": {"where": "HaiYi"}}
    editor.build(
        {
            "image": step("EmptyImage", 0),
            "keep": step(KEEP, 1, value=["image", "IMAGE"]),
            "encode": step("VAEEncode", 2, pixels=["keep", "value"]),
            "decode": step("VAEDecode", 3, samples=["encode", "LATENT"]),
            "run": run,
            "save": step("SaveImage", 5, images=["run", "value"]),
        }
    )
    badges(editor)
    badges_by_title = titles(editor)
    assert set(badges_by_title) == {RUN}
    assert badges_by_title[RUN].startswith("cannot run: Nothing is linked to")
    notices = editor.page.locator(".skyport-notice").all_inner_texts()
    assert [text for text in notices if "Nothing is linked to" in text], notices


def test_an_export_that_is_pasted_names_the_values_of_a_node_that_is_not_here(
    editor: Editor,
):
    kind = f"Elsewhere{editor.vue}"
    workflow = json.loads(EXAMPLE.read_text("utf-8"))
    scale = next(one for one in workflow["nodes"] if one["type"] == "ImageScale")
    del scale["widgets_values_named"]
    scale |= {"type": kind, "title": "Far", "widgets_values": ["lanczos", 512, 512, "disabled"]}
    scale["inputs"] = [one for one in scale["inputs"] if "widget" not in one]
    editor.load(workflow)
    badges(editor)
    assert titles(editor)[RUN].startswith("cannot run: Far (3) is not installed")
    notice = editor.page.locator(".skyport-notice", has_text="does not name its values").last
    notice.get_by_text("Paste the API export").click()
    dialog = editor.page.locator("dialog.skyport-names")
    dialog.locator("textarea").fill("{}")
    dialog.get_by_text("Use it").click()
    dialog.locator(".skyport-failure", has_text="holds no nodes").wait_for()
    inputs = {"upscale_method": "area", "width": 64, "height": 64, "crop": "center"}
    export = {"1": {"class_type": kind, "inputs": {**inputs, "image": ["2", 0]}}}
    dialog.locator("textarea").fill(json.dumps({**export, "2": export["1"]}))
    dialog.get_by_text("Use it").click()
    dialog.wait_for(state="detached")
    badges(editor)
    assert titles(editor)["Far" if "Far" in titles(editor) else kind] == "cloud: HaiYi"


def test_a_subgraph_tells_of_what_it_holds(editor: Editor):
    editor.page.evaluate("""() => {
      const of = (type) => app.graph.nodes.find((one) => one.type === type);
      const made = app.graph.convertToSubgraph(new Set([of("ImageInvert"), of("ImageScale")]));
      made.node.title = "Both";
    }""")
    found = badges(editor)
    assert found["Both"] == "cloud: HaiYi"
    assert len([name for name in found if name.startswith("Both / ")]) == 2


def test_the_menu_sends_what_is_upstream_to_the_first_cloud_that_has_a_key(editor: Editor):
    assert offered(editor, "LoadImage", "Send upstream to cloud") == ["IMAGE", "MASK"]
    editor.build(
        {
            "load": {"type": "LoadImage", "pos": [0, 0]},
            "flip": {"type": "ImageInvert", "pos": [400, 0], "links": {"image": ["load", "IMAGE"]}},
            "one": {
                "type": "PreviewImage",
                "pos": [700, 0],
                "links": {"images": ["flip", "IMAGE"]},
            },
            "two": {"type": "SaveImage", "pos": [700, 300], "links": {"images": ["flip", "IMAGE"]}},
        }
    )
    before = links(editor)
    badges(editor)
    press(editor, "ImageInvert", "Send upstream to cloud", "IMAGE")
    assert links(editor) == [
        "ImageInvert.IMAGE > SkyportRunInCloud.value",
        "LoadImage.IMAGE > ImageInvert.image",
        "SkyportRunInCloud.value > PreviewImage.images",
        "SkyportRunInCloud.value > SaveImage.images",
    ]
    assert set(badges(editor).values()) == {"cloud: GPUGeek"}
    assert editor.page.evaluate("""() => {
      const [made, ...others] = [...app.graph.nodes].reverse().map((one) => one.boundingRect);
      return others.every((one) => one[0] + one[2] <= made[0] || made[0] + made[2] <= one[0]
        || one[1] + one[3] <= made[1] || made[1] + made[3] <= one[1]);
    }""")
    editor.page.evaluate("() => app.extensionManager.command.execute('Comfy.Undo')")
    editor.page.wait_for_timeout(700)
    assert links(editor) == before


def test_what_is_undone_is_seen_in_the_badges(editor: Editor):
    press(editor, "ImageInvert", "Keep upstream local", "IMAGE")
    badges(editor)
    editor.page.evaluate("() => app.extensionManager.command.execute('Comfy.Undo')")
    editor.page.wait_for_timeout(700)
    assert len(badges(editor)) == 3
    if editor.vue:
        assert editor.page.get_by_text("cloud: HaiYi", exact=True).count() == 3
    choose(editor, HERE)
    assert badges(editor) == {}
    if editor.vue:
        assert editor.page.get_by_text("cloud: HaiYi", exact=True).count() == 0


def test_the_menu_brings_it_back_to_this_machine(editor: Editor):
    press(editor, RUN, "Run upstream here")
    assert badges(editor) == {}
    assert offered(editor, RUN, "Run upstream here") is None


def test_the_menu_keeps_what_is_upstream_here(editor: Editor):
    press(editor, "ImageInvert", "Keep upstream local", "IMAGE")
    assert "SkyportKeepLocal.value > ImageScale.image" in links(editor)
    badges(editor)
    assert titles(editor) == {"ImageScale": "cloud: HaiYi"}


def test_the_menu_offers_nothing_where_no_medium_is_made(editor: Editor):
    editor.build({"latent": {"type": "EmptyLatentImage", "pos": [0, 0]}})
    for entry in ("Send upstream to cloud", "Keep upstream local", "Run upstream here"):
        assert offered(editor, "EmptyLatentImage", entry) is None
