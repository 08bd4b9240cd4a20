"""Asking a platform for its models now: at ComfyUI's start, by a route, by the command."""

from __future__ import annotations

from . import catalogue, connect, runner
from ._catalogue import Refreshed


async def refresh(platform: str) -> Refreshed:
    """Ask the platform for its models and keep them; to be awaited on the engine's loop.

    Raises a SkyportError and keeps the models known so far.
    """
    engine = runner().engine
    provider = await engine.blocking(lambda: connect(platform))
    return await catalogue(platform).refresh(provider, engine)
