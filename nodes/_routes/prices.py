"""The models of each node and what they cost, for the badges on nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.base.types import Model, Param
from ...engine.platforms.families import Member, families, shared_params
from ...engine.settings import settings
from ...engine.spend.choices import key_of_member
from ...engine.spend.drivers import PriceKey, key_of_form
from ...engine.spend.price import Price
from .._base.registry import all_nodes
from .._base.run_task import in_thread
from .._kinds.any_platform import AnyNode
from .._run_in_cloud.clouds import clouds
from .._run_in_cloud.request import can_run_at_once
from .guards import GuardedRoutes

_LOOPBACK = "http://127.0.0.1"  # whatever port the sandbox has: prices are the same


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/forms", _forms)


async def _forms(_: web.Request) -> web.Response:
    return web.json_response(await in_thread(_forms_payload))


def _forms_payload() -> dict[str, Any]:
    """{"platforms": {name: {"label", "ready"}}, "nodes": {class: {"platform", "models"}}}.

    Platforms that run workflows also have "at_once": whether their own inputs may stay as they are.
    """
    names = providers.names()
    forms: list[Any] = [n for n in all_nodes() if getattr(n, "platform", None) in names]
    return {
        "platforms": {name: _platform(name) for name in names},
        "nodes": {
            **{node.id: {"platform": node.platform, "models": _models(node)} for node in forms},
            **{node.id: {"platform": "", "models": family_choices(node)} for node in any_nodes()},
        },
    }


def _platform(name: str) -> dict[str, Any]:
    label = providers.provider_class(name).label
    runner = clouds().get(label)
    view = {"label": label, "ready": is_ready(name)}
    return {**view, "at_once": can_run_at_once(runner)} if runner else view


def any_nodes() -> list[type[AnyNode]]:
    return [node for node in all_nodes() if issubclass(node, AnyNode)]


def family_choices(node: type[AnyNode]) -> dict[str, Any]:
    """For each family the price on each of its platforms, with the values the form begins with."""
    return {
        family: {"choices": [_choice(member, shared_params(members)) for member in members]}
        for family, members in families(node.task).items()
    }


def _choice(member: Member, shared: Sequence[Param]) -> dict[str, Any]:
    key = key_of_member(member, {param.name: param.default for param in shared})
    price, text = price_and_text(key)
    return {"platform": member.platform, "price": price, "text": text}


def _models(node: Any) -> dict[str, Any]:
    models = (*node.models(), *node.other_models()) if hasattr(node, "models") else ()
    return {model.id: _model(model) for model in models}


def _model(model: Model) -> dict[str, Any]:
    """What the model costs with the values that its form begins with."""
    price, text = price_and_text(key_of_model(model))
    return {"retired": model.retired, "price": price, "text": text}


def key_of_model(model: Model) -> PriceKey:
    """The key of an order of a model that a node offers, with the values its form begins with."""
    name = model.id.removesuffix(f" ({model.task})")
    node_tasks = providers.provider_class(model.platform).node_tasks
    return key_of_form(model.platform, name, {}, model.task if node_tasks else "")


def price_and_text(key: PriceKey) -> tuple[dict[str, Any] | None, str]:
    """What such an order costs, and what the platform says of it in its own words."""
    book, base_url = providers.price_book(), base_url_of(key.platform)
    try:
        price = book.price_of(key, base_url)
        return price_json(price) if price else None, book.text(key, base_url)
    except SkyportError:  # the person's own prices: an order, and the estimate, say what is wrong
        return None, ""


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


def base_url_of(platform: str) -> str:
    """The address that tasks go to now, "" where none is set."""
    if settings.load().sandbox:
        return _LOOPBACK
    try:
        return providers.address(platform)
    except SkyportError:
        return ""


def is_ready(platform: str) -> bool:
    """Whether tasks can be sent to the platform."""
    return settings.load().sandbox or providers.provider_class(platform).is_set_up()
