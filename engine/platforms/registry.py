"""The platforms: every public module of the package given to `register_package`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache

from ..base.errors import InvalidInput
from ..base.words import tr
from .provider import Provider

_package = ""
_folders: list[str] = []


def register_package(package: str, folders: Iterable[str]) -> None:
    """Register `package`, found in `folders`: its modules are the platforms."""
    global _package, _folders
    _package, _folders = package, list(folders)
    names.cache_clear()


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Module names of all platforms, sorted; nothing is imported for it."""
    modules = pkgutil.iter_modules(_folders)
    return tuple(sorted(module.name for module in modules if not module.name.startswith("_")))


def provider_class(platform: str) -> type[Provider]:
    """The Provider of `platform`. Raises InvalidInput listing the platforms that exist."""
    if platform not in names():
        raise InvalidInput(
            tr('There is no platform "{name}".', name=platform),
            do=tr("The platforms are: {names}.", names=", ".join(names())),
        )
    provider: type[Provider] = importlib.import_module(f".{platform}", _package).PROVIDER
    return provider


def public_hosts() -> tuple[str, ...]:
    """The platforms that can host media for the others."""
    return tuple(name for name in names() if provider_class(name).public_uploads)
