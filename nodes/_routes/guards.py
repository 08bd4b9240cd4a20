"""What every route has around it: refusals of foreign pages, readable errors, one way to read."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from comfy.cli_args import args

from ...engine.base.background import EDITOR, workers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.json_tree import parse_strict
from ...engine.base.words import tr
from ...engine.settings import settings
from ...engine.tasks.public_view import redact
from . import origins

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADER = "X-Skyport"  # a page of another origin cannot send it without our consent
_MAX_BODY = 64 * 1024 * 1024  # bytes; a workflow may hold pictures
_log = logging.getLogger(__name__)


class GuardedRoutes:
    """Adds routes that answer ComfyUI's own page only, and every error as JSON."""

    def __init__(self, routes: web.RouteTableDef) -> None:
        self._routes = routes

    def get(self, path: str, handler: Handler) -> None:
        self._routes.get(path)(_json_errors(_own_page_only(handler)))

    def post(self, path: str, handler: Handler) -> None:
        """A route that acts: it also needs a JSON body and our header."""
        self._routes.post(path)(_json_errors(_own_page_only(_our_request_only(handler))))

    def nothing_else(self, path: str) -> None:
        """Answers 404 to all that no route takes: ComfyUI would look for a file of that name."""
        self._routes.route("*", path)(_json_errors(_own_page_only(_no_such_route)))


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of a request, with valid Unicode and finite numbers only.

    Raises InvalidInput, which does not repeat the body: it may be a key.
    """
    try:
        payload = parse_strict(await _read(request))
    except ValueError:
        payload = None
    if isinstance(payload, dict):
        return payload
    raise InvalidInput(tr("The request body must be a JSON object."))


async def _read(request: web.Request) -> bytes:
    """The whole body. Raises ValueError if it is packed, broken or too large."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ValueError("packed")
    content = bytearray()
    try:
        async for chunk in request.content.iter_any():
            content += chunk
            if len(content) > _MAX_BODY:
                raise ValueError("too large")
    except (HttpProcessingError, aiohttp.ClientError, web.RequestPayloadError, OSError) as error:
        raise ValueError("broken") from error
    return bytes(content)


def loopback_only(listen: str) -> bool:
    """Whether ComfyUI, started with `--listen LISTEN`, can be reached from this machine only."""
    return all(origins.is_loopback(name.strip().lower()) for name in listen.split(","))


def is_refused_with(request: web.Request, allowed: Collection[str]) -> bool:
    """Whether this very page would be refused once `allowed` were the names of this ComfyUI."""
    return bool(_refusal(request, allowed))


def _refusal(request: web.Request, allowed: Collection[str]) -> str:
    only = loopback_only(args.listen or "")
    return origins.refusal(request.headers, request.scheme, loopback_only=only, allowed=allowed)


# -- the wrappers -------------------------------------------------------------------------------


def _json_errors(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            with workers(EDITOR):
                return await handler(request)
        except SkyportError as error:
            return _error(400, type(error).__name__, redact(str(error)))
        except web.HTTPException:
            raise
        except Exception:
            _log.exception("Skyport could not answer %s %s", request.method, request.path)
            return _error(500, "Failed", tr("Skyport failed; see ComfyUI's log for the reason."))

    return answer


def _own_page_only(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        reason = _refusal(request, _allowed_hosts())
        return _error(403, "Refused", reason) if reason else await handler(request)

    return guarded


def _our_request_only(handler: Handler) -> Handler:
    """Refuses what a foreign page can make a browser send without asking first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json" or _HEADER not in request.headers:
            reason = tr("This route needs a JSON body and the header {header}.", header=_HEADER)
            return _error(403, "Refused", reason)
        return await handler(request)

    return guarded


async def _no_such_route(_: web.Request) -> web.Response:
    return _error(404, "NotFound", tr("Skyport has no such route."))


def _allowed_hosts() -> Collection[str]:
    with suppress(SkyportError):  # a broken settings.json allows nothing
        return settings.load().allowed_hosts
    return ()


def _error(status: int, kind: str, message: Any) -> web.Response:
    return web.json_response({"error": kind, "message": message}, status=status)
