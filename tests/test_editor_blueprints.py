"""Pins, in ComfyUI's real editor, that it offers each blueprint, and that what is in it runs on the
sandbox. Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from _clips import pictures, write_clip
from host import Host, open_host
from PIL import Image
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.demo._examples import PICTURE
from skyport.sandbox import start
from test_blueprints import each, inside, read

pytestmark = NEEDS_EDITOR


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    with start(pace=0.02) as sandbox:
        env = environment(sandbox, "haiyi", "happyhorse", "opencomputing", "comfyui")
        base = tmp_path_factory.mktemp("editor")
        (base / "input").mkdir()
        with Image.open(PICTURE) as picture:
            picture.save(base / "input" / "example.png")
        write_clip(base / "input" / "clip.mp4", pictures(40, 640, 360))
        with open_host("comfyui", base, env=env) as host:
            yield host


@CANVASES
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1300, 900)) as editor:
        yield editor


# Links what a node takes to what makes it, and saves what it makes.
_AROUND = """([image, video]) => {
  const [node] = app.graph.nodes;
  const make = (type, left) => {
    const made = LiteGraph.createNode(type);
    app.graph.add(made);
    made.pos = [left, 300];
    return made;
  };
  for (const [at, input] of node.inputs.entries()) {
    if (input.widget || input.link != null) continue;
    const from = make(input.type.startsWith("VIDEO") ? video : image, 0);
    from.connect(0, node, at);
  }
  const at = node.outputs.findIndex((one) => one.type === "IMAGE");
  node.connect(at, make("SaveImage", 900), 0);
}"""


@each
def test_the_editor_is_offered_it(path: Path, host: Host):
    url = f"{host.client.url}/global_subgraphs"
    offered = requests.get(url, timeout=30).json()
    [key] = [key for key, one in offered.items() if one["name"] == path.stem]
    assert json.loads(requests.get(f"{url}/{key}", timeout=30).json()["data"]) == read(path)


@each
def test_it_loads_and_runs(path: Path, editor: Editor):
    editor.load(read(path))
    assert len(editor.prompt()) == len(inside(path)["nodes"])
    editor.page.evaluate(_AROUND, ["LoadImage", "LoadVideo"])
    editor.page.wait_for_timeout(500)
    entry = editor.run(60)
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert [one for one in entry["outputs"].values() if one.get("images")]
