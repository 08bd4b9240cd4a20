"""The models of each node and what they cost before, for the badges on nodes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.base.types import Model
from ...engine.settings import keys, settings
from ...engine.tasks import history
from .._base.registry import all_nodes
from .._base.run_task import in_thread
from .guards import GuardedRoutes

_MAX_TASKS = 2000  # tasks examined
_SAMPLES = 5  # tasks of a model that its price is computed from
_LOOPBACK = "http://127.0.0.1:"

Costs = dict[tuple[str, str], list[float]]


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/forms", _forms)


async def _forms(_: web.Request) -> web.Response:
    return web.json_response(await in_thread(_forms_payload))


def _forms_payload() -> dict[str, Any]:
    """{"platforms": {name: {"label", "ready"}}, "nodes": {class: {"platform", "models"}}}."""
    names = providers.names()
    costs = _known_costs()
    forms: list[Any] = [n for n in all_nodes() if getattr(n, "platform", None) in names]
    return {
        "platforms": {
            name: {"label": providers.provider_class(name).label, "ready": _ready(name)}
            for name in names
        },
        "nodes": {
            node.id: {"platform": node.platform, "models": _models(node, costs)} for node in forms
        },
    }


def _models(node: Any, costs: Costs) -> dict[str, Any]:
    models = (*node.models(), *node.other_models()) if hasattr(node, "models") else ()
    return {model.id: _model(model, costs) for model in models}


def _model(model: Model, costs: Costs) -> dict[str, Any]:
    # HaiYi's tasks are titled without the maker of the model.
    titles = (model.id, model.id.partition("/")[2])
    samples = next((prices for t in titles if (prices := costs.get((model.platform, t)))), [])
    return {
        "retired": model.retired,
        "cost": statistics.median(samples) if samples else None,
        "tasks": len(samples),
    }


def _known_costs() -> Costs:
    """What the newest tasks of each model cost, by platform and title."""
    costs: Costs = defaultdict(list)
    try:
        rows = history.read(providers.ledger(), lambda store: store.costs(_MAX_TASKS))
    except SkyportError:
        return costs
    here = {name: _base_url(name) for name in providers.names()}
    for platform, base_url, title, cost in rows:
        samples = costs[platform, title]
        if base_url.startswith(here.get(platform, "-")) and len(samples) < _SAMPLES:
            samples.append(cost)
    return costs


def _base_url(platform: str) -> str:
    """The base URL that tasks go to now; those of the sandbox cost nothing."""
    if settings.load().sandbox:
        return _LOOPBACK
    kind = providers.provider_class(platform)
    try:
        return keys.base_url(platform, kind.label, kind.default_base_url)
    except SkyportError:
        return "-"


def _ready(platform: str) -> bool:
    """Whether tasks can be sent to the platform."""
    if settings.load().sandbox:
        return True
    try:
        return keys.find(platform) is not None
    except SkyportError:
        return False
