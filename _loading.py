"""Loading the pack in ComfyUI: once, and with a notice in the editor where it cannot be loaded."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from .engine.base import install
from .engine.base.words import tr, use_language

OLDEST_COMFYUI = "0.26.0"
_SCRIPTS, _NOTICE_ONLY = "./web", "./web/install"
_ROUTE = "/skyport/install"
_log = logging.getLogger(__name__)


@dataclass
class Loaded:
    """What became of loading.

    extension      what ComfyUI is handed, None outside of it or where it cannot be loaded
    web_directory  the scripts for the editor: all, only the one that shows notices, or none
    problem        why it is not loaded, "" where it is
    """

    extension: Any = None
    web_directory: str | None = _SCRIPTS
    problem: str = ""


@dataclass
class _Copies:
    """All copies of the pack that this ComfyUI loads: by folder, what each has to tell."""

    notices: dict[Path, Callable[[str], str]] = field(default_factory=dict)
    first: Path | None = None


def load(package: str) -> Loaded:
    """Load the nodes, where this is imported by a ComfyUI. Raises nothing."""
    host = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if host is None:
        return Loaded()
    copies = _copies(host)
    if install.PACK.resolve() in copies.notices:  # a link to a folder that is loaded already
        return Loaded(web_directory=None)
    loaded, notice = _load(package, copies)
    copies.notices[install.PACK.resolve()] = notice
    if text := notice(""):
        _log.error("Skyport: %s", text)
        loaded.problem = text if loaded.extension is None else ""
    return loaded


def _load(package: str, copies: _Copies) -> tuple[Loaded, Callable[[str], str]]:
    if other := copies.first:
        return _refused(lambda: _second_copy(other))
    version = _comfyui_version()
    if install.is_older(version, OLDEST_COMFYUI):
        return _refused(lambda: _too_old(version))
    try:
        extension = import_module(".nodes", package).extension()
    except Exception as error:
        _log.debug("Skyport cannot be loaded", exc_info=True)
        problem = error
        return _refused(lambda: install.explain(problem))
    copies.first = install.PACK
    return Loaded(extension), lambda locale: install.advice()


def _refused(text: Callable[[], str]) -> tuple[Loaded, Callable[[str], str]]:
    def notice(locale: str) -> str:
        if locale:  # nothing else of this copy speaks
            use_language(locale)
        return text()

    return Loaded(web_directory=_NOTICE_ONLY), notice


def _copies(host: Any) -> _Copies:
    """The copies that this server knows; the first one adds the route that tells of all."""
    known = getattr(host, "skyport_copies", None)
    if known is None:
        known = host.skyport_copies = _Copies()
        host.routes.get(_ROUTE)(_route(known))
    return known


def _route(copies: Any) -> Callable[[Any], Any]:
    async def notices(request: Any) -> Any:
        from aiohttp import web

        locale = request.query.get("locale", "")
        texts = [text for notice in copies.notices.values() if (text := notice(locale))]
        return web.json_response({"notices": texts})

    return notices


def _comfyui_version() -> str:
    try:
        return str(import_module("comfyui_version").__version__)
    except (ImportError, AttributeError):  # old ones have none
        return "0.3"


def _too_old(version: str) -> str:
    return tr(
        "Skyport needs ComfyUI {oldest} or newer; this is {version}. Update ComfyUI.",
        oldest=OLDEST_COMFYUI,
        version=version,
    )


def _second_copy(other: Path) -> str:
    return tr(
        "Skyport is installed twice: {other} is loaded, {this} is not. Remove one of them and "
        "restart ComfyUI.",
        other=other,
        this=install.PACK,
    )
