"""Routes of the settings page: keys, addresses, settings, and free queries to the platforms.

A key is received once and never sent back: only its last characters and its source are shown.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from ... import providers
from ...engine.base.background import workers
from ...engine.base.errors import (
    AuthRejected,
    InvalidInput,
    MissingKey,
    ServerFault,
    SkyportError,
    TransportError,
)
from ...engine.base.types import Cluster, Json
from ...engine.base.words import tr
from ...engine.hosting import s3_check
from ...engine.platforms.media_host import account
from ...engine.platforms.provider import Provider
from ...engine.settings import folders, keys, settings
from ...engine.settings.addresses import address, completed
from ...engine.settings.caps import Caps
from ...engine.tasks.public_view import redact
from .._base import editor_language
from .._base.run_task import in_thread
from .guards import GuardedRoutes, Handler, is_refused_with, read_json_object

WORKS = "works"
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
        "s3": {**_s3_key(), "test": _last_test(S3)},
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
        "test": _last_test(name),
        "key": {**_key(name), "aside": _addresses_aside(name, current)},
        "url": {
            "value": _address(name, current),
            "default": kind.default_base_url,
            "source": keys.url_source(name),
            "variable": keys.url_variable(name),
        },
        "lists_models": kind.lists_models(),
        "lists_prices": kind.lists_prices(),
        "about": kind.about(),
        "key_page": _page(name, kind, kind.page_for_keys),
        "top_up": _page(name, kind, kind.top_up_page),
        "has_clusters": hasattr(kind, "clusters"),
    }


def _page(name: str, kind: type[Provider], page: Callable[[str], str]) -> str:
    """A page of the platform for the address in use, "" if none is known."""
    try:
        return page(keys.base_url(name, kind.label, kind.default_base_url))
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


def _addresses_aside(platform: str, current: settings.Settings) -> list[str]:
    """Other addresses than the one in use for which a key is kept."""
    return [url for url in keys.addresses_aside(platform) if url != _address(platform, current)]


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
            "value": _shown(field.name, getattr(current, field.name)),
            "default": _shown(field.name, field.default),
            "source": sources[field.name],
            "variable": settings.variable(field.name),
        }
        for field in dataclasses.fields(current)
        if field.name != "base_urls"
    }


def _shown(name: str, value: Any) -> Json:
    """A value as the page shows and sends it."""
    if name == "allowed_folders":
        return os.pathsep.join(value)
    return str(value) if isinstance(value, (Path, Caps)) else value


# -- keys ---------------------------------------------------------------------------------------


async def _set_key(request: web.Request) -> web.Response:
    """Takes {"platform", "key"}; for S3 {"platform": "s3", "access", "secret"}."""
    payload = await read_json_object(request)
    name = _platform_name(payload, also=S3)
    if name == S3:
        access, secret = secret_in(payload, "access"), secret_in(payload, "secret")
        await in_thread(lambda: keys.set_s3(access, secret))
    else:
        key = secret_in(payload, "key")
        await in_thread(lambda: keys.set_key(name, key))
    return await _setup(request)


async def _remove_key(request: web.Request) -> web.Response:
    name = _platform_name(await read_json_object(request), also=S3)
    await in_thread(keys.remove_s3 if name == S3 else lambda: keys.remove(name))
    return await _setup(request)


# The outcome of each platform's last test, with what was tested: its address and key.
_tested: dict[str, tuple[str, str]] = {}


async def _test(request: web.Request) -> web.Response:
    """{"ok", "state", "message"}: what one free query brought, without retries.

    state is "works", "refused", "unreachable" or "failed", "" where nothing could be sent. S3 is
    tested by a tiny object, which is deleted again.
    """
    name = _platform_name(await read_json_object(request), also=S3)
    state, message = await in_thread(lambda: _outcome(name))
    ok = state == WORKS
    return web.json_response({"ok": ok, "state": state, "message": message})


def _outcome(name: str) -> tuple[str, str]:
    account_id = _account(name)
    try:
        with workers(name):
            message = s3_check.check() if name == S3 else providers.connect(name).check()
        state = WORKS
    except SkyportError as error:
        state, message = failure_state(error), redact(str(error))
    _tested[name] = (account_id, state)
    return state, message


def failure_state(error: SkyportError) -> str:
    """The state of a test that failed, "" where nothing could be sent."""
    if isinstance(error, AuthRejected):
        return "refused"
    if isinstance(error, (TransportError, ServerFault)):
        return "unreachable"
    return "" if isinstance(error, (MissingKey, InvalidInput)) else "failed"


def _last_test(name: str) -> str:
    """The state of the last test, "" once another key or address is set."""
    account_id, state = _tested.get(name, ("", ""))
    return state if account_id == _account(name) else ""


def _account(name: str) -> str:
    """What a test tests, without a secret."""
    current = settings.load()
    with suppress(InvalidInput):
        if name == S3:
            where = f"{current.s3_endpoint} {current.s3_bucket} {current.s3_region}"
            return account(where, *(key.value for key in keys.s3() or ()))
        key = keys.find(name)
        url = f"{current.sandbox} {_address(name, current)}"
        return account(url, key.value if key else "")
    return ""


# -- settings -----------------------------------------------------------------------------------


async def _change(request: web.Request) -> web.Response:
    """Takes settings by name; null restores the default."""
    payload = await read_json_object(request)
    _refuse_to_lock_out(request, payload)
    await in_thread(lambda: _save(payload))
    editor_language.update_language()
    return await _setup(request)


def _refuse_to_lock_out(request: web.Request, changes: Mapping[str, Json]) -> None:
    """Names that leave out the page that sets them could not be taken back on it."""
    names = changes.get("allowed_hosts") or ()
    allowed = settings.validated(settings.hosts, names, "allowed_hosts") if names else ()
    if "allowed_hosts" in changes and is_refused_with(request, allowed):
        raise InvalidInput(
            tr("This page would be refused then: its own name is missing."),
            do=tr("Add the name in the browser's address bar."),
        )


def _save(changes: Mapping[str, Json]) -> None:
    if "ledger_url" in changes:
        # Whoever reaches this page could send the ledger, and its password, to a server of theirs.
        raise InvalidInput(
            tr("The address of the ledger is not changed on this page."),
            do=tr("Write ledger_url into settings.json, or set SKYPORT_LEDGER_URL."),
        )
    urls = changes.get("base_urls")
    entered = {name: _entered(name, urls[name]) for name in urls} if isinstance(urls, dict) else {}
    moved = [name for name, url in entered.items() if url != _stored_address(name)]
    for name in moved:
        _refuse_to_move_key(name)
    settings.check(changes)
    for name in moved:
        keys.put_aside(name, _stored_address(name))  # before its requests can go elsewhere
    try:
        settings.save(changes)
    finally:
        for name in moved:
            keys.take_up(name, _stored_address(name))


def _entered(platform: str, url: Json) -> str:
    """The address that a person means; the default for none. Raises InvalidInput about it."""
    kind = providers.provider_class(platform)
    if not url:
        return kind.default_base_url.rstrip("/")
    whose = tr("The address of {platform}", platform=kind.label)
    return str(settings.validated(address, completed(url), whose))


def _stored_address(platform: str) -> str:
    """The address without the environment, "" where there is none."""
    default = providers.provider_class(platform).default_base_url
    return settings.load().base_urls.get(platform, default).rstrip("/")


def _refuse_to_move_key(platform: str) -> None:
    """A key goes only where its owner sent it: setting an address must not reveal the key.

    A key entered here is put aside when its address changes; one from elsewhere stays, so its
    address must be set there too.
    """
    if keys.is_stored_elsewhere(platform):
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


def secret_in(payload: Mapping[str, Any], name: str) -> str:
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
