"""Tells the editor, before a workflow is queued, which of its nodes would run where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.words import tr
from ...engine.workflows.api_format import Workflow
from ...engine.workflows.graph import MISSING_LINK, REFUSED_INPUT
from .._base.run_task import in_thread
from .._run_in_cloud.clouds import clouds
from .._run_in_cloud.request import not_ready
from .._run_in_cloud.split_prompt import UNNAMED, notes_of, remote_part_of, split_prompt
from .guards import GuardedRoutes, read_json_object


def add_to(routes: GuardedRoutes) -> None:
    routes.post("/skyport/cut", _cut)


async def _cut(request: web.Request) -> web.Response:
    """Takes {"prompt", "workflow"}, as the editor would queue them; nothing is queued."""
    payload = await read_json_object(request)
    prompt = payload.get("prompt")
    if not isinstance(prompt, dict):
        raise InvalidInput(tr("The request body must be a JSON object."))
    data = {
        "prompt": prompt,
        "extra_data": {"extra_pnginfo": {"workflow": payload.get("workflow")}},
    }
    view = await in_thread(lambda: split_view(split_prompt(data)))
    if unnamed := view.get("unnamed"):
        platforms = _platforms(_inputs(prompt.get(node_id)) for node_id in unnamed)
        await in_thread(lambda: _learn_from(platforms))
        view = await in_thread(lambda: split_view(split_prompt(data)))
    return web.json_response(view)


def _platforms(chosen: Iterable[Mapping[str, Any]]) -> set[str]:
    """The platforms that Run in Cloud nodes with these inputs name."""
    labels = {str(inputs.get("where")) for inputs in chosen}
    return {node.platform for label, node in clouds().items() if label in labels}


def _learn_from(platforms: Iterable[str]) -> None:
    """What the chosen platforms declare names values; one that does not answer names none."""
    for platform in platforms:
        with suppress(SkyportError):
            providers.connect(platform).learn_node_classes()


def split_view(left: Workflow) -> dict[str, Any]:
    """{"nodes": {id: {"clouds", "here"}}, "troubles": {id: reason}} of a split prompt.

    nodes     the nodes that are sent; `here` if the rest of the graph needs the node here too
    troubles  why Run in Cloud nodes would be refused
    unlinked  those of them that only lack a link, if any: another pack may add it when queueing
    unnamed   those of them that names for values would help, if any
    notes     where there are any: what the person should know of nodes, by node
    """
    kinds = {kind: _refused(left, kind) for kind in (MISSING_LINK, UNNAMED)}
    notes = _notes(left)
    return {
        **({"notes": notes} if notes else {}),
        "nodes": {
            node_id: {"clouds": clouds, "here": node_id in left}
            for node_id, clouds in _clouds(left).items()
        },
        "troubles": {
            node_id: str(_inputs(node).get("value", ""))
            for node_id, node in left.items()
            if REFUSED_INPUT in _inputs(node)
        }
        | not_ready(left),
        **({"unlinked": kinds[MISSING_LINK]} if kinds[MISSING_LINK] else {}),
        **({"unnamed": kinds[UNNAMED]} if kinds[UNNAMED] else {}),
    }


def _refused(left: Workflow, kind: str) -> list[str]:
    return [k for k, node in left.items() if _inputs(node).get(REFUSED_INPUT) == kind]


def _notes(left: Workflow) -> dict[str, str]:
    runs = [node_id for node_id, node in left.items() if _inputs(node)]
    return {node_id: text for run in runs for node_id, text in notes_of(left, run).items()}


def _clouds(left: Workflow) -> dict[str, list[str]]:
    """The clouds that each node is sent to, by its id."""
    by_node: dict[str, list[str]] = {}
    for node_id, node in left.items():
        part = remote_part_of(left, node_id) if _inputs(node) else None
        for sent in part.nodes if part else ():
            clouds_of_node = by_node.setdefault(sent, [])
            if (cloud := str(_inputs(node).get("where"))) not in clouds_of_node:
                clouds_of_node.append(cloud)
    return by_node


def _inputs(node: Any) -> Mapping[str, Any]:
    """The inputs of a node; empty for anything that is no node."""
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}
