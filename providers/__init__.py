"""The platforms, usable without ComfyUI and torch: from a node, a script or a test.

provider = connect("haiyi")
job = runner().start(provider, request, into=results())
result = job.future.result()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from ..engine.base import forks
from ..engine.base.background import Engine
from ..engine.base.errors import InvalidInput, SkyportError
from ..engine.hosting.choice import ChosenHost
from ..engine.hosting.upload_cache import UploadUrlStore
from ..engine.http.client import Http
from ..engine.ledger.resilient import ResilientLedger
from ..engine.notices.dispatcher import Dispatcher, Pages
from ..engine.platforms import registry
from ..engine.platforms.catalogue import Catalogue, Refreshed, realm_of
from ..engine.platforms.provider import Provider
from ..engine.platforms.registry import names, provider_class, public_hosts
from ..engine.settings import folders, keys, settings
from ..engine.settings.settings import results
from ..engine.spend.estimate import Estimator
from ..engine.spend.price_book import PriceBook
from ..engine.spend.price_list import PriceList
from ..engine.tasks.collector import collect_forever
from ..engine.tasks.runner import Runner

if TYPE_CHECKING:
    from ..engine.batch.store import BatchStore
    from ..sandbox import Sandbox

__all__ = [
    "address",
    "batch_store",
    "catalogue",
    "check_set_up",
    "connect",
    "estimator",
    "has_batches",
    "ledger",
    "names",
    "order_for",
    "price_book",
    "provider_class",
    "prune",
    "public_hosts",
    "refresh",
    "refresh_prices",
    "results",
    "runner",
    "send_notices",
    "start_notices",
]

registry.register_package(__name__, __path__)
settings.use_media_hosts(public_hosts)
settings.use_platforms(names)

BATCHES = "batches.db"  # in the data folder
_SANDBOX_REALM = "sandbox"
_PRICE_TIMEOUT = (3.0, 8.0)  # seconds to connect, and without a byte: nobody waits long for prices
_catalogues: dict[tuple[str, str], Catalogue] = {}
_starting = forks.Lock()
_BEGAN = time.time()
_persons: list[str] = []  # at most one: for whom this process orders


def connect(platform: str) -> Provider:
    """The platform, ready for requests. Raises MissingKey; InvalidInput where no address is set."""
    cls = provider_class(platform)
    host = None if cls.takes_uploads() else ChosenHost(cls.label, connect)
    if not settings.load().sandbox:
        return cls.connected(host)
    headers = cls.auth_headers(sandbox().key(platform))
    return cls(Http(cls.label, sandbox().base_url(platform), headers), host)


def check_set_up(platform: str) -> None:
    """Raises MissingKey; InvalidInput where no address is set. Sends nothing and opens nothing."""
    if not settings.load().sandbox:
        provider_class(platform).check_set_up()


def catalogue(platform: str) -> Catalogue:
    """The models of the platform at its current address."""
    cls = provider_class(platform)
    if settings.load().sandbox:
        realm = _SANDBOX_REALM
    else:
        realm = realm_of(_base_url(cls), cls.default_base_url)
    return _catalogues.setdefault((platform, realm), Catalogue(cls, realm))


def address(platform: str) -> str:
    """The address that tasks go to now. Raises InvalidInput where none is set."""
    if settings.load().sandbox:
        return sandbox().base_url(platform)
    return provider_class(platform).address()


async def refresh(platform: str) -> Refreshed:
    """Fetch the platform's models and its prices; to be awaited on the engine's loop.

    After a SkyportError, which it raises, the models known so far stay. That it lists no prices
    is no error.
    """
    engine = runner().engine
    provider = await engine.blocking(lambda: connect(platform))
    refreshed = await catalogue(platform).refresh(provider, engine)
    await engine.blocking(lambda: _refresh_prices(provider))
    return refreshed


async def refresh_prices(platform: str) -> bool:
    """Fetch the platform's price list if it is due; to be awaited on the engine's loop.

    Returns whether it was due.
    Raises MissingKey, or InvalidInput where no address is set; other failures are only noted.
    """
    engine = runner().engine
    if not provider_class(platform).lists_prices():
        return False
    provider = await engine.blocking(lambda: connect(platform))
    is_due = PriceList(type(provider), provider.http.base_url).is_due()
    if is_due:
        await engine.blocking(lambda: _refresh_prices(provider))
    return is_due


def _refresh_prices(provider: Provider) -> None:
    if provider.lists_prices():
        provider.http.timeout = _PRICE_TIMEOUT
        models = [model for model in catalogue(provider.name).models() if not model.retired]
        PriceList(type(provider), provider.http.base_url).refresh(provider, models)


@lru_cache(maxsize=1)
def price_book() -> PriceBook:
    """The one PriceBook of this process."""
    return PriceBook(ledger(), provider_class, lambda platform: catalogue(platform).models())


@lru_cache(maxsize=1)
def runner() -> Runner:
    """The one Runner of this process, with its engine."""
    urls = UploadUrlStore(folders.home() / "hosted.db")
    return Runner(Engine(), ledger(), urls, price_book().price)


def estimator(is_ready: Callable[[str], bool] = lambda platform: True) -> Estimator:
    """Estimates what prompts cost, one after the other."""
    return Estimator(price_book(), ledger(), address, is_ready)


def start_collector() -> None:
    """Finish in the background the tasks for which no node waits."""
    task_runner = runner()
    task_runner.engine.start(collect_forever(task_runner, ledger(), connect, results, prune))


def start_notices(pages: Pages | None = None) -> None:
    """Notify the person in the background of what ends while nobody looks."""
    engine = runner().engine
    engine.start(Dispatcher(ledger(), pages).run(engine))


def send_notices() -> None:
    """Send what this process still has to send. Blocks; for a command that is about to end."""
    Dispatcher(ledger(), began=_BEGAN).look_quietly(at_once=True)


@lru_cache(maxsize=1)
def ledger() -> ResilientLedger:
    """The one ledger of this process: in the data folder, or in the database of a team."""
    url = settings.load().ledger_url
    if not url:
        return ResilientLedger(folders.home())
    from ..engine.ledger.team import TeamLedger

    password = keys.ledger_password()
    return TeamLedger(
        folders.home(), url, password.value if password else "", person="".join(_persons)
    )


def order_for(person: str) -> None:
    """This process works for `person`, `user@host`. To be called before its ledger is opened."""
    _persons[:] = [person]


def batch_store() -> BatchStore:
    """The record of batches beside the ledger. Raises InvalidInput where it cannot be used."""
    url = settings.load().ledger_url
    if not url:
        from ..engine.batch.store import BatchStore

        return BatchStore(folders.home() / BATCHES)
    from ..engine.batch.team_store import TeamBatchStore

    password = keys.ledger_password()
    return TeamBatchStore(url, password.value if password else "")


def has_batches() -> bool:
    """Whether there may be a record of batches: `batch_store` would make one."""
    return bool(settings.load().ledger_url) or (folders.home() / BATCHES).exists()


def prune(older_than_s: float) -> int:
    """Forget ended jobs unused for so long, and finished batches with them; returns how many jobs.

    A batch goes only after the last one of its jobs.
    """
    forgotten = ledger().prune(older_than_s)
    with suppress(SkyportError):  # the next time, then
        _prune_batches(older_than_s)
    return forgotten


def _prune_batches(older_than_s: float) -> None:
    if has_batches() and not ledger().trouble:  # a ledger that cannot be read knows nothing
        with closing(batch_store()) as store:
            store.prune(older_than_s, lambda mark: ledger().find(mark) is not None)


def sandbox() -> Sandbox:
    """The embedded sandbox, started when it is first needed."""
    with _starting:
        return _sandbox()


@lru_cache(maxsize=1)
def _sandbox() -> Sandbox:
    from ..sandbox import start

    return start()


def _base_url(cls: type[Provider]) -> str:
    """The platform's address; "" where it is missing or invalid, which does not matter here."""
    try:
        return cls.address()
    except InvalidInput:
        return ""


def _start_anew() -> None:
    """A forked process has its own runner and ledger: jobs in progress are its parent's."""
    runner.cache_clear()
    ledger.cache_clear()
    _catalogues.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_anew)
