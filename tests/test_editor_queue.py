"""Pins in ComfyUI's real editor what a node says whose order was begun while it waits in the queue.

Needs COMFYUI_PATH and a Chromium (SKYPORT_BROWSER, or found).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _clock import Clock
from gate import behind_a_gate
from host import Host, open_host
from real_editor import CANVASES, NEEDS_EDITOR, Editor, editor_of
from sandboxes import environment
from skyport.sandbox import Sandbox

pytestmark = NEEDS_EDITOR

# The progress text below the node Boat, of which frontends make a widget.
SAYS = """(words) => app.graph.nodes.find((one) => one.title === "Boat").widgets
  .some(({ name, value }) => name.includes("text-preview") && String(value).includes(words))"""


@pytest.fixture(scope="module")
def host(sandbox: Sandbox, tmp_path_factory: Any) -> Iterator[Host]:
    env = {**environment(sandbox, "gpugeek", "opencomputing"), "SKYPORT_MAX_PARALLEL": "20"}
    with open_host("comfyui", tmp_path_factory.mktemp("editor"), env=env) as host:
        yield host


@CANVASES
def editor(request: Any, host: Host) -> Iterator[Editor]:
    with editor_of(host, request.param, (1280, 860)) as editor:
        editor.vue = request.param
        yield editor


def boat(editor: Editor, seed: int) -> dict[str, Any]:
    values = {"prompt": f"a boat {editor.vue}", "seed": seed, "model": "wan2.2-t2i-plus"}
    image = "SkyportOpenComputingTextToImage"
    return {
        "boat": {"type": image, "title": "Boat", "pos": [0, 0], "values": values},
        "seen": {"type": "PreviewImage", "pos": [500, 0], "links": {"images": ["boat", "images"]}},
    }


def says(editor: Editor, words: str) -> None:
    editor.page.wait_for_function(SAYS, arg=words, timeout=60_000)


def test_a_queue_of_five_says_on_the_node_how_the_first_one_gets_on(
    editor: Editor, host: Host, sandbox: Sandbox, clock: Clock
) -> None:
    with clock.still():
        with behind_a_gate(host):
            for seed in range(5):
                editor.build(boat(editor, seed))
                editor.fit(margin=160)
                editor.queue()
            says(editor, "started when queued")
            waiting = host.client.get("/queue").json()["queue_pending"]
            assert len(waiting) == 5
            gone = [item[1] for item in waiting]
            host.route("POST", "/queue", json={"delete": gone}).raise_for_status()
            says(editor, "goes on at OpenComputing, may be charged")
        clock.forward()
