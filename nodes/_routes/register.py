"""Registers the editor's HTTP routes, below /skyport/. No route shows a key or acts on a GET."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.types import Model
from .._base import editor_language
from . import estimate, jobs, prices, settings, split
from .guards import json_errors, same_origin_only


def add_to(routes: web.RouteTableDef) -> None:
    """Registers every route."""
    routes.get("/skyport/models/{platform}")(json_errors(_models))
    routes.post("/skyport/models/{platform}/refresh")(
        json_errors(same_origin_only(_refresh_models))
    )
    routes.post("/skyport/language")(json_errors(same_origin_only(_set_language)))
    split.add_to(routes)
    jobs.add_to(routes)
    prices.add_to(routes)
    estimate.add_to(routes)
    settings.add_to(routes)


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
    payload = await request.json()
    locale = payload.get("locale") if isinstance(payload, dict) else None
    if isinstance(locale, str):
        editor_language.set_browser_locale(locale)
    return web.json_response({})


def _row(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "task": model.task,
        "label": model.label,
        "retired": model.retired,
        "help": model.help,
    }
