"""HTTP routes for the editor, below /skyport/. Nothing here shows a key; nothing acts on a GET."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.types import Model
from .._base import editor_language
from . import jobs, prices, settings, split
from .guards import answering, from_our_page


def add_to(routes: web.RouteTableDef) -> None:
    """Registers every route."""
    routes.get("/skyport/models/{platform}")(answering(_models))
    routes.post("/skyport/models/{platform}/refresh")(answering(from_our_page(_refresh_models)))
    routes.post("/skyport/language")(answering(from_our_page(_hear_language)))
    split.add_to(routes)
    jobs.add_to(routes)
    prices.add_to(routes)
    settings.add_to(routes)


async def _models(request: web.Request) -> web.Response:
    catalogue = providers.catalogue(request.match_info["platform"])
    return web.json_response(
        {"age": catalogue.age(), "models": [_row(model) for model in catalogue.models()]}
    )


async def _refresh_models(request: web.Request) -> web.Response:
    engine = providers.runner().engine
    work = engine.start(providers.refresh(request.match_info["platform"]))
    found = await asyncio.wrap_future(work)
    return web.json_response(
        {
            "models": len(found.models),
            "added": found.added,
            "retired": found.retired,
            "unread": found.unread,
        }
    )


async def _hear_language(request: web.Request) -> web.Response:
    told = await request.json()
    locale = told.get("locale") if isinstance(told, dict) else None
    if isinstance(locale, str):
        editor_language.heard(locale)
    return web.json_response({})


def _row(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "task": model.task,
        "label": model.label,
        "retired": model.retired,
        "help": model.help,
    }
