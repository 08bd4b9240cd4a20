"""Prompts of one cloud task each, and what the sandbox has heard of them while they are queued."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from _clock import Clock
from _waiting import until
from host import Handle, Host, graph, link, node
from skyport.sandbox import Sandbox
from skyport.sandbox.gpugeek import WORKFLOW_ID

OURS = {"X-Skyport": "1"}
TEXT = "started when queued"
serial = itertools.count(1)


@contextmanager
def standing_still(host: Host, clock: Clock) -> Iterator[None]:
    """No task goes on in here until the test lets time pass; settings are as before after it."""
    with clock.still():
        yield
        clock.forward()
    changed = ("head_start", "limit_tasks_per_day", "reuse_results", "sandbox")
    change_settings(host, **dict.fromkeys(changed))


def change_settings(host: Host, **changes: Any) -> None:
    answer = host.route("POST", "/skyport/setup/settings", json=changes, headers=OURS)
    assert answer.status_code == 200, answer.text


def workflow(image: str = "") -> dict[str, Any]:
    source = (
        {"class_type": "LoadImage", "inputs": {"image": image}}
        if image
        else {
            "class_type": "EmptyImage",
            "inputs": {"width": 32, "height": 24, "batch_size": 1, "color": 255},
        }
    )
    save = {"images": ["73", 0], "filename_prefix": "out"}
    return {"73": source, "9": {"class_type": "SaveImage", "inputs": save}}


def run_node(image: str = "", **inputs: Any) -> dict[str, Any]:
    """A node whose order equals none before it."""
    return node(
        "SkyportGpugeekRunWorkflow",
        workflow_id=str(WORKFLOW_ID),
        workflow=json.dumps(workflow(image)),
        **{"seed": next(serial), **inputs},
    )


def task(image: str = "", **inputs: Any) -> dict[str, Any]:
    """A prompt of one cloud task whose inputs are all known."""
    return graph(run=run_node(image, **inputs), seen=node("ProbeSink", value=link("run")))


def submits(sandbox: Sandbox) -> list[Any]:
    return [seen.fields for seen in sandbox.log.of("POST", "/api/v1/prompt")]


def cancels(sandbox: Sandbox) -> int:
    return len(sandbox.log.of("POST", "/api/v1/task/cancel"))


def accepted(sandbox: Sandbox, count: int) -> None:
    """Waits until so many submits have been answered."""
    until(lambda: len(submits(sandbox)) >= count)
    until(lambda: all(seen.status for seen in sandbox.log.of("POST", "/api/v1/prompt")))


def finish(clock: Clock, *handles: Handle) -> list[Any]:
    clock.forward()
    return [handle.result() for handle in handles]


def delete(host: Host, *handles: Handle) -> None:
    ids = [handle.prompt_id for handle in handles]
    host.route("POST", "/queue", json={"delete": ids}).raise_for_status()
