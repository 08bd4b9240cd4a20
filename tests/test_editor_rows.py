"""Pins, in ComfyUI's real editor, that Load Rows takes a table, links to inputs of any type, and
runs a graph for each row. Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from host import Host, open_host
from PIL import Image
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of

pytestmark = NEEDS_EDITOR


@pytest.fixture(scope="module")
def host(tmp_path_factory: Any) -> Iterator[Host]:
    base = tmp_path_factory.mktemp("editor")
    (base / "input").mkdir()
    (base / "input" / "rows.csv").write_text(
        "photo,width\nred.png,20\nblue.png,30\n", encoding="utf-8"
    )
    for name in ("red", "blue"):
        Image.new("RGB", (8, 6), name).save(base / "input" / f"{name}.png")
    with open_host("comfyui", base) as host:
        yield host


@CANVASES
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1300, 900)) as editor:
        yield editor


def test_columns_link_to_inputs_of_any_type_and_each_row_runs(editor: Editor, host: Host):
    values = {"file": "rows.csv", "columns": "photo:IMAGE, width:INT"}
    rows = {"type": "SkyportLoadRows", "pos": [0, 0], "values": values}
    links = {"image": ["rows", "column_1"], "width": ["rows", "column_2"]}
    scale = {"type": "ImageScale", "pos": [480, 0], "values": {"height": 10}, "links": links}
    sink = {"type": "ProbeSink", "pos": [860, 0], "links": {"value": ["scale", "IMAGE"]}}
    editor.build({"rows": rows, "scale": scale, "sink": sink})
    prompt = editor.prompt()
    [node] = (one for one in prompt.values() if one["class_type"] == "SkyportLoadRows")
    assert node["inputs"] == {**values, "start": 1, "rows": 0}
    run = host.run(prompt)
    assert run.status == "success", (run.error, run.node_errors)
    [seen] = (run.probe(name) for name, one in prompt.items() if one["class_type"] == "ProbeSink")
    assert [one["shape"] for one in seen] == [[1, 10, 20, 3], [1, 10, 30, 3]]
