"""Keeps the catalogues fresh while ComfyUI runs."""

from __future__ import annotations

import asyncio
import logging

from ... import providers
from ...engine.base.errors import SkyportError
from ...engine.settings import keys, settings

_log = logging.getLogger(__name__)


def in_background() -> None:
    """Refreshes catalogues older than the settings allow, if there is a key. Does not block."""
    providers.runner().engine.start(_refresh_old())


async def _refresh_old() -> None:
    for platform in providers.names():
        try:
            if _lists(platform) and _is_old(platform) and _may_ask(platform):
                await providers.refresh(platform)
        except SkyportError as error:
            _log.info("Skyport: %s", error)
        except Exception:  # one platform must not keep the others from being asked
            _log.exception("Skyport could not refresh the models of %s", platform)
        await asyncio.sleep(0)


def _lists(platform: str) -> bool:
    return providers.provider_class(platform).lists_models()


def _may_ask(platform: str) -> bool:
    return settings.load().sandbox or keys.find(platform) is not None


def _is_old(platform: str) -> bool:
    age = providers.catalogue(platform).age()
    return age is None or age > settings.load().catalogue_hours * 3600
