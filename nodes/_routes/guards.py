"""Wrappers for every route: readable errors, and protection from requests of foreign pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ...engine.base.background import EDITOR, workers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.words import tr
from ...engine.tasks.public_view import redact

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADER = "X-Skyport"  # a page of another origin cannot send it without our consent


def json_errors(handler: Handler) -> Handler:
    """Answers our errors as JSON with a message for the user."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            with workers(EDITOR):
                return await handler(request)
        except SkyportError as error:
            payload = {"error": type(error).__name__, "message": redact(str(error))}
            return web.json_response(payload, status=400)

    return answer


def same_origin_only(handler: Handler) -> Handler:
    """Refuses requests that a foreign web page could make a browser send."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json" or _HEADER not in request.headers:
            reason = tr("This route needs a JSON body and the header {header}.", header=_HEADER)
            return web.json_response({"error": "Refused", "message": reason}, status=403)
        origin = request.headers.get("Origin")
        if origin and urlsplit(origin).netloc != request.host:
            reason = tr("The request came from a page of another origin.")
            return web.json_response({"error": "Refused", "message": reason}, status=403)
        return await handler(request)

    return guarded


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises InvalidInput."""
    try:
        payload = await request.json()
    except ValueError:
        payload = None
    if isinstance(payload, dict):
        return payload
    raise InvalidInput(tr("The request body must be a JSON object."))
