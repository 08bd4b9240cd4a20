"""What the editor asks before a workflow is queued: which of its nodes would run where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.workflows.api_format import Workflow
from ...engine.workflows.graph import REFUSED_INPUT
from .._base.run_task import in_thread
from .._run_in_cloud.split_prompt import cut_prompt, remote_part_of
from .guards import answering, from_our_page, json_of


def add_to(routes: web.RouteTableDef) -> None:
    routes.post("/skyport/cut")(answering(from_our_page(_cut)))


async def _cut(request: web.Request) -> web.Response:
    """Takes {"prompt", "workflow"}, as the editor would queue them; nothing is queued."""
    told = await json_of(request)
    prompt = told.get("prompt")
    if not isinstance(prompt, dict):
        raise InvalidInput(tr("A JSON object is needed."))
    data = {"prompt": prompt, "extra_data": {"extra_pnginfo": {"workflow": told.get("workflow")}}}
    return web.json_response(await in_thread(lambda: whereabouts(cut_prompt(data))))


def whereabouts(left: Workflow) -> dict[str, Any]:
    """{"nodes": {id: {"clouds", "here"}}, "troubles": {id: reason}} of a prompt that was cut.

    nodes     those that are sent; `here` where the rest of the graph needs one here as well
    troubles  Run in Cloud nodes that would be refused
    """
    return {
        "nodes": {
            node_id: {"clouds": clouds, "here": node_id in left}
            for node_id, clouds in _clouds(left).items()
        },
        "troubles": {
            node_id: node["inputs"]["value"]
            for node_id, node in left.items()
            if REFUSED_INPUT in _inputs(node)
        },
    }


def _clouds(left: Workflow) -> dict[str, list[str]]:
    """The places that each node is sent to, by its id."""
    found: dict[str, list[str]] = {}
    for node_id, node in left.items():
        part = remote_part_of(left, node_id) if _inputs(node) else None
        for sent in part.nodes if part else ():
            clouds_of_node = found.setdefault(sent, [])
            if (cloud := str(node["inputs"].get("where"))) not in clouds_of_node:
                clouds_of_node.append(cloud)
    return found


def _inputs(node: Any) -> Mapping[str, Any]:
    """None of what is no node: it was never cut."""
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}
