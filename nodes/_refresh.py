"""Keeping the catalogues fresh while ComfyUI runs."""

from __future__ import annotations

import asyncio
import logging

from .. import providers
from ..providers import _keys, _settings
from ..providers._catalogue import Refreshed
from ..providers._errors import SkyportError

_log = logging.getLogger(__name__)


async def refresh(platform: str) -> Refreshed:
    """Ask the platform for its models now; to be awaited on the engine's loop."""
    engine = providers.runner().engine
    provider = await engine.blocking(lambda: providers.connect(platform))
    return await providers.catalogue(platform).refresh(provider, engine)


def in_background() -> None:
    """Refresh what is older than the settings allow, where there is a key. Never holds up the start."""
    providers.runner().engine.start(_refresh_old())


async def _refresh_old() -> None:
    for platform in providers.names():
        try:
            if _is_old(platform) and _may_ask(platform):
                await refresh(platform)
        except SkyportError as error:
            _log.info("Skyport: %s", error)
        await asyncio.sleep(0)


def _may_ask(platform: str) -> bool:
    return _settings.load().sandbox or _keys.find(platform) is not None


def _is_old(platform: str) -> bool:
    age = providers.catalogue(platform).age()
    return age is None or age > _settings.load().catalogue_hours * 3600
