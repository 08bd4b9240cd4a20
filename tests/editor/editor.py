"""ComfyUI's real editor in a headless browser, for the scripts beside this file, run by hand.

SKYPORT_BROWSER names a Chromium to use in place of playwright's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sys import stderr
from typing import Any

from playwright.sync_api import Page, sync_playwright
from skyport.demo._host import Client

Graph = Mapping[str, Mapping[str, Any]]

_PATIENCE = 300.0  # seconds after which what has not happened is taken for a hang

_CALM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_CALM += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
_SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.UseNewMenu": "Top",
    "Comfy.VueNodes.Enabled": False,
    "Comfy.Graph.CanvasMenu": False,
    "Comfy.Minimap.Visible": False,
}

_READY = """(types) => window.app?.graph
  && types.every((one) => window.LiteGraph?.registered_node_types?.[one])"""

# A node is given as {"type", "pos", "size", "title", "values": {widget: value},
# "links": {input: [node, output]}}. Values are set in order: a model before what it brings along.
_BUILD = """
async (graph) => {
  const app = window.app, made = {};
  app.graph.clear();
  for (const [name, spec] of Object.entries(graph)) {
    const node = LiteGraph.createNode(spec.type);
    if (!node) throw new Error(`no node ${spec.type}`);
    app.graph.add(node);
    node.pos = spec.pos;
    if (spec.title) node.title = spec.title;
    made[name] = node;
    for (const [key, value] of Object.entries(spec.values ?? {})) {
      const widget = node.widgets.find((one) => one.name === key);
      if (!widget) throw new Error(`${spec.type} has no widget ${key}`);
      widget.value = value;
      widget.callback?.(value);
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  for (const [name, spec] of Object.entries(graph))
    for (const [key, [from, output]] of Object.entries(spec.links ?? {})) {
      const node = made[name], source = made[from];
      const slot = node.inputs.findIndex((one) => one.name === key);
      const out = source.outputs.findIndex((one) => one.name === output);
      if (slot < 0 || out < 0) throw new Error(`no link ${from}.${output} -> ${name}.${key}`);
      source.connect(out, node, slot);
      await new Promise((done) => setTimeout(done, 50));
    }
  for (const [name, spec] of Object.entries(graph)) if (spec.size) made[name].setSize(spec.size);
  app.graph.setDirtyCanvas(true, true);
}
"""

_STATE = """() => {
  const state = JSON.parse(JSON.stringify((app.rootGraph ?? app.graph).serialize()));
  const graphs = [state, ...(state.definitions?.subgraphs ?? [])];
  for (const graph of graphs) {
    delete graph.extra?.ds;  // the view
    graph.nodes.sort((one, other) => one.id - other.id);
    for (const node of graph.nodes) delete node.order;
  }
  return state;
}"""


class Editor:
    """A page that shows the editor of the ComfyUI at `client.url`."""

    def __init__(self, page: Page, client: Client) -> None:
        self.page = page
        self.client = client

    def build(self, graph: Graph) -> None:
        """Put these nodes on an empty canvas, as a user would; see _BUILD for what a node says."""
        self.page.evaluate(_BUILD, graph)
        self.page.wait_for_timeout(300)

    def load(self, workflow: Mapping[str, Any]) -> None:
        self.page.evaluate("(one) => window.app.loadGraphData(one)", workflow)
        self.page.wait_for_timeout(700)

    def workflow(self) -> dict[str, Any]:
        """What the editor saves."""
        saved = self.page.evaluate("() => JSON.stringify(window.app.graph.serialize())")
        return dict(json.loads(saved))

    def state(self) -> dict[str, Any]:
        """The workflow without the view and the order in which the editor holds its nodes."""
        return dict(self.page.evaluate(_STATE))

    def prompt(self) -> dict[str, Any]:
        """What the editor would queue: the workflow in API format."""
        queued: dict[str, Any] = self.page.evaluate(
            "async () => (await window.app.graphToPrompt()).output"
        )
        return queued

    def queue(self) -> None:
        self.page.evaluate("() => window.app.queuePrompt(0, 1)")

    def run(self, seconds: float = _PATIENCE) -> dict[str, Any]:
        """Queue what is on the canvas and give the history entry of its end."""
        before = set(self.client.get("/history").json())
        self.queue()
        for _ in range(int(seconds * 5)):
            self.page.wait_for_timeout(200)
            history = self.client.get("/history").json()
            ended = [history[key] for key in history if key not in before]
            if ended:
                self.page.wait_for_timeout(1500)
                return dict(ended[0])
        raise TimeoutError("the prompt did not end")

    def fit(self, margin: int = 40, scale: float = 1.0, top: int | None = None) -> None:
        """Move the canvas so that the nodes begin at its top left corner, below the menu."""
        self.page.evaluate(
            """([margin, top, scale]) => {
              const nodes = window.app.graph._nodes, view = window.app.canvas.ds;
              view.scale = scale;
              view.offset[0] = margin / scale - Math.min(...nodes.map((n) => n.pos[0]));
              view.offset[1] = (top + 60) / scale - Math.min(...nodes.map((n) => n.pos[1] - 30));
              window.app.canvas.deselectAll();
              window.app.canvas.draw(true, true);
            }""",
            [margin, margin if top is None else top, scale],
        )
        self.page.wait_for_timeout(500)

    def picture(self, path: Path, clip: Sequence[int] | None = None) -> Path:
        """A screenshot; `clip` is (x, y, width, height)."""
        area = dict(zip(("x", "y", "width", "height"), clip, strict=True)) if clip else None
        kind = "jpeg" if path.suffix == ".jpg" else "png"
        quality = {"quality": 80} if kind == "jpeg" else {}
        self.page.screenshot(path=path, type=kind, clip=area, **quality)
        return path


@contextmanager
def open_editor(
    client: Client, *, size: tuple[int, int] = (1600, 1000), language: str = "en", **settings: Any
) -> Iterator[Editor]:
    """The editor of a running ComfyUI, with an empty canvas."""
    client.post("/settings", {**_SETTINGS, "Comfy.Locale": language, **settings})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("SKYPORT_BROWSER"), args=_CALM
        )
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(_PATIENCE * 1000)
            page.on(
                "console", lambda entry: entry.type == "error" and print(entry.text, file=stderr)
            )
            page.goto(client.url)
            page.wait_for_function(_READY, arg=list(client.get("/object_info").json()))
            page.wait_for_timeout(1500)
            yield Editor(page, client)
        finally:
            browser.close()
