"""HTTP routes for the editor, below /skyport/. Nothing here shows a key; nothing acts on a GET."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from .. import providers
from ..providers._errors import SkyportError
from ..providers._refresh import refresh
from ..providers._types import Model
from ..providers._words import say
from . import _language

Handler = Callable[[web.Request], Awaitable[web.Response]]

_HEADER = "X-Skyport"  # a page of another origin cannot send it without our consent


def add_to(routes: web.RouteTableDef) -> None:
    """Registers every route."""
    routes.get("/skyport/models/{platform}")(_answering(_models))
    routes.post("/skyport/models/{platform}/refresh")(_answering(_from_our_page(_refresh_models)))
    routes.post("/skyport/language")(_answering(_from_our_page(_hear_language)))


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


def _answering(handler: Handler) -> Handler:
    """Errors of ours as JSON, with the words a user needs."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except SkyportError as error:
            told = {"error": type(error).__name__, "message": str(error)}
            return web.json_response(told, status=400)

    return answer


def _from_our_page(handler: Handler) -> Handler:
    """Refuses what a foreign web page could make a browser send."""

    async def guarded(request: web.Request) -> web.Response:
        if request.content_type != "application/json" or _HEADER not in request.headers:
            reason = say("This route takes JSON with the header {header}.", header=_HEADER)
            return web.json_response({"error": "Refused", "message": reason}, status=403)
        origin = request.headers.get("Origin")
        if origin and urlsplit(origin).netloc != request.host:
            reason = say("The page is of another origin.")
            return web.json_response({"error": "Refused", "message": reason}, status=403)
        return await handler(request)

    return guarded
