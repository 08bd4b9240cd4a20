"""Pins that workflows saved before the code was given rooms still run, and order what they ordered:
an equal order is not paid for twice, whichever code made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from _old import THERE, in_json, mark_of, skyport
from host import KINDS, Host, Run, node, open_host
from sandboxes import environment
from skyport.sandbox import start

FOLDER = THERE / "workflows"
SAVED = sorted(path.stem for path in FOLDER.glob("Skyport*.json"))
CHOICE = "COMFY_DYNAMICCOMBO_V3"
WIDGETS = ("STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", CHOICE)
CLOUDS = ("haiyi", "happyhorse", "opencomputing")


@contextmanager
def opened_host(kind: str, base: Path) -> Iterator[Host]:
    with start(pace=0.02) as cloud:
        cloud.platforms["happyhorse"].most_seconds = 0.2
        with open_host(kind, base, env=environment(cloud, *CLOUDS)) as host:
            yield host


def saved(name: str) -> dict[str, Any]:
    return in_json(f"workflows/api/{name}.json")


def with_probes(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """With probes in the place of ComfyUI's own nodes, which the stand-in has not."""
    return {name: _probe(one) for name, one in workflow.items()}


def _probe(one: Mapping[str, Any]) -> Mapping[str, Any]:
    if one["class_type"].startswith("Skyport"):
        return one
    links = [value for value in one["inputs"].values() if isinstance(value, list)]
    return node("ProbeSink", value=links[0]) if links else node("ProbeImage", seed=1)


def ordered(host: Host, run: Run) -> list[dict[str, Any]]:
    """The jobs of a prompt, in their order, as `skyport jobs` tells of them."""
    result = skyport("jobs", "--json", "--limit", 99, env={"SKYPORT_HOME": str(host.home)})
    return [one for one in reversed(json.loads(result)) if one["prompt"] == run.prompt_id]


def kept(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must be as it was. An encoder's next version makes other bytes of a picture."""
    names = ("platform", "endpoint", "title", "node", "state", "texts", "cost")
    return [
        {
            **{name: job[name] for name in names},
            "request": _unhashed(job["request"]),
            "files": [[file["mime"], file["node_id"], file["title"]] for file in job["files"]],
        }
        for job in jobs
    ]


def _unhashed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {n: "..." if n == "sha256" else _unhashed(value) for n, value in tree.items()}
    return [_unhashed(one) for one in tree] if isinstance(tree, list) else tree


def made(base: Path) -> dict[str, Any]:
    """What each saved workflow orders; made with the code of then it is what is pinned."""
    with opened_host("standin", base) as host:
        runs = {name: host.run(with_probes(saved(name))) for name in SAVED}
        return {name: kept(ordered(host, run)) for name, run in runs.items()}


# -- what stays ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def opened(request: Any, tmp_path_factory: Any) -> Iterator[Host]:
    with opened_host(request.param, tmp_path_factory.mktemp(request.param)) as host:
        yield host


@pytest.fixture
def host(own_host: Host) -> Host:
    return own_host


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_workflow_runs_and_orders_what_it_ordered(host, name):
    run = host.run(with_probes(saved(name)))
    assert run.status == "success", run.error
    jobs = ordered(host, run)
    assert kept(jobs) == in_json("workflows/orders.json")[name]
    for job in jobs:  # all of them have the seed 0
        order = (job["platform"], job["place"], job["endpoint"], job["request"])
        assert job["fingerprint"] == mark_of(*order)


@pytest.mark.parametrize("name", SAVED)
def test_the_editor_finds_every_value_of_a_saved_workflow_where_it_looks_for_it(host, name):
    """It takes values and links by their place: one more before them, and each means another."""
    for one in in_json(f"workflows/{name}.json")["nodes"]:
        if one["type"].startswith("Skyport"):
            info = host.object_info(one["type"])
            form = dict(form_of(info["input"], saved(name)[str(one["id"])]["inputs"]))
            with_widget = [slot["name"] for slot in one["inputs"] if "widget" in slot]
            assert [input for input, is_widget in form.items() if is_widget] == with_widget
            assert {slot["name"] for slot in one["inputs"]} <= set(form)
            outputs = [slot["name"] for slot in one["outputs"]]
            assert outputs == info["output_name"][: len(outputs)]  # a newer one may have more


def form_of(
    body: Mapping[str, Any], values: Mapping[str, Any], below: str = ""
) -> Iterator[tuple[str, bool]]:
    """The inputs of a node where `values` are chosen, and whether each has a widget."""
    for section in ("required", "optional"):
        for name, (kind, *about) in body.get(section, {}).items():
            yield below + name, kind in WIDGETS or "widgetType" in (about or [{}])[0]
            if kind == CHOICE:
                found = (one for one in about[0]["options"] if one["key"] == values[below + name])
                yield from form_of(next(found)["inputs"], values, f"{below}{name}.")
