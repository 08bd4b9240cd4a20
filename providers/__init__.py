"""The platforms. No ComfyUI and no torch here: a node, a script or a test may use it alike.

provider = connect("haiyi")
job = runner().start(provider, request, into=results())
result = job.future.result()
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from ..engine.base.background import Engine
from ..engine.base.errors import InvalidInput
from ..engine.hosting.choice import ChosenHost
from ..engine.hosting.upload_cache import UploadUrlStore
from ..engine.http.client import Http
from ..engine.ledger.resilient import ResilientLedger
from ..engine.platforms import registry
from ..engine.platforms.catalogue import Catalogue, Refreshed, realm_of
from ..engine.platforms.provider import Provider
from ..engine.platforms.registry import names, provider_class, public_hosts
from ..engine.settings import folders, keys, settings
from ..engine.settings.settings import results
from ..engine.tasks.collector import collect_for_ever
from ..engine.tasks.runner import Runner

if TYPE_CHECKING:
    from ..sandbox import Sandbox

__all__ = [
    "catalogue",
    "connect",
    "ledger",
    "names",
    "provider_class",
    "public_hosts",
    "refresh",
    "results",
    "runner",
]

registry.look_in(__name__, __path__)
settings.use_media_hosts(public_hosts)

_SANDBOX_REALM = "sandbox"
_catalogues: dict[tuple[str, str], Catalogue] = {}
_starting = threading.Lock()


def connect(platform: str) -> Provider:
    """The platform, ready to be asked. Raises MissingKey; InvalidInput where no address is set."""
    kind = provider_class(platform)
    if settings.load().sandbox:
        address, key = sandbox().base_url(platform), sandbox().key(platform)
    else:
        address = keys.base_url(platform, kind.label, kind.default_base_url)
        key = keys.require(platform, kind.label, kind.key_help).value
    host = None if kind.takes_uploads() else ChosenHost(kind.label, connect)
    return kind(Http(kind.label, address, kind.auth_headers(key)), host)


def catalogue(platform: str) -> Catalogue:
    """The models of the platform at the place it is reached at now."""
    kind = provider_class(platform)
    if settings.load().sandbox:
        realm = _SANDBOX_REALM
    else:
        realm = realm_of(_address(kind), kind.default_base_url)
    return _catalogues.setdefault((platform, realm), Catalogue(kind, realm))


async def refresh(platform: str) -> Refreshed:
    """Ask the platform for its models and keep them; to be awaited on the engine's loop.

    Raises a SkyportError and keeps the models known so far.
    """
    engine = runner().engine
    provider = await engine.blocking(lambda: connect(platform))
    return await catalogue(platform).refresh(provider, engine)


@lru_cache(maxsize=1)
def runner() -> Runner:
    """The one Runner of this process, with its engine."""
    return Runner(Engine(), ledger(), UploadUrlStore(folders.home() / "hosted.db"))


def start_collector() -> None:
    """Finish in the background what no node waits for."""
    carrier = runner()
    carrier.engine.start(collect_for_ever(carrier, ledger(), connect, results))


@lru_cache(maxsize=1)
def ledger() -> ResilientLedger:
    """The one ledger of this process, in the data folder."""
    return ResilientLedger(folders.home())


def sandbox() -> Sandbox:
    """The embedded sandbox, started when it is first needed."""
    with _starting:
        return _sandbox()


@lru_cache(maxsize=1)
def _sandbox() -> Sandbox:
    from ..sandbox import start

    return start()


def _address(kind: type[Provider]) -> str:
    """The platform's address, to tell places apart; a missing or broken one is no matter here."""
    try:
        return keys.base_url(kind.name, kind.label, kind.default_base_url)
    except InvalidInput:
        return ""
