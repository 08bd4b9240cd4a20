"""HTTP routes for the editor, below /skyport/. Nothing here shows a key; nothing acts on a GET."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from .. import providers
from ..providers._refresh import refresh
from ..providers._types import Model
from . import _cut_route, _jobs, _language, _offers, _setup
from ._guards import answering, from_our_page


def add_to(routes: web.RouteTableDef) -> None:
    """Registers every route."""
    routes.get("/skyport/models/{platform}")(answering(_models))
    routes.post("/skyport/models/{platform}/refresh")(answering(from_our_page(_refresh_models)))
    routes.post("/skyport/language")(answering(from_our_page(_hear_language)))
    _cut_route.add_to(routes)
    _jobs.add_to(routes)
    _offers.add_to(routes)
    _setup.add_to(routes)


async def _models(request: web.Request) -> web.Response:
    catalogue = providers.catalogue(request.match_info["platform"])
    return web.json_response(
        {"age": catalogue.age(), "models": [_row(model) for model in catalogue.models()]}
    )


async def _refresh_models(request: web.Request) -> web.Response:
    engine = providers.runner().engine
    work = engine.start(refresh(request.match_info["platform"]))
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
        _language.heard(locale)
    return web.json_response({})


def _row(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "task": model.task,
        "label": model.label,
        "retired": model.retired,
        "help": model.help,
    }
