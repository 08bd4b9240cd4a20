"""Registers the editor's HTTP routes, below /skyport/. No route shows a key or acts on a GET."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.types import Model
from ...engine.base.words import language
from .._base import editor_language
from . import (
    batches,
    browse,
    estimate,
    files,
    graphs,
    jobs,
    notices,
    outcomes,
    prices,
    servers,
    settings,
    split,
    widget_names,
)
from .guards import GuardedRoutes, read_json_object

_GROUPS = (
    batches,
    browse,
    estimate,
    files,
    graphs,
    jobs,
    notices,
    outcomes,
    prices,
    servers,
    settings,
    split,
    widget_names,
)


def add_to(routes: web.RouteTableDef) -> None:
    """Registers every route."""
    guarded = GuardedRoutes(routes)
    guarded.get("/skyport/models/{platform}", _models)
    guarded.post("/skyport/models/{platform}/refresh", _refresh_models)
    guarded.post("/skyport/language", _set_language)
    for group in _GROUPS:
        group.add_to(guarded)
    guarded.nothing_else("/skyport/{rest:.*}")


async def _models(request: web.Request) -> web.Response:
    catalogue = providers.catalogue(request.match_info["platform"])
    return web.json_response(
        {"age": catalogue.age(), "models": [_row(model) for model in catalogue.models()]}
    )


async def _refresh_models(request: web.Request) -> web.Response:
    engine = providers.runner().engine
    work = engine.start(providers.refresh(request.match_info["platform"]))
    refreshed = await asyncio.wrap_future(work)
    return web.json_response(
        {
            "models": len(refreshed.models),
            "added": refreshed.added,
            "retired": refreshed.retired,
            "unread": refreshed.unread,
        }
    )


async def _set_language(request: web.Request) -> web.Response:
    """{"changed"}: whether the forms, as the editor has them, are in another language."""
    locale = (await read_json_object(request)).get("locale")
    before = language()
    if isinstance(locale, str):
        editor_language.set_browser_locale(locale)
    return web.json_response({"changed": language() != before})


def _row(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "task": model.task,
        "label": model.label,
        "retired": model.retired,
        "help": model.help,
    }
