"""What every route of ours needs: errors in words, and no act that a foreign page could cause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.words import tr
from ...engine.tasks.public_view import public

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADER = "X-Skyport"  # a page of another origin cannot send it without our consent


def answering(handler: Handler) -> Handler:
    """Errors of ours as JSON, with the words a user needs."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except SkyportError as error:
            told = {"error": type(error).__name__, "message": public(str(error))}
            return web.json_response(told, status=400)

    return answer


def from_our_page(handler: Handler) -> Handler:
    """Refuses what a foreign web page could make a browser send."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json" or _HEADER not in request.headers:
            reason = tr("This route takes JSON with the header {header}.", header=_HEADER)
            return web.json_response({"error": "Refused", "message": reason}, status=403)
        origin = request.headers.get("Origin")
        if origin and urlsplit(origin).netloc != request.host:
            reason = tr("The page is of another origin.")
            return web.json_response({"error": "Refused", "message": reason}, status=403)
        return await handler(request)

    return guarded


async def json_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises InvalidInput."""
    try:
        told = await request.json()
    except ValueError:
        told = None
    if isinstance(told, dict):
        return told
    raise InvalidInput(tr("A JSON object is needed."))
