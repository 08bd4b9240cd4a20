"""Routes of the settings page: keys, addresses, settings, and free queries to the platforms.

A key is received once and never sent back: only its last characters and its source are shown.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.background import workers
from ...engine.base.errors import InvalidInput, SkyportError
from ...engine.base.types import Cluster, Json
from ...engine.base.words import tr
from ...engine.platforms.provider import Provider
from ...engine.settings import folders, keys, settings
from ...engine.settings.caps import Caps
from ...engine.tasks.public_view import redact
from .._base import editor_language
from .._base.run_task import in_thread
from .guards import GuardedRoutes, Handler, read_json_object

S3 = "s3"  # the bucket of media hosting: two keys in one
_MAX_KEY_LENGTH = 4096  # characters of a key; no platform's is nearly as long


def add_to(routes: GuardedRoutes) -> None:
    routes.get("/skyport/setup", _setup)
    for path, handler in _HANDLERS.items():
        routes.post(f"/skyport/setup/{path}", handler)


# -- what is set --------------------------------------------------------------------------------


async def _setup(_: web.Request) -> web.Response:
    return web.json_response(await in_thread(_setup_payload))


def _setup_payload() -> dict[str, Any]:
    """Everything the page shows."""
    current = settings.load()
    return {
        "sandbox": current.sandbox,
        "platforms": [_platform(name, current) for name in providers.names()],
        "s3": _s3_key(),
        "settings": _settings_view(current),
        "media_hosts": ["auto", S3, *providers.public_hosts()],
        "results": str(providers.results()),
        "home": str(folders.home()),
    }


def _platform(name: str, current: settings.Settings) -> dict[str, Any]:
    kind = providers.provider_class(name)
    return {
        "name": name,
        "label": kind.label,
        "key": _key(name),
        "url": {
            "value": _address(name, current),
            "default": kind.default_base_url,
            "source": keys.url_source(name),
            "variable": keys.url_variable(name),
        },
        "lists_models": kind.lists_models(),
        "lists_prices": kind.lists_prices(),
        "top_up": _top_up(name, kind),
        "has_clusters": hasattr(kind, "clusters"),
    }


def _top_up(name: str, kind: type[Provider]) -> str:
    """The page for payments of the account at the address in use, "" if none is known."""
    try:
        return kind.top_up_page(keys.base_url(name, kind.label, kind.default_base_url))
    except InvalidInput:
        return ""


def _address(platform: str, current: settings.Settings) -> str:
    """The address that was set; an invalid one in the environment is returned as it is."""
    from_environment = os.environ.get(keys.url_variable(platform), "").strip()
    return from_environment or current.base_urls.get(platform, "")


def _key(platform: str) -> dict[str, Any]:
    view = {"variable": keys.key_variable(platform)}
    try:
        return {**view, **_key_view(keys.find(platform))}
    except InvalidInput as error:
        return {**view, **_key_view(None), "trouble": str(error)}


def _s3_key() -> dict[str, Any]:
    view = {"variable": f"{keys.key_variable('s3_access_key')}, SKYPORT_S3_SECRET_KEY"}
    try:
        pair = keys.s3()
        return {**view, **_key_view(pair[0] if pair else None)}
    except InvalidInput as error:
        return {**view, **_key_view(None), "trouble": str(error)}


def _key_view(key: keys.Key | None) -> dict[str, Any]:
    if key is None:
        return {"set": False, "last4": "", "source": ""}
    return {"set": True, "last4": key.masked().lstrip("."), "source": key.source}


def _settings_view(current: settings.Settings) -> dict[str, Any]:
    sources = settings.sources()
    return {
        field.name: {
            "value": _plain(getattr(current, field.name)),
            "default": _plain(field.default),
            "source": sources[field.name],
            "variable": settings.variable(field.name),
        }
        for field in dataclasses.fields(current)
        if field.name != "base_urls"
    }


def _plain(value: Any) -> Json:
    return str(value) if isinstance(value, (Path, Caps)) else value


# -- keys ---------------------------------------------------------------------------------------


async def _set_key(request: web.Request) -> web.Response:
    """Takes {"platform", "key"}; for S3 {"platform": "s3", "access", "secret"}."""
    payload = await read_json_object(request)
    name = _platform_name(payload, also=S3)
    if name == S3:
        access, secret = _secret(payload, "access"), _secret(payload, "secret")
        await in_thread(lambda: keys.set_s3(access, secret))
    else:
        key = _secret(payload, "key")
        await in_thread(lambda: keys.set_key(name, key))
    return await _setup(request)


async def _remove_key(request: web.Request) -> web.Response:
    name = _platform_name(await read_json_object(request), also=S3)
    await in_thread(keys.remove_s3 if name == S3 else lambda: keys.remove(name))
    return await _setup(request)


async def _test(request: web.Request) -> web.Response:
    """{"ok", "message"}: the answer to one free query, without retries: the user is waiting."""
    name = _platform_name(await read_json_object(request))
    try:
        with workers(name):
            message = await in_thread(lambda: providers.connect(name).check())
    except SkyportError as error:
        return web.json_response({"ok": False, "message": redact(str(error))})
    return web.json_response({"ok": True, "message": message})


# -- settings -----------------------------------------------------------------------------------


async def _change(request: web.Request) -> web.Response:
    """Takes settings by name; null restores the default."""
    payload = await read_json_object(request)
    await in_thread(lambda: _save(payload))
    editor_language.update_language()
    return await _setup(request)


def _save(changes: Mapping[str, Json]) -> None:
    urls = changes.get("base_urls")
    moved = [name for name in urls if _moves(name, urls[name])] if isinstance(urls, dict) else []
    for name in moved:
        _refuse_to_move_key(name)
    settings.save(changes)
    for name in moved:
        keys.remove(name)


def _moves(platform: str, url: Json) -> bool:
    """Whether requests of the platform would go elsewhere from now on."""
    kind = providers.provider_class(platform)
    now = settings.load().base_urls.get(platform, kind.default_base_url)
    new_url = url or kind.default_base_url
    return str(new_url).strip().rstrip("/") != now.rstrip("/")


def _refuse_to_move_key(platform: str) -> None:
    """A key goes only where its owner sent it: setting an address must not reveal the key.

    A key entered here is removed when its address changes; one from elsewhere stays, so its
    address must be set there too.
    """
    key = keys.find(platform)
    if key is not None and not (key.source == "file" and keys.is_stored_here(platform)):
        raise InvalidInput(
            tr("Its key was not entered on this page, so its address cannot be changed here."),
            do=tr(
                "Set the environment variable {variable}, or base_urls in {path}.",
                variable=keys.url_variable(platform),
                path=folders.home() / "settings.json",
            ),
            platform=providers.provider_class(platform).label,
        )


# -- clusters -----------------------------------------------------------------------------------


async def _clusters(request: web.Request) -> web.Response:
    """The {"clusters"} of a platform, queried now."""
    name = _platform_name(await read_json_object(request))
    provider = await in_thread(lambda: providers.connect(name))
    if not hasattr(provider, "clusters"):
        raise InvalidInput(tr("this platform has no clusters."), platform=provider.label)
    with workers(name):
        clusters: list[Cluster] = await in_thread(provider.clusters)
    return web.json_response({"clusters": [_cluster(one) for one in clusters]})


def _cluster(cluster: Cluster) -> dict[str, Any]:
    room = None if cluster.most is None else cluster.room
    return {
        "name": cluster.name,
        "label": cluster.label,
        "running": cluster.running,
        "most": cluster.most,
        "room": room,
    }


# -- inside -------------------------------------------------------------------------------------


def _platform_name(payload: Mapping[str, Any], also: str = "") -> str:
    """The platform that the payload names. Errors do not repeat the value: it may be a key."""
    name = payload.get("platform")
    names = (*providers.names(), also)
    if isinstance(name, str) and name and name in names:
        return name
    raise InvalidInput(tr("name one of these: {names}", names=", ".join(filter(None, names))))


def _secret(payload: Mapping[str, Any], name: str) -> str:
    """A key as it was entered; `keys` validates it."""
    value = payload.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_KEY_LENGTH else ""


_HANDLERS: dict[str, Handler] = {
    "key": _set_key,
    "key/remove": _remove_key,
    "test": _test,
    "settings": _change,
    "clusters": _clusters,
}
