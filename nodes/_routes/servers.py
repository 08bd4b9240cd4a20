"""Routes of the settings page's list of ComfyUI servers.

A key is received once and never sent back: only its last characters are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ... import providers
from ...engine.base.background import workers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.types import Json
from ...engine.base.words import tr
from ...engine.settings import settings
from ...engine.tasks.public_view import redact
from ...providers.comfyui import servers
from .._base.run_task import in_thread
from . import origins
from .guards import GuardedRoutes, read_json_object
from .settings import WORKS, failure_state, secret_in

_PLATFORM = "comfyui"


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/servers", _list)
    routes.post("/skyport/servers/add", _add)
    routes.post("/skyport/servers/change", _change)
    routes.post("/skyport/servers/test", _test)
    routes.post("/skyport/servers/remove", _remove)


# -- list ---------------------------------------------------------------------------------------

# The last test of each server by its name, with the identity of what was tested.
_tested: dict[str, tuple[str, dict[str, Json]]] = {}


async def _list(request: web.Request) -> web.Response:
    """{"servers", "sandbox"}; each server with its last "test", null where there is none."""
    return web.json_response(await _payload(request))


async def _payload(request: web.Request) -> dict[str, Any]:
    found = await in_thread(lambda: [_view(server) for server in servers.listed()])
    for server in found:
        if _is_this_one(server["address"], request):
            server["warnings"].append(
                tr("This is the ComfyUI that shows this page: a task there waits for itself.")
            )
    return {"servers": found, "sandbox": settings.load().sandbox}


def _view(server: servers.Server) -> dict[str, Any]:
    view = servers.to_json(server)
    identity, test = _tested.get(server.name, ("", None))
    view["test"] = test if identity == servers.identity(server) else None
    return view


def _is_this_one(url: str, request: web.Request) -> bool:
    parts = urlsplit(url)
    own = request.get_extra_info("sockname") or ("", None)
    is_here = origins.is_loopback(parts.hostname or "") and parts.port == own[1]
    return is_here or parts.netloc == request.host


# -- change -------------------------------------------------------------------------------------


async def _add(request: web.Request) -> web.Response:
    """Takes {"name", "address", "header", "dialect", "max_parallel", "key"}; the first two are
    needed."""
    payload = await read_json_object(request)
    server, key = _server(payload), _key(payload)
    await in_thread(lambda: servers.add_new(server, key))
    return await _list(request)


async def _change(request: web.Request) -> web.Response:
    """Takes what `add` takes, and under "before" the name that the server has now."""
    payload = await read_json_object(request)
    before, server, key = _text(payload, "before"), _server(payload), _key(payload)
    await in_thread(lambda: servers.change(before, server, key))
    return await _list(request)


async def _remove(request: web.Request) -> web.Response:
    """Takes {"name"}."""
    name = _text(await read_json_object(request), "name")
    await in_thread(lambda: servers.remove_stored(name))
    return await _list(request)


def _server(payload: Mapping[str, Any]) -> servers.Server:
    """The server that was entered; `servers` validates it."""
    return servers.Server(
        _text(payload, "name"),
        _text(payload, "address"),
        _text(payload, "dialect") or "auto",
        _text(payload, "header") or "none",
        payload.get("max_parallel") or servers.MAX_PARALLEL,
    )


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    return value.strip() if isinstance(value, str) else ""


def _key(payload: Mapping[str, Any]) -> str | None:
    """A new key, None where none was entered. Raises InvalidInput where it would not be sent."""
    if not payload.get("key"):
        return None
    if _text(payload, "header") in ("", "none"):
        raise InvalidInput(tr("Choose how the key is sent."))
    return secret_in(payload, "key") or "\n"  # what is no key is refused as such


# -- test ---------------------------------------------------------------------------------------


async def _test(request: web.Request) -> web.Response:
    """Takes {"name"}; the list, and {"state", "message"} of this test as in /skyport/setup/test."""
    name = _text(await read_json_object(request), "name")
    test = await in_thread(lambda: _outcome(name))
    return web.json_response({**await _payload(request), **test})


def _outcome(name: str) -> dict[str, Json]:
    server = servers.require(name)
    identity = servers.identity(server)
    try:
        with workers(_PLATFORM):
            seen = servers.test(server)
        test = {"state": WORKS, "message": servers.described(seen.info), **seen.to_json()}
    except SkyportError as error:
        test = {"state": failure_state(error), "message": redact(str(error))}
    else:
        _learn_from(server)
    _tested[server.name] = identity, test
    return test


def _learn_from(server: servers.Server) -> None:
    """Meanwhile, so that the first prompt for it needs no names; the page does not wait for it."""
    engine = providers.runner().engine
    engine.start(engine.blocking(lambda: servers.learn_from(server)))
