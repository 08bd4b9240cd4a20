"""The models of each node and what they cost, for the badges on nodes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.base.types import Model
from ...engine.settings import keys, settings
from ...engine.spend.drivers import key_of_form
from ...engine.spend.price import Price
from .._base.registry import all_nodes
from .._base.run_task import in_thread
from .guards import json_errors

_LOOPBACK = "http://127.0.0.1"  # whatever port the sandbox has: prices are the same


def add_to(routes: web.RouteTableDef) -> None:
    routes.get("/skyport/forms")(json_errors(_forms))


async def _forms(_: web.Request) -> web.Response:
    return web.json_response(await in_thread(_forms_payload))


def _forms_payload() -> dict[str, Any]:
    """{"platforms": {name: {"label", "ready"}}, "nodes": {class: {"platform", "models"}}}."""
    names = providers.names()
    forms: list[Any] = [n for n in all_nodes() if getattr(n, "platform", None) in names]
    return {
        "platforms": {
            name: {"label": providers.provider_class(name).label, "ready": _ready(name)}
            for name in names
        },
        "nodes": {node.id: {"platform": node.platform, "models": _models(node)} for node in forms},
    }


def _models(node: Any) -> dict[str, Any]:
    models = (*node.models(), *node.other_models()) if hasattr(node, "models") else ()
    base_url = _base_url(node.platform)
    return {model.id: _model(model, base_url) for model in models}


def _model(model: Model, base_url: str) -> dict[str, Any]:
    """What the model costs with the values that its form begins with."""
    name = model.id.removesuffix(f" ({model.task})")
    node_tasks = providers.provider_class(model.platform).node_tasks
    key = key_of_form(model.platform, name, {}, model.task if node_tasks else "")
    book = providers.price_book()
    try:
        price, text = book.price_of(key, base_url), book.text(key, base_url)
    except SkyportError:  # the person's own prices: an order, and the estimate, say what is wrong
        price, text = None, ""
    return {
        "retired": model.retired,
        "price": price_json(price) if price else None,
        "text": text,
    }


def price_json(price: Price) -> dict[str, Any]:
    """A price as the page shows it."""
    return {
        "amount": price.amount.value,
        "unit": price.amount.unit,
        "lowest": price.lowest,
        "highest": price.highest,
        "origin": price.origin.value,
        "tasks": price.tasks,
        "text": price.text,
    }


def _base_url(platform: str) -> str:
    """The address that tasks go to now, "" where none is set."""
    if settings.load().sandbox:
        return _LOOPBACK
    try:
        return providers.address(platform)
    except SkyportError:
        return ""


def _ready(platform: str) -> bool:
    """Whether tasks can be sent to the platform."""
    if settings.load().sandbox:
        return True
    try:
        return keys.find(platform) is not None
    except SkyportError:
        return False
