"""Routes of the kept graphs: that of a job or of a result's bytes, and those that did not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.ledger.ledger import Row
from ...engine.ledger.queued_again import next_id
from ...engine.spend.estimate import Estimate
from ...engine.spend.orders import platforms_in
from ...engine.tasks import history, kept_graphs
from .._base.run_task import in_thread
from . import job_views
from .estimate import estimate_json, estimate_of, fetch_prices
from .guards import GuardedRoutes, read_json_object


def add_to(routes: GuardedRoutes) -> None:
    routes.get(r"/skyport/jobs/{job:\d{1,18}}/graph", _of_job)
    routes.get("/skyport/results/{sha256:[0-9a-f]{64}}", _of_result)
    routes.get("/skyport/queue/left", _left)
    routes.post("/skyport/queue/left/estimate", _estimate)
    routes.post("/skyport/queue/left/take", _take)
    routes.post("/skyport/queue/left/return", _return)
    routes.post("/skyport/queue/left/close", _close)


async def _of_job(request: web.Request) -> web.Response:
    """{"prompt", "workflow", "targets", "whole"} as they were queued."""
    name = request.match_info["job"]
    return web.json_response(await in_thread(lambda: _graph_payload(name)))


def _graph_payload(name: str) -> dict[str, Any]:
    ledger = providers.ledger()
    row = history.read(ledger, lambda store: store.get(int(name)))
    if row is None:
        raise InvalidInput(tr('There is no job "{name}".', name=name))
    return kept_graphs.graph_of_job(ledger, row).to_json()


async def _of_result(request: web.Request) -> web.Response:
    """{"job"}: the newest job that brought these bytes, as the list has it, or null; "graph"."""
    sha256 = request.match_info["sha256"]
    return web.json_response(await in_thread(lambda: _result_payload(sha256)))


def _result_payload(sha256: str) -> dict[str, Any]:
    ledger = providers.ledger()
    row: Row | None = kept_graphs.job_of_file(ledger, sha256)
    if row is None:
        return {"job": None, "graph": False}
    return {"job": job_views.briefs([row])[0], "graph": kept_graphs.is_kept(ledger, row)}


# -- what did not run ---------------------------------------------------------------------------


async def _left(_: web.Request) -> web.Response:
    """{"prompts"}: those that ComfyUI held when it ended, oldest first: {"id", "created"}."""
    left = await in_thread(lambda: kept_graphs.left_prompts(providers.ledger()))
    return web.json_response({"prompts": [{"id": one.id, "created": one.created} for one in left]})


async def _estimate(request: web.Request) -> web.Response:
    """What the prompts {"ids"} cost when they are queued again, as `/skyport/estimate` has it."""
    names = _ids(await read_json_object(request))
    graphs = await in_thread(lambda: _graphs(names))
    await fetch_prices({name for one in graphs.values() for name in platforms_in(one.prompt)})
    return web.json_response(await in_thread(lambda: estimate_json(_sum_of(graphs))))


def _graphs(names: Sequence[str]) -> dict[str, kept_graphs.KeptGraph]:
    found = {name: kept_graphs.graph_of(providers.ledger(), name) for name in names}
    return {name: graph for name, graph in found.items() if graph}


def _sum_of(graphs: Mapping[str, kept_graphs.KeptGraph]) -> Estimate:
    total = Estimate(())
    for name, graph in graphs.items():
        targets = None if graph.targets is None else frozenset(graph.targets)
        total = total.plus(estimate_of(graph.prompt, targets, next_id(name)))
    return total


async def _take(request: web.Request) -> web.Response:
    """{"graph", "prompt_id"} of the prompt {"id"}, for this page to queue under that new id.

    The graph is null where another page has it.
    """
    (name,) = _ids({"ids": [(await read_json_object(request)).get("id")]})
    graph = await in_thread(lambda: _taken(name))
    return web.json_response({"graph": graph, "prompt_id": next_id(name)})


def _taken(name: str) -> dict[str, Any] | None:
    ledger = providers.ledger()
    graph = kept_graphs.graph_of(ledger, name) if ledger.take_prompt(name) else None
    return graph.to_json() if graph else None


async def _return(request: web.Request) -> web.Response:
    """Offers the prompts {"ids"} again, which were taken and could not be queued."""
    names = _ids(await read_json_object(request))
    for name in names:
        await in_thread(partial(providers.ledger().leave_prompt, name))
    return web.json_response({"returned": len(names)})


async def _close(request: web.Request) -> web.Response:
    """Offers the prompts {"ids"} no more: they are queued again, or nobody wants them."""
    names = _ids(await read_json_object(request))
    await in_thread(lambda: providers.ledger().close_prompts(names))
    return web.json_response({"closed": len(names)})


def _ids(payload: dict[str, Any]) -> list[str]:
    names = payload.get("ids")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    raise InvalidInput(tr("Give the ids of prompts."))
