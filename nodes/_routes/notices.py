"""Routes of the settings page's list of services for notices, and of the pages that are open.

An address holds a token: it is received once and never sent back, only its kind and its end are.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ...engine.base.errors import InvalidInput
from ...engine.base.words import tr
from ...engine.notices import channels, dispatcher
from ...engine.notices.channels import Channel
from ...engine.settings import notify_urls
from .._base.run_task import in_thread
from . import presence
from .guards import GuardedRoutes, read_json_object
from .settings import secret_in

_MAX_CLIENT = 100  # characters


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/notices", _list)
    routes.post("/skyport/notices/add", _add)
    routes.post("/skyport/notices/test", _test)
    routes.post("/skyport/notices/remove", _remove)
    routes.post("/skyport/presence", _report)


async def _list(_: web.Request) -> web.Response:
    """{"services": [{"id", "name", "source", "answer"}], "installed", "command", "variable"}."""
    return web.json_response(await in_thread(_payload))


def _payload() -> dict[str, Any]:
    return {
        "services": [_view(channel) for channel in channels.listed()],
        "installed": channels.is_installed(),
        "command": channels.how_to_install(),
        "variable": notify_urls.VARIABLE,
    }


def _view(channel: Channel) -> dict[str, Any]:
    answer = dispatcher.last_answer(channel)
    return {
        "id": channel.id,
        "name": channel.masked(),
        "source": channel.source,
        "answer": {"ok": answer.ok, "message": answer.message} if answer else None,
    }


async def _add(request: web.Request) -> web.Response:
    """Takes {"url"}; the list, and {"id"} of the new one."""
    url = secret_in(await read_json_object(request), "url")
    channel = await in_thread(lambda: channels.add(url))
    return web.json_response({**await in_thread(_payload), "id": channel.id})


async def _test(request: web.Request) -> web.Response:
    """Takes {"id"}; the list, with what became of the test notice."""
    id = _id(await read_json_object(request))
    await in_thread(lambda: dispatcher.try_out(channels.require(id)))
    return web.json_response(await in_thread(_payload))


async def _remove(request: web.Request) -> web.Response:
    """Takes {"id"}."""
    id = _id(await read_json_object(request))
    await in_thread(lambda: channels.remove(channels.require(id)))
    return web.json_response(await in_thread(_payload))


def _id(payload: dict[str, Any]) -> str:
    value = payload.get("id")
    return value if isinstance(value, str) else ""


async def _report(request: web.Request) -> web.Response:
    """Takes {"client", "visible", "can_show"} of a page, by the id of its WebSocket."""
    payload = await read_json_object(request)
    client = payload.get("client")
    if not isinstance(client, str) or not 0 < len(client) <= _MAX_CLIENT:
        raise InvalidInput(tr("A page is named by the id of its WebSocket."))
    page = presence.Page(payload.get("visible") is True, payload.get("can_show") is True)
    presence.pages.report(client, page)
    return web.json_response({})
